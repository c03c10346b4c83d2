"""How good a search is for its cost: evoft's strategies against the best peers.

    pip install -r benchmarks/requirements.txt
    python benchmarks/search.py                        # everything; resumable, hours
    python benchmarks/search.py --seeds 0-1 --hours 2  # what can be had in two hours
    python benchmarks/search.py --report               # tables and plot of what is there

    python benchmarks/search.py --problem digits --problem sign_digits --full 10 \
        --out search_fine_tuning                       # real fine-tuning; resumable, many hours

Unless others are named the problems are tables of real trainings (``search_problems.py``) and
made-up ones, so that a run of a hundred full trainings takes a minute and everybody's regret is
known.  Methods run on a simulated clock of one or four workers on which every epoch lasts as long,
in the family "LCBench by time" as long as it took; an individual that is continued pays for its
further epochs alone, whoever continues it.  Regret is normalised: 0 is the best there is, 1 the
median of random genomes; it is that of the true score of whoever had the highest observed score at
any epoch.  Where each answer is a real training
(``search_trainings.py``) the best is what any run has found, so that regret is known only to the
report.

Jobs are ordered so that whenever the run is stopped the table is balanced: seed by seed, and within
one problem by problem, all methods on it together, families taking turns.  Finished runs are
appended to ``results/search.jsonl`` and never run again; a report takes only problems and seeds
that all methods have run.  Runs of 10 and of 40 trainings (``--full``) may lie in one file: each
length has tables of its own, and the last ones set the evolution at 10 against its peers at 40.
The tables of trainings lie in the folder that ``EVOFT_DATA`` names (default ``../shared/data``).

BOHB is hpbandster, of 2018, which runs with today's packages once ConfigSpace has got names back
that it has dropped (``search_bohb.py``).
"""

import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from search_problems import FAMILIES, TABLES, TIMED, TRAININGS, family_of, missing_data, problem
from search_tables import (
    POINTS,
    Run,
    ahead,
    groups,
    markdown,
    normalised,
    plot,
    read,
    summary,
)

HERE = Path(__file__).parent
RESULTS = HERE / "results"
#: Typical scores of real fine-tuning, and how many images they were counted on.
TYPICAL = RESULTS / "search_fine_tuning_typical.json"
#: What is compared unless one says otherwise.
METHODS = (
    "evolution",
    "ga",
    "random",
    "asha",
    "hyperband",
    "asha with breeding",
    "optuna-tpe-hyperband",
    "optuna-gp",
    "optuna-nsga2-hyperband",
    "optuna-cmaes-hyperband",
    "bohb",
    "dehb",
    "smac-hyperband",
)
#: With seed s a noisy problem is also run with seed s + 5, up to so many seeds.
MORE_SEEDS, NOISY_SEEDS = 5, 8


@dataclass(frozen=True)
class Job:
    """A run to be made."""

    method: str
    problem: str
    seed: int
    workers: int
    full: float

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells it from every other."""
        return (self.method, self.problem, self.seed, self.workers)


def jobs(
    methods: list[str], problems: list[str], seeds: list[int], workers: list[int], full: float
) -> Iterator[Job]:
    """Yield the jobs in the order in which they are run."""
    for seed in seeds:
        for count in workers:
            for name in _by_turns(problems):
                more = seed + MORE_SEEDS if family_of(name) == "noisy" else NOISY_SEEDS
                for number in (seed, more) if more < NOISY_SEEDS else (seed,):
                    for method in methods:
                        yield Job(method, name, number, count, full)


def _by_turns(problems: list[str]) -> list[str]:
    """Return the problems with the families taking turns, so that each ends at the same time."""
    families = [[p for p in problems if family_of(p) == family] for family in FAMILIES]
    longest = max(map(len, families))
    # Stretched to the length of the longest: a small family is spread over all of the order.
    spread = [{(2 * i + 1) * longest // (2 * len(f)): p for i, p in enumerate(f)}
              for f in families if f]  # fmt: skip
    rows = zip(*([part.get(i) for i in range(longest)] for part in spread), strict=True)
    return [name for row in rows for name in row if name is not None]


def run(job: Job, until: float) -> Run | None:
    """Make a run; None: it is too late to begin one."""
    if time.time() > until:
        return None
    from search_clock import regret_at, scores_at, simulate
    from search_methods import searcher

    where = problem(job.problem)
    made = searcher(job.method, where, job.seed, workers=job.workers, full=job.full)
    trace = simulate(made, where, job.full, workers=job.workers, seed=job.seed)
    points = POINTS[: np.searchsorted(POINTS, job.full + 1e-9)]
    regret, scores = (), ()
    if job.problem in TRAININGS:
        scores = tuple(scores_at(trace, points))
    else:
        regret = tuple(round(float(r), 6) for r in regret_at(trace, where, points))
    return Run(job.method, job.problem, job.seed, job.workers, job.full, regret, trace.decisions,
               round(trace.seconds, 3), trace.error, scores)  # fmt: skip


def missing(
    path: Path, methods: list[str], problems: list[str], seeds: str, workers: str, full: float
) -> list[Job]:
    """Return the jobs whose runs are not in a file, in the order in which they are run."""
    done = {run.key for run in read(path) if run.full >= full}
    wanted = jobs(methods, problems, _numbers(seeds), _numbers(workers), full)
    return [job for job in wanted if job.key not in done]


def run_all(
    todo: list[Job],
    path: Path,
    processes: int,
    until: float,
    how: Callable[[Job, float], Run | None] = run,
) -> None:
    """Make the runs, append each to the file when it is finished."""
    # Every process would look for the same extremes.
    for name in dict.fromkeys(job.problem for job in todo if job.problem not in TRAININGS):
        problem(name)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool, path.open("a") as file:
        pending = [pool.submit(how, job, until) for job in todo]
        for number, future in enumerate(as_completed(pending), 1):
            if (done := future.result()) is None:
                click.echo("the time is up; the same command goes on from here")
                break
            file.write(json.dumps(asdict(done)) + "\n")
            file.flush()
            click.echo(f"{number}/{len(todo)} {done.method} on {done.problem}, seed {done.seed}, "
                       f"workers {done.workers}: {done.seconds:.0f} s {done.error}")  # fmt: skip


def available(methods: list[str]) -> list[str]:
    """Return the methods that there are and whose packages are installed; say which are not."""
    from search_methods import searcher

    found = []
    for method in methods:
        try:
            searcher(method, problem("synthetic-200"), 0, workers=1, full=1.0)
            found.append(method)
        except (ImportError, KeyError) as error:
            click.echo(f"{method} is left out: {error!r}")
    return found


def report(path: Path, methods: list[str] | None) -> None:
    """Write the tables and the plot beside the runs."""
    runs = normalised(read(path), TYPICAL)
    made = groups(runs, methods)
    if not made:
        click.echo("no problem has been run by all methods yet")
        return
    where = f"{platform.machine()}, {os.cpu_count()} cores, {_versions()}"
    head = (HERE / _head({group.family for group in made})).read_text().format(where=where)
    chosen = [r for r in runs if methods is None or r.method in methods]
    tables = markdown(made, chosen)
    path.with_suffix(".md").write_text(head + tables)
    leads = [
        {"method": mine, "at": 10, "peer": peer, "peer_at": 40, "workers": workers,
         "behind": {family: asdict(pair) for family, pair in found.items()}}
        for mine, workers, peer, found in ahead(chosen)
    ]  # fmt: skip
    data = {"where": where, "groups": summary(made), "ahead": leads}
    path.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n")
    try:
        plot(made, path.with_suffix(".svg"))
    except ImportError:
        click.echo("no plot without matplotlib")
    click.echo(tables)


def _head(families: set[str]) -> str:
    """Return the file with what is said before the tables of some families."""
    if families <= TRAININGS.keys():
        return "search_fine_tuning_head.md"
    return "search_timed_head.md" if families <= TIMED.keys() else "search_head.md"


def _versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in ("evoft", "numpy", "scipy", "optuna", "hpbandster", "dehb", "smac", "torch"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _numbers(text: str) -> list[int]:
    """Return the whole numbers of ``0-4`` or ``1,4``."""
    found = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def run_options(
    *, seeds: str, workers: str, full: float, out: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what gives a command the options of a comparison that can be resumed."""
    options = (
        click.option(
            "--problem", "problems", multiple=True, help="A family or problem; repeatable."
        ),
        click.option("--seeds", default=seeds, show_default=True),
        click.option(
            "--workers", default=workers, show_default=True, help="Of the simulated clock."
        ),
        click.option("--full", default=full, show_default=True, help="Full trainings in a run."),
        click.option("--processes", default=1, show_default=True, help="Runs at a time."),
        click.option("--hours", default=1e6, help="Begin no run after so many hours."),
        click.option("--out", default=out, show_default=True, help="Name of the results."),
        click.option("--report", "only", is_flag=True, help="Run nothing."),
    )

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


@click.command()
@click.option("--method", "methods", multiple=True, help="Which are compared; repeatable.")
@run_options(seeds="0-4", workers="1,4", full=100.0, out="search")
def main(  # noqa: PLR0913, PLR0917
    methods: tuple[str, ...],
    problems: tuple[str, ...],
    seeds: str,
    workers: str,
    full: float,
    processes: int,
    hours: float,
    out: str,
    only: bool,
) -> None:
    """Run what is not yet run, then report."""
    names = [p for name in problems or TABLES for p in FAMILIES.get(name, (name,))]
    if reason := missing_data(names):
        raise SystemExit(reason)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{out}.jsonl"
    if not only:
        found = available(list(methods or METHODS))
        todo = missing(path, found, names, seeds, workers, full)
        run_all(todo, path, processes, time.time() + 3600 * hours)
        for name in TRAININGS.keys() & set(names):
            from search_trainings import find_typical  # which imports torch

            find_typical(name, TYPICAL)
    report(path, list(methods) or None)


if __name__ == "__main__":
    # One thread a process: every method is measured by its processor time.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    main()
