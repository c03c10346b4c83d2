"""What each part of the evolution is worth: runs with one part taken away, paired with the whole.

    python benchmarks/search_ablations.py                        # everything; resumable, hours
    python benchmarks/search_ablations.py --part "no referee" --problem LCBench --seeds 0
    python benchmarks/search_ablations.py --report               # tables of what is there

Problems, clock, regret and packages are those of ``search.py``; both halves of a pair have the same
problem and seed, and so the same founders.  A part is taken away by a setting of the search, by a
constant of the evolution, or, where there is neither, by replacing the function that is the part.
Finished runs are appended to ``results/search_ablations.jsonl`` and never run again.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import search
from search_paired import Paired, paired
from search_problems import FAMILIES, TABLES, family_of, missing_data
from search_tables import POINTS, Run, read
from search_taken_away import (
    few_observations,
    first_and_latest,
    latest_alone,
    no_neighbours,
    one_rung,
    prior_kernel,
    shares_without,
    unclipped,
    without_terms,
)

from evoft.search.evolution.kernel import COURSE, OWN, OWN_COURSE, SHARED

RESULTS = Path(__file__).parent / "results"
WHOLE = "the whole"
#: Costs, in full trainings, at which pairs are compared.
SHOWN = (1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Part:
    """How a part is taken away."""

    #: Settings of the search and constants of the evolution.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Replaced functions and numbers, by their full names.
    replaced: Mapping[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method as ``search_methods.searcher`` knows it."""
        return "evolution:" + ",".join(f"{name}={value!r}" for name, value in self.options.items())


_PRIORS = "evoft.search.evolution.kernel.Priors.of"
_OBSERVED = (
    "evoft.search.evolution.knowledge.Knowledge.observations",
    "evoft.search.evolution.judge.Judge.referee",
)
PARTS: dict[str, Part] = {
    WHOLE: Part(),
    # Rungs and continuation.
    "no rungs: everybody in full": Part(replaced={"evoft.ladder.Ladder.of": one_rung}),
    "no continuation: from scratch on each rung": Part(
        replaced={"evoft.ladder.Ladder.begins": lambda ladder, rung: 0.0}
    ),
    "cool-down 0.1 (paid for, no use on tables)": Part({"cooldown": 0.1}),
    "cool-down 0.25 (paid for, no use on tables)": Part({"cooldown": 0.25}),
    # The referee and its kernel.
    "no referee: a random choice": Part({"referee": False}),
    "kernel: nothing of the individual's own": Part(
        replaced={_PRIORS: without_terms(OWN, OWN_COURSE)}
    ),
    "kernel: no curve of the individual's own": Part(replaced={_PRIORS: without_terms(OWN_COURSE)}),
    "kernel: no product of genes and time": Part(replaced={_PRIORS: without_terms(COURSE)}),
    "kernel: no shared curve": Part(replaced={_PRIORS: without_terms(SHARED)}),
    "kernel: no time at all": Part(replaced={_PRIORS: without_terms(SHARED, COURSE, OWN_COURSE)}),
    "kernel: not fitted, the priors' medians": Part(
        replaced={"evoft.search.evolution.judge.fit": prior_kernel}
    ),
    "a curve's latest observation alone": Part(replaced=few_observations(*_OBSERVED, latest_alone)),
    "a curve's first and latest observation": Part(
        replaced=few_observations(*_OBSERVED, first_and_latest)
    ),
    # The yardstick.
    "clip: reach 1": Part({"reach": 1.0}),
    "clip: reach 5": Part({"reach": 5.0}),
    "no clip, failures as the worst seen": Part(
        replaced={"evoft.search.evolution.yardstick.Yardstick.of": unclipped}
    ),
    "no power: scores are not bent": Part(
        replaced={"evoft.search.evolution.yardstick._likeliest_power": lambda scores: 1.0}
    ),
    # What a plan is worth.
    "worth: what is revealed alone": Part({"worth": "revealed"}),
    "worth: plain expected improvement": Part({"worth": "plain"}),
    "thrift 0": Part({"thrift": 0.0}),
    "thrift 1": Part({"thrift": 1.0}),
    "incumbent: the best observed": Part({"incumbent": "observed"}),
    "no ties": Part({"tie": 0.0}),
    "looked at closely: 8": Part({"closely": 8}),
    "looked at closely: everybody": Part({"closely": 1000}),
    # Broods.
    "no crossover": Part(shares_without("crossover")),
    "no differential variation": Part(shares_without("differential")),
    "no mutation": Part(shares_without("mutation")),
    "no resampling": Part(shares_without("resampling")),
    "no immigrants": Part(shares_without("immigrants")),
    "steps are not self-adapted": Part(
        replaced={"evoft.search.evolution.operators._LEARNING_RATE": 0.0}
    ),
    "no neighbour mutation": Part(
        replaced={"evoft.search.evolution.operators._other": no_neighbours}
    ),
    "no niches: neighbours breed": Part({"brood_niche": 0.0}),
    "brood of 10": Part({"brood_size": 10}),
    "brood of 400": Part({"brood_size": 400}),
    "twins are bred": Part(replaced={"evoft.search.evolution.twins.CLOSE": 0.0}),
    # Who climbs whatever its score, and founders.
    "3 founders": Part({"founders": 3}),
    "12 founders": Part({"founders": 12}),
    "no schooling": Part({"schooling": 0.0}),
    "schooling 1": Part({"schooling": 1.0}),
    "no audit": Part(replaced={"evoft.search.evolution.duties.is_audited": lambda seed, id: False}),
    # What parallel runs cost.
    "lookahead 2": Part({"lookahead": 2}),
    "lookahead 6": Part({"lookahead": 6}),
    "lookahead 12": Part({"lookahead": 12, "population_size": 13}),
}


def run(job: search.Job, until: float) -> Run | None:
    """Make a run without a part; None: it is too late to begin one."""
    part = PARTS[job.method]
    with ExitStack() as stack:
        for name, other in part.replaced.items():
            stack.enter_context(mock.patch(name, other))
        done = search.run(replace(job, method=part.method), until)
    return replace(done, method=job.method) if done else None


def values(run: Run) -> dict[str, float]:
    """Return log10 regret at the shown costs, and its mean over costs from one training on."""
    points = POINTS[: len(run.regret)]
    found = {f"{cost:g}": run.at(cost) for cost in SHOWN if cost in points}
    return found | {"anytime": float(np.mean([run.at(cost) for cost in points[points >= 1]]))}


def compared(runs: list[Run]) -> Iterator[tuple[str, str, dict[str, Paired]]]:
    """Yield title, part, and what the part's runs are behind the whole's, by cost."""
    for full, workers in sorted({(run.full, run.workers) for run in runs}):
        of = {run.key: values(run) for run in runs if run.full == full}
        plural = "s" if workers > 1 else ""
        several = len({family_of(p) for _, p, _, _ in of}) > 1
        for family in (*(["all families"] if several else []), *FAMILIES):
            for part in list(PARTS)[1:]:
                pairs = {
                    (p, s): (mine, of[WHOLE, p, s, w])
                    for (m, p, s, w), mine in of.items()
                    if m == part and w == workers and (WHOLE, p, s, w) in of
                    and family in ("all families", family_of(p))
                }  # fmt: skip
                costs = next(iter(pairs.values()))[0] if pairs else ()
                found = {cost: paired({t: a[cost] - b[cost] for t, (a, b) in pairs.items()})
                         for cost in costs}  # fmt: skip
                if found:
                    title = f"{family}, {workers} worker{plural}, {full:g} full trainings"
                    yield title, part, found


def report(path: Path) -> None:
    """Write the tables beside the runs."""
    rows = list(compared(runs := read(path)))
    lines = [HEAD.format(whole=WHOLE)]
    before = ""
    for title, part, found in rows:
        if before != (before := title):
            names = [f"at {cost}" if cost != "anytime" else cost for cost in found]
            lines += ["", f"## {title}", "",
                      f"| taken away | {' | '.join(names)} | better : worse | problems |",
                      "|---" * (len(names) + 3) + "|"]  # fmt: skip
        cells = [part, *(pair.cell for pair in found.values())]
        cells += [found["anytime"].signs, str(found["anytime"].problems)]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"- {r.method} on {r.problem}, seed {r.seed}, ended early: {r.error}"
                    for r in runs if r.error)]  # fmt: skip
    path.with_suffix(".md").write_text("\n".join(lines).rstrip() + "\n")
    path.with_suffix(".json").write_text(json.dumps([
        {"of": title, "part": part,
         "behind": {cost: asdict(pair) for cost, pair in found.items()}}
        for title, part, found in rows
    ], indent=1) + "\n")  # fmt: skip


HEAD = """# The evolution with one part taken away

Written by `python benchmarks/search_ablations.py`.

Numbers are log10 of the normalised regret without the part minus that of {whole}, on the same
problem with the same seed: **above 0 the part is worth something**.  They are means over problems
± the standard error over problems (over seeds where there is one problem).  *anytime* is the mean
over costs from one full training on, spaced in the logarithm, and *better : worse* counts the runs
that are better or worse by it without the part.  Of so many rows one in twenty lies two standard
errors from 0 by chance alone."""


@click.command()
@click.option("--part", "parts", multiple=True, help="What is taken away; repeatable.")
@search.run_options(seeds="0-2", workers="1", full=10.0, out="search_ablations")
def main(  # noqa: PLR0913, PLR0917
    parts: tuple[str, ...],
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
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}; there are {list(PARTS)}")
    path = RESULTS / f"{out}.jsonl"
    if not only:
        chosen = list(dict.fromkeys((WHOLE, *(parts or PARTS))))
        search.run_all(
            search.missing(path, chosen, names, seeds, workers, full),
            path, processes, time.time() + 3600 * hours, run,
        )  # fmt: skip
    report(path)


if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    main()
