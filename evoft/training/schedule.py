"""The course of the learning rate; nothing in here needs torch.

A rate that falls from the first epoch to the last ties what is measured on the way to how long the
training is going to be.  One that stands until a short cool-down does not: the training can be
judged after any number of epochs by a cool-down that branches off, and goes on from there (Hu et
al. 2024, MiniCPM, section 4; Hägele et al. 2024, section 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evoft.recipe import Recipe

#: timm's optimizers that a test has seen go on from their ``state_dict`` to the bit.  Others may
#: hold something that is not in it.
_RESUMABLE = frozenset({
    "adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamp", "adamw", "adan",
    "lamb", "lars", "lion", "madgrad", "momentum", "nadam", "nadamw", "nesterov", "novograd",
    "radam", "rmsprop", "rmsproptf", "sgd", "sgdp", "sgdw",
})  # fmt: skip


def rate_factor(recipe: Recipe, progress: float) -> float:
    """Return the learning rate as a share of its peak, where it falls all the way.

    Args:
        recipe: Its schedule and warm-up.
        progress: Share of the training that is done, ``[0, 1]``.
    """
    if progress < recipe.warmup:
        return progress / recipe.warmup
    return _fallen(recipe.sched, (progress - recipe.warmup) / (1.0 - recipe.warmup))


def _fallen(sched: str, done: float) -> float:
    """Return the rate as a share of its peak when a share of its fall is done."""
    match sched:
        case "linear":
            return 1.0 - done
        case "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        case "step":
            return 0.1 ** min(int(3 * done), 2)
        case _:
            return 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The optimizer steps of a training that is judged at its recipe's end or before."""

    recipe: Recipe
    #: Of an epoch.
    steps: int
    #: After so many it ends and is judged.
    total: int
    #: Whatever ends later takes the same steps up to here, where the cool-down begins.
    fall: int

    @staticmethod
    def of(recipe: Recipe, steps: int, epochs: float | None = None) -> Schedule:
        """Return the schedule of a training.

        Args:
            recipe: In canonical form.
            steps: Of an epoch.
            epochs: After how many of them it is judged, above 0; None: the recipe's.  Where the
                rate falls all the way, it is then judged on the way.
        """
        total = max(1, round((recipe.epochs if epochs is None else epochs) * steps))
        if recipe.cooldown == 1.0:
            return Schedule(recipe, steps, total, total)
        warm = math.ceil(recipe.warmup * recipe.epochs * steps)
        fall = math.floor((1.0 - recipe.cooldown) * total)
        return Schedule(recipe, steps, total, min(total, max(fall, warm)))

    def allows(self, done: int) -> bool:
        """Tell whether what trained so many steps, for another end, can go on to this one."""
        return done <= self.fall and done < self.total

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0, as a share of its peak."""
        epoch, at = divmod(step, self.steps)
        progress = (epoch + (at + 0.5) / self.steps) / self.recipe.epochs
        if self.recipe.cooldown == 1.0 or progress < self.recipe.warmup:
            return rate_factor(self.recipe, progress)
        if step < self.fall:
            return 1.0
        return _fallen(self.recipe.sched, (step - self.fall + 0.5) / (self.total - self.fall))

    def stops(self, done: int = 0) -> list[int]:
        """Return after which steps, of those beyond ``done``, something is measured or kept."""
        ends = range(self.steps, self.total + 1, self.steps)
        return sorted(stop for stop in {*ends, self.fall, self.total} if stop > done)

    def measures(self, stop: int) -> bool:
        """Tell whether validation is looked at after so many steps.

        That is at the end, and after each epoch before the cool-down: within one, a training is
        neither what goes on nor what is judged.
        """
        return stop == self.total or (stop <= self.fall and stop % self.steps == 0)


def can_pause(recipe: Recipe) -> bool:
    """Tell whether a training can go on from what is left of it; else it begins anew."""
    return recipe.opt.lower() in _RESUMABLE and not recipe.patience
