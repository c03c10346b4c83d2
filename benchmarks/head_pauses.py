"""What it saves to go on with linear heads from rung to rung, and what it costs.

    python benchmarks/head_pauses.py --task digits
    python benchmarks/head_pauses.py --task sign_digits

Heads of the default recipe climb all rungs of 9 epochs (1, 3 and 9, a quarter of each its
cool-down): each rung *continued* from the file that the one below left, or begun *anew*.  They are
evaluated as a worker does, from trial to outcome, checkpoint included, alone and eight together;
features and decoded images are there already.  Seconds are the process's own on one thread, so that
what else runs on the machine counts little; the two ways alternate, and medians are reported.
``sign_digits`` needs the data folder that ``EVOFT_DATA`` names (default ``../shared/data``).
"""

import json
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import throughput
import torch
from in_process import fine_tuner

from evoft.environment import versions
from evoft.ladder import Ladder
from evoft.outcome import Status
from evoft.search.space import SearchSpace
from evoft.training.default_space import default_genes
from evoft.training.fine_tuner import FineTuner
from evoft.trial import Trial

OUT = Path(__file__).parent / "results"
TASKS = ("digits", "sign_digits")
LADDER = Ladder((1.0, 3.0, 9.0), cooldown=0.25)
WAYS = ("continued", "anew")


def climb(tuner: FineTuner, count: int, folder: Path | None) -> list[float]:
    """Return the process's seconds of each rung that so many heads climb together.

    Args:
        tuner: With features and images at hand.
        count: How many heads.
        folder: Where trainings are left to go on with; None: each rung begins anew.
    """
    tuner.paused = folder
    space = SearchSpace.from_dict(default_genes(tuner.settings.models))
    genome = space.complete({**space.default(), "freeze_depth": space["freeze_depth"].at(1.0)})
    taken = []
    for rung, epochs in enumerate(LADDER.rungs):
        limit = epochs if rung < LADDER.top else None
        trials = [Trial(n, genome, 100 + n, rung=rung, epochs=limit) for n in range(count)]
        begin = time.process_time()
        outcomes = tuner.evaluate_together(trials)
        taken.append(time.process_time() - begin)
        assert all(outcome.status is Status.OK for outcome in outcomes)
    return taken


def measure(task: str, rounds: int) -> dict[str, Any]:
    """Return medians of the seconds of each rung by number of heads and way."""
    settings = throughput.settings_of(task, int(LADDER.epochs))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        tuner = fine_tuner(settings, Path(place) / "checkpoints")
        tuner = replace(tuner, express=replace(tuner.express, ladder=LADDER))
        paused = Path(place) / "paused"
        climb(tuner, 1, None)  # features, and whatever else is done once
        for count in (1, 8):
            seconds: dict[str, list[list[float]]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way in WAYS:
                    shutil.rmtree(paused, ignore_errors=True)
                    folder = paused if way == "continued" else None
                    seconds[way].append(climb(tuner, count, folder))
            medians = {
                way: [statistics.median(rung) for rung in zip(*climbs, strict=True)]
                for way, climbs in seconds.items()
            }
            found[str(count)] = medians
            print(task, count, medians, flush=True)
    return found


def report(found: Mapping[str, Any], rounds: int) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Linear heads on rungs: continued, or begun anew",
        "",
        f"Milliseconds of the process a head; medians of {rounds} rounds. What is compared, and "
        "how: `benchmarks/head_pauses.py`.",
        "",
        "| data | heads together | way | 1 epoch | 3 epochs | 9 epochs | all rungs |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for task, counts in found.items():
        for count, ways in counts.items():
            for way, seconds in ways.items():
                each = [1000 * rung / int(count) for rung in [*seconds, sum(seconds)]]
                cells = " | ".join(f"{one:.1f}" for one in each)
                lines.append(f"| {task} | {count} | {way} | {cells} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--task", "tasks", multiple=True, default=TASKS, type=click.Choice(TASKS))
@click.option("--rounds", default=9, show_default=True)
def main(tasks: tuple[str, ...], rounds: int) -> None:
    """Measure and write ``results/head_pauses.json`` and ``.md``."""
    torch.set_num_threads(1)
    found = {task: measure(task, rounds) for task in tasks}
    about = {"machine": platform.machine(), "versions": versions(), "rounds": rounds}
    (OUT / "head_pauses.json").write_text(json.dumps({**about, "seconds": found}) + "\n")
    (OUT / "head_pauses.md").write_text(report(found, rounds))


if __name__ == "__main__":
    main()
