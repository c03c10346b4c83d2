"""The optimizers of many linear heads at once, as torch's are that timm makes.

The functions change rows of heads in place, each row by its own rates; see ``memory``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.recipe import Recipe
from evoft.training.heads.memory import Weights, column

#: timm's defaults.
_BETA1, _BETA2, _ALPHA, _EPS = 0.9, 0.999, 0.9, 1e-8


@dataclass(frozen=True, slots=True)
class Group:
    """The heads of one optimizer: rows of ``Weights``."""

    opt: str
    #: Which of the heads.
    heads: slice
    values: Tensor
    slopes: Tensor
    first: Tensor
    second: Tensor
    #: ``(heads, classes, features)``: the weights in ``values``, and their slopes.
    weight: Tensor
    weight_slope: Tensor
    #: ``(heads, 1)``, float64.
    decay: Tensor
    #: ``(heads, 1)``; and the decay as it is added to slopes, ``(heads, 1, 1)``.
    momentum: Tensor
    added: Tensor

    @staticmethod
    def of(weights: Weights, recipes: Sequence[Recipe]) -> list[Group]:
        """Return a group for each optimizer; recipes of one must follow one another."""
        opts = [recipe.opt for recipe in recipes]
        found = []
        for opt in dict.fromkeys(opts):
            first = opts.index(opt)
            heads = slice(first, first + opts.count(opt))
            values, slopes = weights.values[heads], weights.slopes[heads]
            decay = column([recipe.weight_decay for recipe in recipes[heads]], values.device)
            group = Group(
                opt,
                heads,
                values,
                slopes,
                weights.first[heads],
                weights.second[heads],
                weights.matrix(values),
                weights.matrix(slopes),
                decay,
                column([recipe.momentum for recipe in recipes[heads]], values.device).float(),
                decay.float()[:, :, None],
            )
            found.append(group)
        return found

    def course(self, lr: Tensor, done: int) -> Course:
        """Return what the steps of an epoch are taken by.

        Args:
            lr: Learning rates ``(steps, all heads, 1)``, float64.
            done: Steps that were taken before.
        """
        lr = lr[:, self.heads]
        kept = (1.0 - lr * self.decay).float()[..., None]
        numbers = range(done + 1, done + 1 + len(lr))
        if self.opt.startswith("adam"):
            first = [1.0 - _BETA1**number for number in numbers]
            lr = lr / column(first, lr.device)[:, None]
        return Course((-lr).float(), kept, [(1.0 - _BETA2**number) ** 0.5 for number in numbers])

    def step(self, course: Course, at: int) -> None:
        """Take the step ``at`` of a course."""
        if self.opt == "adamw":  # Loshchilov and Hutter 2019, algorithm 2, the decay times the rate
            self.weight.mul_(course.kept[at])
        else:
            self.weight_slope.addcmul_(self.weight, self.added)
        _STEPS[self.opt](self, course.lr[at], course.roots[at])


@dataclass(frozen=True, slots=True)
class Course:
    """What the steps of one epoch are taken by."""

    #: ``(steps, heads, 1)``: minus the learning rate, with Adam's correction of the first moment.
    lr: Tensor
    #: ``(steps, heads, 1, 1)``: what decoupled decay leaves of a weight.
    kept: Tensor
    #: Adam's correction of the second moment's root, for each step.
    roots: list[float]


def _adam(group: Group, lr: Tensor, root: float) -> None:
    """Kingma and Ba 2015, algorithm 1."""
    group.first.lerp_(group.slopes, 1.0 - _BETA1)
    group.second.mul_(_BETA2).addcmul_(group.slopes, group.slopes, value=1.0 - _BETA2)
    below = group.second.sqrt().div_(root).add_(_EPS)
    group.values.addcmul_(torch.div(group.first, below, out=below), lr)


def _rmsprop(group: Group, lr: Tensor, root: float) -> None:
    """Tieleman and Hinton 2012, lecture 6.5, with momentum as torch has it."""
    group.second.mul_(_ALPHA).addcmul_(group.slopes, group.slopes, value=1.0 - _ALPHA)
    group.first.mul_(group.momentum).addcdiv_(group.slopes, group.second.sqrt().add_(_EPS))
    group.values.addcmul_(group.first, lr)


def _sgd(group: Group, lr: Tensor, root: float) -> None:
    """Sutskever et al. 2013, section 2: Nesterov's momentum, as torch has it."""
    group.first.mul_(group.momentum).add_(group.slopes)
    group.slopes.addcmul_(group.first, group.momentum)
    group.values.addcmul_(group.slopes, lr)


#: By timm's names; ``company.HEAD_OPTIMIZERS`` are the same.
_STEPS: Mapping[str, Callable[[Group, Tensor, float], None]] = {
    "adam": _adam,
    "adamw": _adam,
    "rmsprop": _rmsprop,
    "sgd": _sgd,
}
