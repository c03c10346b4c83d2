"""How right the estimate of the time left is: real runs on digits, one a seed.

They are what ``evoft evolve`` does without arguments: its strategy, its rungs, its generations.
After each generation the estimate is held against what search and finals took from there on.
Beside the wall time stands the same in seconds of the CPU, the estimate being converted by what the
run had used of it so far: on a shared machine the others' load may change, and that is no fault of
the estimate.  And beside the estimate that is shown stands the one for which the search is not run
ahead.

    python benchmarks/estimate.py --seeds 5      # writes benchmarks/results/estimate.md
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

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


def settings_of(seed: int, options: argparse.Namespace) -> Settings:
    """Return the settings of a run."""
    return Settings(
        seed=seed,
        search=SearchSettings(strategy=options.strategy, generations=options.generations),
        training=TrainingSettings(epochs=options.epochs, max_train_images=options.images),
        run=RunSettings(devices="cpu", workers=options.workers),
    )


def measured(seed: int, options: argparse.Namespace) -> list[tuple[float, float, float]]:
    """Return for each mark the estimate as a multiple of what it took.

    By wall time, by CPU time, and by CPU time where the search is not run ahead.
    """
    settings = settings_of(seed, options)
    with (
        tempfile.TemporaryDirectory() as folder,
        start(settings, None, Path(folder) / "a.h5") as run,
    ):
        first, *marks, end = marks_of(run)
    ratios = [(first.left / (end.wall - first.wall), math.nan, math.nan)]
    for mark in marks:
        rate = (mark.cpu - first.cpu) / (mark.wall - first.wall)
        wall, cpu = end.wall - mark.wall, end.cpu - mark.cpu
        ratios.append((mark.left / wall, mark.left * rate / cpu, mark.plain * rate / cpu))
    return ratios


def text_of(rows: list[list[tuple[float, float, float]]], options: argparse.Namespace) -> str:
    """Return the result as a page."""
    generations = len(rows[0]) - 1
    names = ["at the start", *(f"after generation {n}" for n in range(generations))]
    settings = settings_of(0, options)
    search, rungs = settings.search, settings.ladder(fine_tuning=True).rungs
    lines = [
        "# The estimate of the time left",
        "",
        "Estimated over actual seconds of the rest of the search and the finals, by wall time (and",
        "by CPU time, the estimate converted at the rate so far: what it would be if the load of",
        "the machine stood still; and by CPU time if the search were not run ahead, but trials to",
        "come taken to be like the best and the latest so far).",
        f"Digits, {options.images or 'all'} training images, strategy",
        f"{search.strategy}, {search.births} full trainings in {search.generations} generations,",
        f"judged after {', '.join(f'{epochs:g}' for epochs in rungs)} epochs,",
        f"{(search.finalists + 1) * search.repeats} final runs, {options.workers} workers,",
        "`python benchmarks/estimate.py`.",
        *([options.note] if options.note else []),
        f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| seed | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for seed, row in enumerate(rows):
        later = (f"{wall:.2f} ({cpu:.2f}; {plain:.2f})" for wall, cpu, plain in row[1:])
        cells = [f"{row[0][0]:.2f}", *later]
        lines.append(f"| {seed} | " + " | ".join(cells) + " |")
    errors = [[abs(row[1][i] - 1) for row in rows] for i in range(3)]
    right = [sum(error <= 0.25 for error in side) for side in errors]
    means = [f"{statistics.fmean(side):.0%}" for side in errors]
    lines += [
        "",
        f"After generation 0 it was right within a quarter in {right[0]} of {len(rows)} runs by",
        f"wall time, {right[1]} by CPU time, {right[2]} if the search were not run ahead;",
        f"mean error {means[0]}, {means[1]} and {means[2]}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the seeds one after the other, the page written after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, help="Of the training split; default: all.")
    parser.add_argument("--generations", type=int, default=SearchSettings().generations)
    parser.add_argument("--strategy", default=SearchSettings().strategy)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--note", default="", help="A sentence on the circumstances.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    page = options.out / "estimate.md"
    rows = []
    for seed in range(options.seeds):
        rows.append(measured(seed, options))
        page.write_text(text_of(rows, options))
        print(rows[-1], flush=True)
    print(page.read_text())


if __name__ == "__main__":
    main()
