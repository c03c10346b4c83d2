"""Steps of many linear classifiers at once, to the bit what each alone would take.

Every head is one row of every tensor.  Sums and products run over one row at a time, in memory that
begins and ends alike for each, and all else is elementwise: so a row has the same bits whoever is
beside it.  Plain ``torch.bmm`` does not promise that, for BLAS goes by the number of rows and by
where they lie in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.recipe import Recipe

#: Floats that the rows of matrices, and those of vector instructions, are rounded up to.
ROW, _BLOCK = 16, 64
#: timm's defaults for the optimizers below.
_BETA1, _BETA2, _ALPHA, _EPS = 0.9, 0.999, 0.9, 1e-8


def room(heads: int, rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return memory for a matrix of each head, all zeros.

    Returns:
        ``(heads, floats)``: all of the memory; and ``(heads, rows, columns)``: the matrices in it,
        which are never contiguous, so that products take the same way for one head as for many.
    """
    width = -(-(columns + 1) // ROW) * ROW
    size = -(-rows * width // _BLOCK) * _BLOCK
    memory = torch.zeros(heads, size, device=device)
    return memory, matrices(memory, rows, columns)


def matrices(memory: Tensor, rows: int, columns: int) -> Tensor:
    """Return the matrices ``(heads, rows, columns)`` in memory that ``room`` gave for such."""
    width = -(-(columns + 1) // ROW) * ROW
    return memory[:, : rows * width].view(-1, rows, width)[:, :, :columns]


def multiply(first: Tensor, second: Tensor, out: Tensor) -> None:
    """Put each head's matrix product into ``out``, the same to the bit for any number of heads.

    Args:
        first: ``(heads, m, n)``.
        second: ``(heads, n, p)``.
        out: ``(heads, m, p)``, from ``room``.
    """
    if out.device.type == "cpu":
        # As `out` is not contiguous, this is one product after the other, without Python between.
        torch.bmm(first, second, out=out)
        return
    for one, other, product in zip(first, second, out, strict=True):
        torch.mm(one, other, out=product)


@dataclass(frozen=True, slots=True)
class Rates:
    """What the steps of one optimizer's heads depend on; ``(heads, 1)`` each."""

    opt: str
    #: The optimizer's heads among all.
    heads: slice
    decay: Tensor
    momentum: Tensor

    @staticmethod
    def of(recipes: Sequence[Recipe], device: torch.device) -> list[Rates]:
        """Return those of each optimizer; its recipes must follow one another."""
        found = []
        opts = [recipe.opt for recipe in recipes]
        for opt in dict.fromkeys(opts):
            first = opts.index(opt)
            heads = slice(first, first + opts.count(opt))
            mine = recipes[heads]
            decay = column([recipe.weight_decay for recipe in mine], device)
            found.append(Rates(opt, heads, decay, column([r.momentum for r in mine], device)))
        return found


def column(numbers: Sequence[float], device: torch.device) -> Tensor:
    """Return a number for each head, ``(heads, 1)``."""
    return torch.tensor(numbers, dtype=torch.float64, device=device)[:, None]


@dataclass(slots=True)
class Weights:
    """What the heads' optimizers work on, ``(heads, floats)`` each; see ``room``.

    A matrix has a row for each class: its weights, then its bias.
    """

    values: Tensor
    slopes: Tensor
    #: Adam's first moment; the others' momentum.
    first: Tensor
    #: Adam's second moment; RMSprop's mean square.
    second: Tensor
    classes: int
    features: int

    @staticmethod
    def of(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Weights:
        """Return the start of heads with weights ``(classes, features)``, biases ``(classes,)``."""
        classes, features = weights[0].shape
        start = room(len(weights), classes, features + 1, weights[0].device)[0]
        slopes, first, second = (torch.zeros_like(start) for _ in range(3))
        made = Weights(start, slopes, first, second, classes, features)
        made.matrix(made.values).copy_(torch.stack(list(weights)))
        made.bias(made.values).copy_(torch.stack(list(biases)))
        return made

    def matrix(self, memory: Tensor) -> Tensor:
        """Return the part of ``memory`` that belongs to weights, ``(heads, classes, features)``."""
        return matrices(memory, self.classes, self.features + 1)[:, :, :-1]

    def bias(self, memory: Tensor) -> Tensor:
        """Return the part of ``memory`` that belongs to biases, ``(heads, classes)``."""
        return matrices(memory, self.classes, self.features + 1)[:, :, -1]

    def keep(self, heads: Tensor) -> Weights:
        """Return those of some heads, ``(kept,)``, alone."""
        return Weights(
            self.values[heads],
            self.slopes[heads],
            self.first[heads],
            self.second[heads],
            self.classes,
            self.features,
        )


def step(weights: Weights, rates: Sequence[Rates], lr: Tensor, number: int) -> None:
    """Take one step with every head's optimizer, as torch's do that timm makes.

    Args:
        weights: With their slopes; changed in place.
        rates: Of each optimizer.
        lr: ``(heads, 1)``, float64.
        number: Steps up to and with this one.
    """
    for mine in rates:
        _STEPS[mine.opt](_Part.of(weights, mine), lr[mine.heads], number)


@dataclass(frozen=True, slots=True)
class _Part:
    """One optimizer's heads."""

    values: Tensor
    slopes: Tensor
    first: Tensor
    second: Tensor
    #: The weights, their slopes: ``(heads, classes, features)``.
    weight: Tensor
    weight_slope: Tensor
    rates: Rates

    @staticmethod
    def of(weights: Weights, rates: Rates) -> _Part:
        values, slopes = weights.values[rates.heads], weights.slopes[rates.heads]
        return _Part(
            values,
            slopes,
            weights.first[rates.heads],
            weights.second[rates.heads],
            weights.matrix(values),
            weights.matrix(slopes),
            rates,
        )

    def decay_in_slope(self) -> None:
        self.weight_slope.addcmul_(self.weight, self.rates.decay.float()[:, :, None])


def _adam(part: _Part, lr: Tensor, number: int) -> None:
    """Kingma and Ba 2015, algorithm 1, with the decay in the gradient."""
    part.decay_in_slope()
    _adam_step(part, lr, number)


def _adamw(part: _Part, lr: Tensor, number: int) -> None:
    """Loshchilov and Hutter 2019, algorithm 2, with the decay times the rate."""
    part.weight.mul_((1.0 - lr * part.rates.decay).float()[:, :, None])
    _adam_step(part, lr, number)


def _adam_step(part: _Part, lr: Tensor, number: int) -> None:
    part.first.lerp_(part.slopes, 1.0 - _BETA1)
    part.second.mul_(_BETA2).addcmul_(part.slopes, part.slopes, value=1.0 - _BETA2)
    root = part.second.sqrt().div_((1.0 - _BETA2**number) ** 0.5).add_(_EPS)
    share = (-lr / (1.0 - _BETA1**number)).float()
    part.values.addcmul_(torch.div(part.first, root, out=root), share)


def _rmsprop(part: _Part, lr: Tensor, number: int) -> None:
    """Tieleman and Hinton 2012, lecture 6.5, with momentum as torch has it."""
    part.decay_in_slope()
    part.second.mul_(_ALPHA).addcmul_(part.slopes, part.slopes, value=1.0 - _ALPHA)
    part.first.mul_(part.rates.momentum.float())
    part.first.addcdiv_(part.slopes, part.second.sqrt().add_(_EPS))
    part.values.addcmul_(part.first, -lr.float())


def _sgd(part: _Part, lr: Tensor, number: int) -> None:
    """Sutskever et al. 2013, section 2: Nesterov's momentum, as torch has it."""
    momentum = part.rates.momentum.float()
    part.decay_in_slope()
    part.first.mul_(momentum).add_(part.slopes)
    part.slopes.addcmul_(part.first, momentum)
    part.values.addcmul_(part.slopes, -lr.float())


#: By timm's names; ``company.HEAD_OPTIMIZERS`` are the same.
_STEPS: Mapping[str, Callable[[_Part, Tensor, int], None]] = {
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
    "sgd": _sgd,
}
