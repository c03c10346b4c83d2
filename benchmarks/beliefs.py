"""What a confidence in a stated default is worth to the evolution, and how much it should weigh.

    python benchmarks/beliefs.py            # everything; resumable, a quarter of an hour
    python benchmarks/beliefs.py --report   # tables of what is there

All genes of a problem are told a default: the best of fifty random genomes by their true scores,
the eighth or the forty-first.  Searches that have a confidence in it, which weighs as much as one
stint or as ten, are compared with searches that only train it first, on the same problem with the
same seed.  Clock and regret are those of ``search.py``; beside the rungs of a problem it is
searched with the highest alone, as a fitness without epochs is.  Finished runs are appended to
``results/beliefs.jsonl`` and never run again.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np
from search_clock import regret_at, simulate
from search_methods import Evoft
from search_paired import paired
from search_problems import TABLES, Problem, missing_data, problem
from search_tables import POINTS, Run, read

from evoft.genome import Genome
from evoft.search.chronicle import Chronicle
from evoft.search.evolution.algorithm import Evolution
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.seeds import generator

RESULTS = Path(__file__).parent / "results"
#: Random genomes of which a default is one, and its place among them by true score.
DRAWN, PLACES = 50, {"best": 0, "8th": 7, "41st": 40}
FAMILIES = ("LCBench", "synthetic")
CONFIDENCES = ("medium", "high")
WEIGHTS = (1.0, 10.0)
#: Full trainings of a search, by whether it has the problem's rungs.
FULL = {True: 10.0, False: 20.0}


@dataclass(frozen=True)
class Belief:
    """What a search is told."""

    place: str
    #: None: the default alone.
    confidence: str | None
    weight: float
    rungs: bool

    @property
    def method(self) -> str:
        """A name for it."""
        sure = f"{self.confidence}, weight {self.weight:g}" if self.confidence else "none"
        return f"{'rungs' if self.rungs else 'one rung'}, {self.place} of {DRAWN}, {sure}"


def beliefs() -> Iterator[Belief]:
    """Yield all that is compared."""
    for rungs in FULL:
        for place in PLACES:
            yield Belief(place, None, 0.0, rungs)
            for confidence in CONFIDENCES:
                for weight in WEIGHTS:
                    yield Belief(place, confidence, weight, rungs)


def told(where: Problem, belief: Belief, seed: int) -> Problem:
    """Return a problem with a default for all genes."""
    rng = generator(seed, "beliefs", where.name)

    def top(genome: Genome) -> float:
        truth = where.truth(genome)
        return float(np.where(np.isfinite(truth), truth, -np.inf).max())

    drawn = sorted((where.space.sample(rng) for _ in range(DRAWN)), key=top, reverse=True)
    default = drawn[PLACES[belief.place]]
    sure = {"confidence": belief.confidence} if belief.confidence else {}
    genes = {name: {**gene, "default": default[name], **sure}
             for name, gene in where.space.to_dict().items()}  # fmt: skip
    return replace(where, space=SearchSpace.from_dict(genes))


def run(where: Problem, belief: Belief, seed: int) -> Run:
    """Search a problem as a belief has it, one worker."""
    full = FULL[belief.rungs]
    where = told(where, belief, seed)
    first = {} if belief.rungs else {"first_rung": float(where.epochs)}
    searcher = Evoft(where, seed, "evolution", workers=1, **first)
    if belief.confidence:
        search = searcher.search

        def weighing(chronicle: Chronicle) -> Evolution:
            prior = chronicle.prior
            return Evolution(chronicle, prior=prior and replace(prior, weight=belief.weight))

        searcher.search = Search(
            where.space, search.settings, seed, ladder=search.ladder, express=where.express,
            strategy=weighing,
        )  # fmt: skip
    trace = simulate(searcher, where, full, workers=1, seed=seed)
    points = POINTS[: np.searchsorted(POINTS, full + 1e-9)]
    regret = tuple(round(float(r), 6) for r in regret_at(trace, where, points))
    return Run(belief.method, where.name, seed, 1, full, regret, trace.decisions,
               round(trace.seconds, 3), trace.error)  # fmt: skip


def report(path: Path) -> str:
    """Return the tables of what there is."""
    found = {run.key: np.log10(np.maximum(run.regret, 1e-4)) for run in read(path)}
    lines = [
        "# What a confidence is worth",
        "",
        "Written by `python benchmarks/beliefs.py`.  log10 of the normalised regret of searches",
        "with a confidence in a default of all genes minus that of searches that only train it",
        "first, on the same problem with the same seed: below 0 the confidence helps.  The default",
        f"is the best of {DRAWN} random genomes, the 8th or the 41st.  Means over problems ± the",
        "standard error over problems; *anytime* is the mean over costs from one full training on,",
        "spaced in the logarithm.  A belief's weight is 1; it was 10, as in pi-BO (Hvarfner and",
        "others 2022).",
    ]  # fmt: skip
    for rungs, full in FULL.items():
        lines += ["", f"## {'On rungs' if rungs else 'One rung'}, {full:g} full trainings", ""]
        lines += ["| family | default | confidence | runs | "
                  + " | ".join(f"at the end, weight {w:g} | anytime, weight {w:g}" for w in WEIGHTS)
                  + " |", "|" + "---|" * (4 + 2 * len(WEIGHTS))]  # fmt: skip
        for family in FAMILIES:
            for place in PLACES:
                for confidence in CONFIDENCES:
                    lines += _row(found, family, place, confidence, rungs)
    return "\n".join(lines) + "\n"


def _row(
    found: dict[tuple[str, str, int, int], np.ndarray],
    family: str,
    place: str,
    confidence: str,
    rungs: bool,
) -> list[str]:
    alone = Belief(place, None, 0.0, rungs).method
    cells, count = [], 0
    for weight in WEIGHTS:
        sure = Belief(place, confidence, weight, rungs).method
        gaps = {(name, seed): curve - found[alone, name, seed, workers]
                for (method, name, seed, workers), curve in found.items()
                if method == sure and name in TABLES[family]
                and (alone, name, seed, workers) in found}  # fmt: skip
        if not gaps:
            return []
        since = np.searchsorted(POINTS, 1.0)
        cells.append(paired({key: float(gap[-1]) for key, gap in gaps.items()}).cell)
        cells.append(paired({key: float(gap[since:].mean()) for key, gap in gaps.items()}).cell)
        count = len(gaps)
    return [f"| {family} | {place} | {confidence} | {count} | " + " | ".join(cells) + " |"]


@click.command()
@click.option("--seeds", default=2, show_default=True, help="How many.")
@click.option("--hours", default=1e6, help="Begin no run after so many hours.")
@click.option("--report", "only", is_flag=True, help="Run nothing.")
def main(seeds: int, hours: float, only: bool) -> None:
    """Run what is not yet run, then report."""
    names = [name for family in FAMILIES for name in TABLES[family]]
    if reason := missing_data(names):
        raise SystemExit(reason)
    RESULTS.mkdir(exist_ok=True)
    path, until = RESULTS / "beliefs.jsonl", time.time() + 3600 * hours
    done = {run.key for run in read(path)}
    todo = [(seed, name, belief) for seed in range(seeds) for name in names for belief in beliefs()
            if (belief.method, name, seed, 1) not in done]  # fmt: skip
    with path.open("a") as file:
        for seed, name, belief in todo if not only else ():
            if time.time() > until:
                click.echo("the time is up; the same command goes on from here")
                break
            file.write(json.dumps(asdict(run(problem(name), belief, seed))) + "\n")
            file.flush()
    (RESULTS / "beliefs.md").write_text(report(path))
    click.echo(report(path))


if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    main()
