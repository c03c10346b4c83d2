"""How right the estimate of the time left is: real runs on three data sets, one a seed.

On digits they are what ``evoft evolve`` does without arguments: its strategy, its rungs, its
generations.  The other two are those of ``views.py``, photographs with a pretrained backbone and
clothes with the shipped one, 480 images to train on.
After each generation the estimate is held against what search and finals took from there on.
Beside the wall time stands the same in seconds of the CPU, the estimate being converted by what the
run had used of it so far: on a shared machine the others' load may change, and that is no fault of
the estimate.  And beside the estimate that is shown stands the one for which the search is not run
ahead.

    python benchmarks/estimate.py --seeds 5      # writes benchmarks/results/estimate.md

Images and weights lie in the folder that ``EVOFT_DATA`` names (default ``../shared/data``).
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import psutil
import views

from evoft.fine_tuning import FineTuning, start
from evoft.outcome import Outcome
from evoft.settings import RunSettings, SearchSettings, Settings, TrainingSettings
from evoft.trial import Trial

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Mark:
    """What was estimated, and what had passed by then."""

    left: float
    #: The estimate without running the search ahead.
    plain: float
    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratios:
    """Estimates as multiples of what it took.

    By wall time, by CPU time, and by CPU time where the search is not run ahead.
    """

    wall: float
    cpu: float
    plain: float


def cpu_seconds() -> float:
    """Return the CPU time of all living workers."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return total


def ignored(trial: Trial, outcome: Outcome) -> None:
    """Do nothing."""


def marks_of(run: FineTuning) -> list[Mark]:
    """Run search and finals; return a mark at the start, after each generation, and at the end."""
    begun = time.monotonic()

    def mark() -> Mark:
        workers = len(run.plan.devices)
        plain = run.plan.forecast.left(run.evolution.search, workers, ahead=False)
        left = run.seconds_left()
        return Mark(left or 0.0, plain or 0.0, time.monotonic() - begun, cpu_seconds())

    marks = [mark()]
    marks.extend(mark() for _ in run.generations(ignored))
    run.finals(ignored)
    return [*marks, mark()]


def settings_of(
    task: str, seed: int, options: argparse.Namespace, folder: Path = RESULTS
) -> Settings:
    """Return the settings of a run.

    Args:
        task: What it trains on.
        seed: Of the run.
        options: Of the command line.
        folder: Where what is drawn is written.
    """
    given = TrainingSettings() if task == "digits" else views.settings_of(task, folder).training
    return Settings(
        seed=seed,
        search=SearchSettings(strategy=options.strategy, generations=options.generations),
        training=replace(given, epochs=options.epochs),
        run=RunSettings(devices="cpu", workers=options.workers),
    )


def measured(task: str, seed: int, options: argparse.Namespace) -> list[Ratios]:
    """Return for each mark the estimate as a multiple of what it took."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(task, seed, options, Path(folder))
        with start(settings, None, Path(folder) / "a.h5") as run:
            first, *marks, end = marks_of(run)
    ratios = [Ratios(first.left / (end.wall - first.wall), math.nan, math.nan)]
    for mark in marks:
        rate = (mark.cpu - first.cpu) / (mark.wall - first.wall)
        wall, cpu = end.wall - mark.wall, end.cpu - mark.cpu
        ratios.append(Ratios(mark.left / wall, mark.left * rate / cpu, mark.plain * rate / cpu))
    return ratios


def right(rows: list[list[Ratios]], mark: int) -> str:
    """Return in how many of some runs the estimate at a mark was within a quarter."""
    return f"{sum(abs(row[mark].wall - 1) <= 0.25 for row in rows)} of {len(rows)}"


def table(rows: list[list[Ratios]]) -> list[str]:
    """Return a task's runs as a table, with how many of them were within a quarter."""
    generations = len(rows[0]) - 1
    names = ["at the start", *(f"after generation {n}" for n in range(generations))]
    lines = ["| seed | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for seed, row in enumerate(rows):
        later = (f"{r.wall:.2f} ({r.cpu:.2f}; {r.plain:.2f})" for r in row[1:])
        cells = [f"{row[0].wall:.2f}", *later]
        lines.append(f"| {seed} | " + " | ".join(cells) + " |")
    within = [right(rows, mark) for mark in range(generations + 1)]
    return [*lines, "| within a quarter | " + " | ".join(within) + " |", ""]


def text_of(known: dict[str, list[list[Ratios]]], options: argparse.Namespace) -> str:
    """Return the result as a page."""
    settings = settings_of("digits", 0, options)
    search, rungs = settings.search, settings.ladder(fine_tuning=True).rungs
    lines = [
        "# The estimate of the time left",
        "",
        "Estimated over actual seconds of the rest of the search and the finals, by wall time (and",
        "by CPU time, the estimate converted at the rate so far: what it would be if the load of",
        "the machine stood still; and by CPU time if the search were not run ahead, but trials to",
        f"come taken to be like the best and the latest so far). Strategy {search.strategy},",
        f"{search.births} full trainings in {search.generations} generations,",
        f"judged after {', '.join(f'{epochs:g}' for epochs in rungs)} epochs,",
        f"{(search.finalists + 1) * search.repeats} final runs, {options.workers} workers,",
        "`python benchmarks/estimate.py`.",
        *([options.note] if options.note else []),
        f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
    ]
    for task, rows in known.items():
        lines += [f"## {task}", "", *table(rows)]
    rows = [row for runs in known.values() for row in runs]
    errors = [statistics.fmean(abs(ratio - 1) for ratio in side)
              for side in zip(*(astuple(row[1]) for row in rows), strict=True)]  # fmt: skip
    means = [f"{error:.0%}" for error in errors]
    lines += [
        f"After generation 0 it was right within a quarter in {right(rows, 1)} runs, with a mean",
        f"error of {means[0]} by wall time, {means[1]} by CPU time, and {means[2]} if the search",
        "were not run ahead.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run tasks and seeds one after the other, the page written after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=views.TASKS, action="append", help="Default: all.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--generations", type=int, default=SearchSettings().generations)
    parser.add_argument("--strategy", default=SearchSettings().strategy)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--note", default="", help="A sentence on the circumstances.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    page = options.out / "estimate.md"
    known: dict[str, list[list[Ratios]]] = {}
    for task in options.task or views.TASKS:
        rows = known.setdefault(task, [])
        for seed in range(options.seeds):
            rows.append(measured(task, seed, options))
            page.write_text(text_of(known, options))
            print(task, [round(ratios.wall, 2) for ratios in rows[-1]], flush=True)
    print(page.read_text())


if __name__ == "__main__":
    main()
