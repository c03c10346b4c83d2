"""What a found recipe is worth when it is trained for longer: real searches, many test images.

    python benchmarks/refits.py --seeds 5         # writes benchmarks/results/refits.{json,md}
    python benchmarks/refits.py --seeds 8 --task digits --task fashion_mnist     # goes on

Each run is a search of two generations of five epochs with its final runs.  Then the recipe of the
winner and the default recipe are trained anew, by what ``evoft refit`` does, for as long as in the
search and for longer, and the winner's on the validation images too.  Images and weights lie in
the folder that ``EVOFT_DATA`` names (default ``../shared/data``).
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import soups
import views

from evoft.fine_tuning import start
from evoft.fine_tuning.refitting import refit
from evoft.lineage import Population
from evoft.outcome import CurvePoint
from evoft.refit import Changes, Refit, Refitted
from evoft.settings import RunSettings, SearchSettings, Settings, TrainingSettings

#: Epochs in the search.
SHORT = 5
#: Epochs of refits: photographs with a larger backbone take ten times as long.
LENGTHS = {"digits": (5, 15, 45), "fashion_mnist": (5, 15, 45), "sign_digits": (5, 15)}
#: For how long the winner's recipe is trained on the validation images too.
WITH_VAL = 15


def training_of(task: str, folder: Path) -> TrainingSettings:
    """Return what is trained: about 500 or 600 images, and many to judge and to test by."""
    if task == "digits":
        return TrainingSettings(val_share=0.37, test_share=0.35, epochs=SHORT)
    if task == "sign_digits":
        given = views.settings_of(task, folder).training
        return replace(given, val_share=0.3, test_share=0.4, max_train_images=None, epochs=SHORT)
    return replace(soups.training_of(task, folder), epochs=SHORT)


def measured(task: str, seed: int) -> dict[str, float]:
    """Return the test accuracies of one search's recipes, in per cent."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            seed=seed,
            search=SearchSettings(generations=2),
            training=training_of(task, folder),
            run=RunSettings(devices="cpu", workers=1),
        )
        with start(settings, None, folder / "a.h5") as run:
            for _ in run.generations(soups.ignored):
                pass
            run.finals(soups.ignored)
        population = Population.open(folder / "a.h5")
        assert population.winner is not None
        winner = population.winner.id
        found = {}
        for who, id in (("winner", winner), ("default", 0)):
            for epochs in LENGTHS[task]:
                changes = Changes(epochs=epochs, seed=seed)
                found[f"{who} {epochs}"] = test_accuracy(population, id, changes, folder)
        changes = Changes(epochs=WITH_VAL, seed=seed, with_val=True)
        found["with val"] = test_accuracy(population, winner, changes, folder)
        return found


def test_accuracy(population: Population, id: int, changes: Changes, folder: Path) -> float:
    """Return the share of the test images that a refit's model classifies rightly, in per cent."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        done = refit(
            population, id, Path(place) / "out", changes, described, begin=begun, told=told
        )
    return 100 * sum(done.right) / sum(done.images)


def described(refitted: Refitted) -> tuple[str, dict[str, Any]]:
    """Say nothing of a model that is not kept."""
    return "", {}


def begun(fit: Refit) -> None:
    """Do nothing."""


def told(point: CurvePoint) -> None:
    """Do nothing."""


def text_of(known: dict[str, dict[str, float]]) -> str:
    """Return the results as a page."""
    lines = [
        "# Refits",
        "",
        "Accuracy on test images that decided nothing (629 of digits, 825 of sign_digits, 5,000",
        f"of fashion_mnist) of the recipe that a search of 2 generations of {SHORT} epochs found,",
        "trained anew by `evoft refit`, less that of the default recipe trained for as long, in",
        "points, with standard errors over seeds; and what the winner's recipe gains by more",
        "epochs than it had in the search, and by the validation images, which are trained on too.",
        "There are 500 to 620 images to train on and 620 to 1,000 to validate with, so that those",
        "are twice as many and more.",
        "`python benchmarks/refits.py`.",
        "",
        "| task | seeds | epochs | default, % | winner, % | winner less default "
        "| winner less itself after 5 | with the validation images too |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task in views.TASKS:
        runs = [run for name, run in known.items() if name.startswith(f"{task}/")]
        for epochs in LENGTHS[task] if runs else ():
            winner = [run[f"winner {epochs}"] for run in runs]
            default = [run[f"default {epochs}"] for run in runs]
            first = [run[f"winner {SHORT}"] for run in runs]
            gains = [mine - other for mine, other in zip(winner, default, strict=True)]
            longer = [mine - other for mine, other in zip(winner, first, strict=True)]
            more = [run["with val"] - run[f"winner {epochs}"] for run in runs]
            row = [
                task, str(len(runs)), str(epochs), f"{statistics.fmean(default):.2f}",
                f"{statistics.fmean(winner):.2f}", soups.mean_and_error(gains),
                soups.mean_and_error(longer) if epochs > SHORT else "",
                soups.mean_and_error(more) if epochs == WITH_VAL else "",
            ]  # fmt: skip
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    soups.run_by_seeds("refits", __doc__, measured, text_of)
