"""What views cost in accuracy, and save in time, against augmentation anew in each epoch.

    python benchmarks/views.py

The same recipes, each of which freezes some layers and changes images, are evaluated by evoft's
workers with the same seeds under several ``--views``; 0 augments anew in each epoch.  Recipes are

- ``drawn`` evenly from the default space with a fixed seed, learning rates from 3e-4 to 1e-2;
- ``augmented``: around a good recipe, moves, colours, flips and erasing, without mixing;
- ``mixed``: around a good recipe, mixup and CutMix alone, which with views act at the cut.

``sign_digits`` and ``fashion_mnist`` are in the folder that ``EVOFT_DATA`` names (default
``../shared/data``), and are left out where that is not.  Differences are of validation accuracy,
which chose nothing here; their unit is the recipe, its seeds averaged.
"""

import json
import math
import os
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click
import numpy as np
from scipy.stats import t as student

from evoft.environment import versions
from evoft.fine_tuning.preparation import Preparation, expression_of
from evoft.genome import Genome
from evoft.outcome import Outcome, Status
from evoft.search.space import SearchSpace
from evoft.seeds import generator
from evoft.settings import RunSettings, Settings, TrainingSettings
from evoft.training.default_space import default_genes
from evoft.training.fine_tuner import FineTuner
from evoft.trial import Trial

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVOFT_DATA", HERE.parent.parent / "shared/data"))
TASKS = ("digits", "sign_digits", "fashion_mnist")
#: Images of fashion_mnist to train on and to validate with.
_FASHION = (600, 1000)
#: Images that each task trains on.
_TRAIN = 480
SPACE = SearchSpace.from_dict(default_genes(["any"]))


@dataclass(frozen=True)
class Timed:
    """A fine-tuner that tells the processor time of each trial, whatever else the cores do."""

    tuner: FineTuner
    #: How often each trial is evaluated: the second time, all that can be shared is there.
    times: int = 1

    def evaluate(self, trial: Trial) -> Outcome:
        """Return the trial's outcome with the seconds of each time."""
        seconds = {}
        for turn in range(self.times):
            start = time.process_time()
            outcome = self.tuner.evaluate(trial)
            seconds[f"seconds {turn}"] = time.process_time() - start
        return replace(outcome, metrics=seconds)


class Task:
    """A data set with its backbone, and workers to fine-tune it."""

    def __init__(self, name: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.name = name
        self._settings = settings_of(name, Path(self._folder.name))
        space = SearchSpace.from_dict(default_genes(self._settings.training.models))
        self._preparation = Preparation(self._settings)
        self.plan = self._preparation.plan(Path("unused.h5"), space)
        self._pixels = self._preparation.decode(self.plan, None)

    def __enter__(self) -> "Task":
        return self

    def __exit__(self, *_: object) -> None:
        self._preparation.workers.close()
        self._folder.cleanup()

    def evaluate(
        self, asked: dict[Any, Genome], epochs: int, views: int, times: int = 1
    ) -> dict[Any, Outcome]:
        """Return the outcome of each trial, from workers that know nothing yet."""
        training = replace(self._settings.training, epochs=epochs, views=views)
        settings = replace(self._settings, training=training)
        express = expression_of(settings, self.plan.backbones, self.plan.space)
        tuner = FineTuner(training, express, self._pixels, None)
        workers = self._preparation.workers
        # What is timed has no other worker beside it that computes the same.
        devices = self.plan.devices if times == 1 else self.plan.devices[:1]
        workers.retarget(Timed(tuner, times), devices)
        names = list(asked)
        waiting = [Trial(n, asked[name], 1000 + name[2]) for n, name in enumerate(names)][::-1]
        outcomes: dict[Any, Outcome] = {}
        start = time.perf_counter()
        while waiting or workers.busy:
            while waiting and workers.idle:
                workers.submit(waiting.pop())
            for trial, outcome in workers.collect():
                outcomes[names[trial.individual]] = outcome
        click.echo(f"{self.name}, {epochs} epochs, {views} views: {len(asked)} trials, "
                   f"{time.perf_counter() - start:.0f} s", err=True)  # fmt: skip
        return outcomes


def settings_of(task: str, folder: Path) -> Settings:
    """Return the settings of a task; half of its images validate, so that differences show."""
    common: dict[str, Any] = {"val_share": 0.5, "test_share": 0.05, "max_train_images": _TRAIN}
    if task == "fashion_mnist":
        common["data"] = str(fashion(folder))
    if task == "sign_digits":
        common |= {
            "data": str(DATA / "images/sign_digits"),
            "models": ("mobilenetv2_035",),
            "checkpoint": str(DATA / "weights/mobilenetv2_035.in1k.safetensors"),
            "model_kwargs": {"pad_type": "same", "bn_eps": 1e-3},
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "img_size": 64,
        }
    training = TrainingSettings(**common)
    return Settings(training=training, run=RunSettings(devices="cpu"))


def fashion(folder: Path) -> Path:
    """Write as many images of each class as one another, always the same."""
    path = folder / "fashion_mnist.npz"
    (source,) = (DATA / "images").rglob("fashion_mnist*.npz")
    dice = generator(0, "fashion")
    with np.load(source) as arrays:
        x, y = arrays["x_train"], arrays["y_train"]
    classes = [dice.permutation(np.flatnonzero(y == c)) for c in np.unique(y)]
    bounds = np.cumsum([0, *(count // len(classes) for count in _FASHION)])
    places = [np.concatenate([c[a:b] for c in classes]) for a, b in pairwise(bounds)]
    names = {}
    for split, chosen in zip(("train", "val"), places, strict=True):
        names |= {f"x_{split}": x[chosen], f"y_{split}": y[chosen]}
    np.savez(path, **names)
    return path


def genomes(count: int) -> dict[str, list[Genome]]:
    """Return the recipes of each list."""
    drawn: list[Genome] = []
    number = 0
    while len(drawn) < count:
        genome = SPACE.sample(generator(0, "views", number))
        number += 1
        changed = ("augment", "hflip", "reprob", "mixup", "cutmix")
        sensible = 3e-4 <= float(genome["lr"]) <= 1e-2
        if sensible and genome["freeze_depth"] and any(genome[name] for name in changed):
            drawn.append(genome)
    good = []
    for i in range(count):
        dice = generator(0, "good", i)
        lr = 1e-3 * float(np.exp(dice.uniform(-0.7, 1.1)))
        good.append(
            {"lr": lr, "head_lr_factor": 10.0, "freeze_depth": (0.25, 0.5, 0.75, 1.0)[i % 4]}
        )
    augmented = [
        {"augment": (0.2, 0.5, 0.8, 1.0)[(i + i // 4) % 4], "hflip": (0.0, 0.5)[i // 2 % 2],
         "reprob": (0.0, 0.25)[i % 2]} for i in range(count)
    ]  # fmt: skip
    mixed = [
        {"augment": 0.0, "mixup": (0.2, 0.0, 0.8)[i % 3], "cutmix": (0.0, 0.5, 1.0)[i % 3]}
        for i in range(count)
    ]
    return {
        "drawn": drawn,
        "augmented": [SPACE.complete({**g, **a}) for g, a in zip(good, augmented, strict=True)],
        "mixed": [SPACE.complete({**g, **m}) for g, m in zip(good, mixed, strict=True)],
    }


def measure(
    task: Task, epochs: int, views: int, lists: dict[str, list[Genome]], seeds: int
) -> list[dict[str, Any]]:
    """Evaluate every recipe; return a row a trial."""
    asked = {
        (group, i, seed): genome
        for group, members in lists.items()
        # How many views there are does not matter to what is only mixed.
        if group != "mixed" or views in (0, 4)
        for i, genome in enumerate(members)
        for seed in range(seeds)
    }
    return [
        {
            "task": task.name, "epochs": epochs, "views": views, "list": group,
            "recipe": i, "seed": seed, "status": str(outcome.status),
            "accuracy": outcome.fitness if outcome.status is Status.OK else None,
        }
        for (group, i, seed), outcome in task.evaluate(asked, epochs, views).items()
    ]  # fmt: skip


def clock(task: Task, epochs: int, genomes: list[Genome]) -> list[dict[str, Any]]:
    """Evaluate each recipe twice in one worker, fresh and with views; return a row a recipe."""
    asked = {("", i, 0): genome for i, genome in enumerate(genomes)}
    fresh, viewed = (task.evaluate(asked, epochs, views, times=2) for views in (0, 4))
    return [
        {
            "task": task.name, "epochs": epochs, "freeze_depth": genome["freeze_depth"],
            "fresh": fresh[key].metrics["seconds 1"],
            "first": viewed[key].metrics["seconds 0"],
            "again": viewed[key].metrics["seconds 1"],
        }
        for key, genome in asked.items()
    ]  # fmt: skip


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the comparison of each task and of all, for each list, epochs and views."""
    found: dict[Any, dict[Any, dict[str, Any]]] = {}
    for row in rows:
        trial = row["task"], row["recipe"], row["seed"]
        for task in (row["task"], "all"):
            key = task, row["list"], row["epochs"], row["views"]
            found.setdefault(key, {})[trial] = row
    order = [*TASKS, "all"]
    keys = sorted((key for key in found if key[3]), key=lambda k: (order.index(k[0]), *k[1:]))
    results = []
    for key in keys:
        names = dict(zip(("task", "list", "epochs", "views"), key, strict=True))
        results.append(names | difference(found[*key[:3], 0], found[key]))
    return results


def difference(fresh: dict[Any, Any], trials: dict[Any, Any]) -> dict[str, Any]:
    """Return the mean difference of the accuracy to fresh augmentation."""
    fresh = {trial: fresh[trial] for trial in trials}
    pairs: dict[Any, list[float]] = {}
    for trial, row in trials.items():
        one, other = row["accuracy"], fresh[trial]["accuracy"]
        if one is not None and other is not None:
            pairs.setdefault(trial[:2], []).append(one - other)
    means = [mean(values) for values in pairs.values()]
    error = stdev(means) / math.sqrt(len(means))
    return {
        "recipes": len(means),
        "fresh_accuracy": mean(row["accuracy"] or 0.0 for row in fresh.values()),
        "difference": mean(means),
        "half_width": float(student.ppf(0.975, len(means) - 1)) * error,
    }


def report(content: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    named = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    lines = [
        "# What views cost and save",
        "",
        f"`python benchmarks/views.py --count {content['count']} --seeds {content['seeds']}` with "
        f"{named}; one thread a worker. Rows that are missing were not run.",
        "",
        f"{content['count']} recipes a list, seeds of each: {content['seeds']}; difference of mean "
        "validation accuracy to augmentation anew in each epoch (`--views 0`), in points of a per "
        "cent, with the 95 % interval over recipes (Student's t).",
        "",
        "| data | list | epochs | fresh, % | views | difference |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['task']} | {r['list']} | {r['epochs']} | {100 * r['fresh_accuracy']:.1f} "
        f"| {r['views'] if r['list'] != 'mixed' else 'any'} "
        f"| {100 * r['difference']:+.2f} ± {100 * r['half_width']:.2f} |"
        for r in content["compared"]
    ]
    lines += [
        "",
        "Processor time of a trial of the `augmented` recipes, s: augmented anew in each epoch; "
        "with four views when nothing is there to share yet (the split, the features that no "
        "earlier row computed); and when all is.",
        "",
        "| data | epochs | frozen share | anew | views, first | views, again |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['task']} | {r['epochs']} | {r['freeze_depth']} | {r['fresh']:.2f} "
        f"| {r['first']:.2f} | {r['again']:.2f} |"
        for r in content["clock"]
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--task", "tasks", multiple=True, default=TASKS, type=click.Choice(TASKS))
@click.option("--epochs", multiple=True, default=(5, 15), show_default=True)
@click.option("--views", multiple=True, default=(0, 2, 4, 8), show_default=True)
@click.option("--count", default=8, show_default=True, help="Recipes in each list.")
@click.option("--seeds", default=2, show_default=True, help="Seeds for each recipe.")
@click.option("--output", type=click.Path(path_type=Path), default=HERE / "results",
              help="Folder for views.json and views.md.")  # fmt: skip
def main(tasks: tuple[str, ...], epochs: tuple[int, ...], views: tuple[int, ...], count: int,
         seeds: int, output: Path) -> None:  # fmt: skip
    """Measure and write ``views.json`` and ``views.md``."""
    rows: list[dict[str, Any]] = []
    times: list[dict[str, Any]] = []
    output.mkdir(parents=True, exist_ok=True)
    lists = genomes(count)

    def write() -> None:
        content = {"versions": versions(), "count": count, "seeds": seeds,
                   "compared": compared(rows), "clock": times, "trials": rows}  # fmt: skip
        (output / "views.json").write_text(json.dumps(content, indent=1) + "\n")
        (output / "views.md").write_text(report(content))

    for name in tasks:
        if name != "digits" and not DATA.is_dir():
            click.echo(f"{name} is left out: there is no {DATA}; name it by EVOFT_DATA", err=True)
            continue
        with Task(name) as task:
            times += clock(task, min(epochs), lists["augmented"][:4])
            for several, number in product(epochs, views):
                rows += measure(task, several, number, lists, seeds)
                write()
    click.echo((output / "views.md").read_text())


if __name__ == "__main__":
    main()
