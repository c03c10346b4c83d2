"""Real fine-tuning as problems for a search: each answer is a training, made when it is asked for.

``digits`` is what ``evoft evolve`` does without settings: scikit-learn's digits, the backbone that
evoft ships, 5 epochs.  ``sign_digits`` is 2,062 photographs of hands with mobilenetv2_035 at 96
pixels, 3 epochs.  ``fashion_mnist`` is 1,000 images of clothes to train on, drawn once, with 2,000
and 5,000 to validate and to test with, so that differences show; the shipped backbone, 5 epochs.
Images and weights lie in the folder that ``EVOFT_DATA`` names.  The space is evoft's default one,
but without its defaults, so that nobody is told the default recipe.

An answer is what evoft's own evaluation gives, a function of recipe, seed and epochs alone:

- The *observed* score after some epochs is the accuracy on the validation images after a cool-down
  over the last quarter of them, as on any rung of ``evoft evolve``, whoever asks, for whatever
  number of epochs; nothing is observed before a stint of training ends.
- The *true* score is the accuracy of the very same weights on the test images, which no method
  sees.  It is one training's, with the noise of one training and of a few hundred images.
- The cost of going on from one number of epochs to another is their difference, as in the tables.
  In truth the cool-down that is branched off is thrown away; that is free here for everybody: it
  would make a full training by evoft's rungs 5 % dearer on digits (8 % on sign_digits), by those
  of DEHB and SMAC3 10 % (8 %) and by those of Optuna's Hyperband 20 % (8 %).

Trainings are kept in ``results/search_trainings_TASK.jsonl``, by the digest of all that they follow
from but evoft's own code: remove the file where that changes what a training gives.  A run that
was stopped finds there what it had.  The best is known only when all runs are (``normalised`` in
``search_tables.py``).
"""

import atexit
import functools
import hashlib
import json
import math
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from in_process import fine_tuner
from search_problems import Answer, Problem
from tasks import DATA, settings_of

from evoft.genome import Genome
from evoft.outcome import CurvePoint, Status
from evoft.scratch import Scratch
from evoft.search.space import SearchSpace
from evoft.seeds import derive, generator
from evoft.settings import RunSettings, Settings, TrainingSettings
from evoft.training.default_space import default_genes
from evoft.training.device import the_device
from evoft.training.fine_tuner import FineTuner, checkpoint_path
from evoft.training.paused import Mark
from evoft.training.paused_folder import paused_path
from evoft.trial import Trial

RESULTS = Path(__file__).parent / "results"
#: So many random recipes show what a typical one is.
_SAMPLE = 16
#: Epochs of a full training.
_EPOCHS = {"digits": 5, "sign_digits": 3, "fashion_mnist": 5}
#: Of fashion_mnist.
_IMAGES = {"train": 1000, "val": 2000, "test": 5000}
#: Settings that have a say in a training beside the recipe.
_SETTLING = ("model_kwargs", "max_train_images", "views", "amp", "cache_size")
#: So many trainings at most are left to go on from; one that is gone costs time alone.
_LEFT = 400


@dataclass(frozen=True)
class Judgement:
    """What became of a training."""

    #: Accuracies on validation and test images; None: it diverged.
    observed: float | None
    true: float | None
    #: Epochs after which it ended: those asked for, or the one in which it diverged.
    ended: float


class Trainings:
    """Trains in this process, in one thread, what is not on file."""

    def __init__(self, task: str, tuner: FineTuner, known: Path) -> None:
        self._task, self._known_at = task, known
        # Kept, for the folder goes with it.
        self._scratch = Scratch()
        folder = self._scratch.path
        self._tuner = replace(tuner, checkpoints=folder, paused=folder, cache=folder)
        atexit.register(self._scratch.close)
        self._left: deque[Path] = deque()
        self._known = {
            line["key"]: Judgement(**{k: line[k] for k in ("observed", "true", "ended")})
            for line in map(json.loads, known.read_text().splitlines() if known.exists() else ())
        }

    @property
    def express(self) -> Callable[[Genome], Hashable]:
        """What a genome means."""
        return self._tuner.express

    @property
    def test_images(self) -> int:
        """On how many images a true score is counted."""
        return len(self._tuner.pixels.splits["test"])

    def judgement(self, genome: Genome, seed: int, epochs: int) -> Judgement:
        """Return what a training of so many epochs comes to."""
        whole = epochs == self._tuner.settings.epochs
        trial = Trial(0, genome, seed, rung=epochs, epochs=None if whole else float(epochs))
        key = hashlib.blake2b(self._said(trial, epochs).encode(), digest_size=16).hexdigest()
        if key not in self._known:
            # One name for all numbers of epochs, by which the longer finds what the shorter left.
            name = f"{self._tuner.express(trial.genome)} {seed}".encode()
            number = int.from_bytes(hashlib.blake2b(name, digest_size=7).digest(), "big")
            # A method may draw from torch's generator, which training seeds.
            with torch.random.fork_rng(devices=[]):
                found = self._train(replace(trial, individual=number), epochs)
            recipe = self._tuner.express(genome).to_dict()
            line = {"key": key, "epochs": epochs, "seed": seed, **asdict(found), "recipe": recipe}
            with self._known_at.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._known[key] = found
        return self._known[key]

    def _said(self, trial: Trial, epochs: int) -> str:
        """Return all that a training follows from."""
        recipe, settings = self._tuner.express(trial.genome), self._tuner.settings
        facts = self._tuner.express.facts[recipe.model]
        about = {
            "images": self._tuner.pixels.fingerprint,
            "weights": facts.weights,
            "preprocessing": asdict(facts.preprocessing),
            "device": the_device().type,
            **{name: getattr(settings, name) for name in _SETTLING},
        }
        return f"{Mark(recipe, trial.seed, about).text()} {epochs}"

    def _train(self, trial: Trial, epochs: int) -> Judgement:
        outcome = self._tuner.evaluate(trial)
        folder = self._scratch.path
        self._left.append(paused_path(folder, trial.individual))
        if len(self._left) > _LEFT:
            self._left.popleft().unlink(missing_ok=True)
        if outcome.status is Status.DIVERGED:
            return Judgement(None, None, _ended(outcome.curve, epochs))
        if outcome.status is not Status.OK:
            raise RuntimeError(f"{self._task}: {outcome.status}: {outcome.reason}")
        true = float(self._tuner.right(trial.genome, trial.key).mean())
        checkpoint_path(folder, trial.key).unlink()
        return Judgement(outcome.fitness, true, epochs)

    def answer(self, genome: Genome, seed: int, start: int, stop: int) -> Answer:
        """Return what going on from one number of epochs to another shows."""
        found = self.judgement(genome, seed, stop)
        lasts = max(min(found.ended, stop) - start, 1.0)
        if found.observed is None or found.true is None:
            return Answer([], [], lasts)
        count = stop - start
        return Answer([found.observed] * count, [(lasts, found.observed, found.true)], lasts)


def _ended(curve: tuple[CurvePoint, ...], epochs: int) -> float:
    """Return the end of the epoch after the last in which all was finite."""
    fine = [p.epoch for p in curve if all(map(math.isfinite, p.metrics.values()))]
    return min(math.floor(max(fine, default=0.0)) + 1.0, epochs)


def fine_tuning(task: str) -> Problem:
    """Return the problem of a task."""
    trainings = _trainings(task)
    genes = default_genes(["one"])
    told = {name: {k: v for k, v in gene.items() if k != "default"} for name, gene in genes.items()}
    return Problem(task, SearchSpace.from_dict(told), _EPOCHS[task], _unknown, _unknown, math.nan,
                   math.nan, express=trainings.express, train=trainings.answer,
                   advised=SearchSpace.from_dict(genes))  # fmt: skip


@functools.cache
def _trainings(task: str) -> Trainings:
    with closing(Scratch()) as scratch:  # for what is drawn, which is read here
        tuner = fine_tuner(_settings(task, scratch.path))
    return Trainings(task, tuner, RESULTS / f"search_trainings_{task}.jsonl")


def _settings(task: str, folder: Path) -> Settings:
    if task != "fashion_mnist":
        return settings_of(task, _EPOCHS[task])
    training = TrainingSettings(data=str(_clothes(folder)), epochs=_EPOCHS[task])
    return Settings(training=training, run=RunSettings(devices="cpu"))


def _clothes(folder: Path) -> Path:
    """Write images of fashion_mnist, always the same."""
    path = folder / "clothes.npz"
    (source,) = (DATA / "images").rglob("fashion_mnist*.npz")
    with np.load(source) as arrays:
        x, y = arrays["x_train"], arrays["y_train"]
    places = generator(0, "clothes").permutation(len(y))
    bounds = np.cumsum(list(_IMAGES.values()))
    splits = dict(zip(_IMAGES, np.split(places, bounds), strict=False))
    drawn = {f"{name}_{split}": all[at] for split, at in splits.items()
             for name, all in (("x", x), ("y", y))}  # fmt: skip
    np.savez(path, **drawn)
    return path


def _unknown(*_: Any) -> Any:
    """Stand where a table has curves."""
    raise AssertionError


def find_typical(task: str, path: Path) -> None:
    """Write the median true score of random genomes, trained in full, unless it is there.

    Beside it are these scores, 0 for what diverged, and how many images each was counted on.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    if task in known:
        return
    space, trainings, scores = fine_tuning(task).space, _trainings(task), []
    for number in range(_SAMPLE):
        genome = space.sample(generator(0, "typical", number))
        found = trainings.judgement(genome, derive(0, "typical", number), _EPOCHS[task])
        scores.append(found.true or 0.0)
    known = json.loads(path.read_text()) if path.exists() else {}
    known[task] = {"typical": float(np.median(scores)), "sample": scores,
                   "images": trainings.test_images}  # fmt: skip
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
