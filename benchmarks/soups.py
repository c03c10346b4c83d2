"""What a soup of a run's kept weights gains: real searches, and many test images.

    python benchmarks/soups.py --seeds 5         # writes benchmarks/results/soups.{json,md}
    python benchmarks/soups.py --seeds 8 --task digits --task fashion_mnist     # goes on

Each run is a search of two generations of five epochs with its final runs, on 500 digits, 600
photographs of hands with a pretrained backbone, and 600 clothes.  The winner's best final run,
which is what ``evoft evolve`` exports, is held against what ``evoft export --soup`` makes of it.
Beside it stand the means of the winner's own final runs and of all final runs, taken whatever they
are worth.  Images and weights lie in the folder that ``EVOFT_DATA`` names (default
``../shared/data``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import views

from evoft.fine_tuning import start
from evoft.fine_tuning.standing import best_run
from evoft.outcome import Outcome
from evoft.seeds import generator
from evoft.settings import RunSettings, SearchSettings, Settings, TrainingSettings
from evoft.soup import Fate
from evoft.training.fine_tuner import FineTuner, Left, checkpoint_path
from evoft.training.judging import predict
from evoft.training.soups import State, mean_of
from evoft.trial import Stage, Trial

RESULTS = Path(__file__).with_name("results")
#: Clothes to train on, to validate with, and to test on.
CLOTHES = (600, 1000, 5000)
WAYS = ("soup", "own final runs", "all final runs")


def training_of(task: str, folder: Path) -> TrainingSettings:
    """Return what is trained, with enough images to test on."""
    if task == "digits":
        return TrainingSettings(max_train_images=500, test_share=0.35)
    if task == "sign_digits":
        given = views.settings_of(task, folder).training
        return replace(given, val_share=0.2, test_share=0.4, max_train_images=600)
    (source,) = (views.DATA / "images").rglob("fashion_mnist*.npz")
    with np.load(source) as arrays:
        x, y = arrays["x_train"], arrays["y_train"]
    chosen = np.split(generator(0, "soups").permutation(len(x)), np.cumsum(CLOTHES))[:3]
    parts = dict(zip(("train", "val", "test"), chosen, strict=True))
    path = folder / "fashion_mnist.npz"
    images = {f"x_{split}": x[rows] for split, rows in parts.items()}
    np.savez(path, **images, **{f"y_{split}": y[rows] for split, rows in parts.items()})
    return TrainingSettings(data=str(path))


def ignored(trial: Trial, outcome: Outcome) -> None:
    """Do nothing."""


def measured(task: str, seed: int) -> dict[str, Any]:
    """Return the test accuracies of one run, and what became of whom."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            seed=seed,
            search=SearchSettings(generations=2),
            training=replace(training_of(task, folder), epochs=5),
            run=RunSettings(devices="cpu", workers=1),
        )
        with start(settings, None, folder / "a.h5") as run:
            for _ in run.generations(ignored):
                pass
            run.finals(ignored)
            population = run.evolution.population
            winner = best_run(population)
            assert winner is not None
            tuner = in_process.fine_tuner(settings, run.checkpoints)
            records = population.records
            kept = [k for k in records if checkpoint_path(run.checkpoints, k).is_file()]
            others = sorted(set(kept) - {winner}, key=lambda k: (-records[k].outcome.score, k))
            left = {key: (population[key[1]].genome, key) for key in kept}
            soup = tuner.soup(left[winner], [left[key] for key in others])
            finals = [key for key in kept if key[0] is Stage.FINAL]
            chosen = {
                "winner": [winner],
                "soup": [winner, *soup.taken],
                "own final runs": [key for key in finals if key[1] == winner[1]],
                "all final runs": finals,
            }
            return {
                "accuracies": {
                    way: accuracies(tuner, [left[key] for key in keys])
                    for way, keys in chosen.items()
                },
                "fates": Counter(str(fate) for _, fate in soup.fates),
            }


def accuracies(tuner: FineTuner, runs: list[Left]) -> dict[str, float]:
    """Return the accuracy of a mean of weights on the validation and the test images."""
    states: list[State] = [tuner.trained(*run).state_dict() for run in runs]
    model, name = tuner.trained(*runs[0]), tuner.express(runs[0][0]).model
    model.load_state_dict(mean_of(states))
    found = {}
    for split in ("val", "test"):
        examples = tuner.commons.examples(name, split)
        right = predict(model, examples).argmax(1) == examples.labels
        found[split] = 100 * float(right.float().mean())
    return found


def mean_and_error(values: list[float]) -> str:
    """Return a mean with its standard error."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{statistics.fmean(values):+.2f} ± {error:.2f}"


def text_of(known: dict[str, dict[str, Any]]) -> str:
    """Return the results as a page."""
    lines = [
        "# Soups",
        "",
        "The winner's best final run against means of weights, in points of accuracy on test",
        "images that decided nothing (629 of digits, 824 of sign_digits, 5,000 of fashion_mnist),",
        "with standard errors over seeds; runs of two generations of five epochs, 8 final runs.",
        "`evoft export --soup` takes who lies in the winner's basin and makes it better on the",
        "validation images; the other two means are taken whatever they are worth. Fates are the",
        "mean numbers of other kept runs that had them.",
        "`python benchmarks/soups.py`.",
        "",
        "| task | seeds | winner, % | soup | own final runs | all final runs | "
        + " | ".join(str(fate) for fate in Fate)
        + " |",
        "|---|---|---|---|---|---|" + "---|" * len(Fate),
    ]
    for task in views.TASKS:
        runs = [run for name, run in known.items() if name.startswith(f"{task}/")]
        if not runs:
            continue
        tests = [{way: one["test"] for way, one in run["accuracies"].items()} for run in runs]
        cells = [mean_and_error([one[way] - one["winner"] for one in tests]) for way in WAYS]
        fates = [statistics.fmean(run["fates"].get(str(fate), 0) for run in runs) for fate in Fate]
        mean = statistics.fmean(one["winner"] for one in tests)
        row = [task, str(len(runs)), f"{mean:.2f}", *cells, *(f"{fate:.1f}" for fate in fates)]
        lines.append("| " + " | ".join(row) + " |")
    gains = [
        run["accuracies"]["soup"]["test"] - run["accuracies"]["winner"]["test"]
        for run in known.values()
    ]
    signs = f"better {sum(g > 0 for g in gains)}, worse {sum(g < 0 for g in gains)}"
    lines += [
        "",
        f"Of {len(gains)} runs the soup is {signs} times, else the winner alone or equal.",
    ]
    return "\n".join(lines) + "\n"


def run_by_seeds(
    name: str,
    description: str | None,
    measured: Callable[[str, int], dict[str, Any]],
    text_of: Callable[[dict[str, dict[str, Any]]], str],
) -> None:
    """Run what is not known yet, a seed of each task in turn; the page is written after each.

    Args:
        name: Of the results.
        description: For ``--help``.
        measured: Gives the results of a task with a seed.
        text_of: Gives the page of all results.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--task", choices=views.TASKS, action="append", help="Default: all.")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    data = RESULTS / f"{name}.json"
    known = json.loads(data.read_text()) if data.exists() else {}
    for seed in range(options.seeds):
        for task in options.task or views.TASKS:
            if f"{task}/{seed}" not in known:
                known[f"{task}/{seed}"] = measured(task, seed)
                data.write_text(json.dumps(known, indent=1) + "\n")
                data.with_suffix(".md").write_text(text_of(known))
                print(task, seed, known[f"{task}/{seed}"], flush=True)


if __name__ == "__main__":
    run_by_seeds("soups", __doc__, measured, text_of)
