"""What trials cost: a small model of seconds and memory from probes, refined by what trials took.

A trial is a start, steps, images that pass forward and, above the frozen layers, backward, and the
images of validation.  What each part takes on this machine comes from the probes; how far off that
is, from a ridge regression of the outcomes so far towards the probes' answer (Hoerl and Kennard
1970), with no part below zero, in which recent trials weigh more: features are computed once and
shared, machines warm up, and the search moves on to other recipes.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoft.recipe import Recipe
from evoft.training.facts import BackboneFacts, Probe, Probes

#: Seconds beside those of building the model: weights, checkpoint, journal.
_START = 0.05
#: Share of an image's forward pass that its random changes take, before any trial has shown it.
_CHANGES = 0.2
#: After so many trials an outcome weighs half.
_HALF_LIFE = 16.0
#: How many trials the probes' answer is worth.
_PRIOR = 1.0
#: Older outcomes are forgotten: they weigh less than one in a thousand.
_MEMORY = 200
#: Trials that end sooner are as good as free.
_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a step costs at one depth: seconds a step and seconds an image."""

    step: float
    image: float

    @staticmethod
    def of(probes: Sequence[Probe]) -> _Parts:
        """Return the line through the smallest and the largest batch that fitted."""
        fitting = sorted((p for p in probes if p.fits), key=lambda p: p.batch_size)
        if not fitting:
            return _Parts(0.0, 0.0)
        low, high = fitting[0], fitting[-1]
        if low.batch_size == high.batch_size:
            return _Parts(0.0, low.seconds / low.batch_size)
        image = (high.seconds - low.seconds) / (high.batch_size - low.batch_size)
        # A step takes no less than its images do, nor is any part of it for nothing.
        image = min(max(image, 0.1 * high.seconds / high.batch_size), low.seconds / low.batch_size)
        return _Parts(max(0.0, low.seconds - image * low.batch_size), image)


class Backbone:
    """What the probes of one backbone say."""

    def __init__(self, facts: BackboneFacts, probes: Probes) -> None:
        self._facts = facts
        self._probes = probes
        depths = sorted({probe.depth for probe in probes.steps})
        self._depths = depths
        self._parts = [
            _Parts.of([probe for probe in probes.steps if probe.depth == depth]) for depth in depths
        ]

    def parts(self, depth: int) -> _Parts:
        """Return what a step costs at any depth, by the depths that were probed."""
        steps = np.interp(depth, self._depths, [p.step for p in self._parts])
        images = np.interp(depth, self._depths, [p.image for p in self._parts])
        return _Parts(float(steps), float(images))

    def above(self, depth: int) -> float:
        """Return the share of the backbone's work that lies above the frozen layers, 0 to 1."""
        all_frozen, none = self._parts[-1].image, self._parts[0].image
        if none <= all_frozen:
            return 1.0 - depth / max(1, self._facts.layer_groups)
        return min(1.0, max(0.0, (self.parts(depth).image - all_frozen) / (none - all_frozen)))

    def terms(
        self, recipe: Recipe, train: int, val: int, epochs: float, sharing: int = 1
    ) -> list[float]:
        """Return the seconds of a trial's parts: start, steps, changes of images, validation.

        The fifth is a whole trial that trains a classifier on features that are kept: such trials
        may go together, and then cost less than their parts.

        Args:
            recipe: What it trains by.
            train: Images to train on.
            val: Images of validation.
            epochs: For how many it trains.
            sharing: How many trials a GPU has at a time.  Their steps' kernels take turns there;
                what a step takes beside them, such as the launching, goes on in all at once.
        """
        batch = min(recipe.batch_size, train)
        steps = epochs * (train // batch)
        images = steps * batch
        parts, forward = self.parts(recipe.freeze_depth), self._parts[-1].image
        above = self.above(recipe.freeze_depth)
        # What a frozen prefix made of images that do not change is computed once and shared.
        shared = recipe.freeze_depth > 0 and bool(self._facts.weights)
        spared = (1.0 - above) * forward if shared and not recipe.changes_images else 0.0
        on_images = images * max(parts.image - spared, 0.01 * parts.image)
        work = max(on_images + steps * parts.step, sharing * on_images)
        val_share = above if shared else 1.0
        looks = sharing * max(1.0, epochs) * val * self._probes.val_seconds * max(val_share, 0.01)
        changes = sharing * _CHANGES * images * forward if recipe.changes_images else 0.0
        start = _START + 2 * self._probes.build_seconds
        if recipe.freeze_depth >= self._facts.layer_groups and not recipe.changes_images:
            return [0.0, 0.0, 0.0, 0.0, start + work + looks]
        return [start, work, changes, looks, 0.0]

    def memory(self, batch_size: int) -> int:
        """Return the most bytes that a trial takes that trains everything; 0 if that is unknown."""
        probes = [p for p in self._probes.steps if p.depth == 0 and p.fits and p.memory]
        if not probes:
            return 0
        low, high = probes[0], probes[-1]
        if low.batch_size == high.batch_size:
            image = high.memory / high.batch_size
        else:
            image = max(0.0, (high.memory - low.memory) / (high.batch_size - low.batch_size))
        return int(high.memory + image * max(0, batch_size - high.batch_size))


class Costs:
    """Predicts seconds and memory of recipes, and learns from what trials took.

    Args:
        backbones: Facts and probes of each model.
        train: Images to train on.
        val: Images of validation.
    """

    def __init__(
        self, backbones: Mapping[str, tuple[BackboneFacts, Probes]], train: int, val: int
    ) -> None:
        self._backbones = {name: Backbone(*known) for name, known in backbones.items()}
        self._train, self._val = train, val
        self._terms: list[list[float]] = []
        self._seconds: list[float] = []
        self._factors: NDArray[np.float64] | None = None
        #: Bytes that a trial took more than its probes say, the most so far.
        self._beyond = 0
        #: How many trials a GPU has at a time.
        self._sharing = 1

    def share(self, trials: int) -> None:
        """Take in how many trials a GPU has at a time; a probe has it to itself."""
        self._sharing = trials

    def seconds(self, recipe: Recipe, start: float = 0.0, stop: float | None = None) -> float:
        """Return the seconds that a trial of this recipe is going to take.

        Args:
            recipe: What it trains by.
            start: Epochs that were trained before, which it goes on from.
            stop: Epochs trained in all when it ends; None: the recipe's.
        """
        if self._factors is None:
            self._factors = self._fit()
        return max(_LEAST, float(np.dot(self._of(recipe, start, stop), self._factors)))

    def learn(
        self, recipe: Recipe, seconds: float, start: float = 0.0, stop: float | None = None
    ) -> None:
        """Take in what a trial took; `seconds` has the arguments."""
        self._terms = [*self._terms[-_MEMORY:], self._of(recipe, start, stop)]
        self._seconds = [*self._seconds[-_MEMORY:], max(_LEAST, seconds)]
        self._factors = None

    def memory(self, batch_size: int) -> int:
        """Return the most bytes that any trial with this batch size takes; 0 if unknown."""
        probed = max(backbone.memory(batch_size) for backbone in self._backbones.values())
        return probed + self._beyond if probed else 0

    def saw(self, recipe: Recipe, memory: int) -> None:
        """Take in how many bytes a trial took at most; 0: unknown.

        What a trial takes beside its steps, such as images and features on a GPU, no probe shows.
        Less than was probed tells nothing of the largest trial.
        """
        probed = self._backbones[recipe.model].memory(min(recipe.batch_size, self._train))
        if memory and probed:
            self._beyond = max(self._beyond, memory - probed)

    def _of(self, recipe: Recipe, start: float, stop: float | None) -> list[float]:
        epochs = (recipe.epochs if stop is None else stop) - start
        known = self._backbones[recipe.model]
        return known.terms(recipe, self._train, self._val, epochs, self._sharing)

    def _fit(self) -> NDArray[np.float64]:
        """Return what each part is to be multiplied by."""
        parts = len(next(iter(self._terms), [0.0] * 5))
        ones = np.ones(parts)
        if not self._terms:
            return ones
        seconds = np.array(self._seconds)
        age = np.arange(len(seconds))[::-1]
        # Errors count in proportion, half to the trial's own length and half to the mean's:
        # sums are to be right, and short trials are to be known from long ones.
        scale = np.sqrt(seconds * statistics.fmean(self._seconds))
        weights = np.sqrt(0.5 ** (age / _HALF_LIFE)) / scale
        rows = np.array(self._terms) * weights[:, None]
        # All of it may be off by one factor, as when a machine is shared: that is the prior.
        whole = np.average(seconds / np.array(self._terms).sum(axis=1), weights=weights * seconds)
        pull = np.sqrt(_PRIOR / parts) * ones
        left = np.vstack([rows, np.diag(pull / max(whole, _LEAST))])
        return _least_squares(left, np.concatenate([weights * seconds, pull]))


def _least_squares(rows: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the solution without a negative part, by coordinate descent (Franc et al. 2005)."""
    gram, aim = rows.T @ rows, rows.T @ wanted
    found: NDArray[np.float64] = np.maximum(0.0, np.linalg.lstsq(rows, wanted, rcond=None)[0])
    for _ in range(200):
        for i in range(len(found)):
            if gram[i, i] > 0:
                found[i] = max(0.0, found[i] + (aim[i] - gram[i] @ found) / gram[i, i])
    return found
