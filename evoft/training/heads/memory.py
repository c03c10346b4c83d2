"""Memory of many linear heads: what is done to one has the same bits in any company.

Sums and products run over one row at a time, in memory that begins and ends alike for each, and all
else is elementwise: so a head has the same bits whoever is beside it.  Plain ``torch.bmm`` does not
promise that, for BLAS goes by the number of rows and by where they lie.  A GPU gives no such bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Floats that the rows of matrices, and those of vector instructions, are rounded up to.
ROW, _BLOCK = 16, 64


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
    """Put each head's matrix product into ``out``, on a CPU the same to the bit for any number.

    Args:
        first: ``(heads, m, n)``.
        second: ``(heads, n, p)``.
        out: ``(heads, m, p)``, from ``room``.
    """
    # As `out` is not contiguous, a CPU makes one product after the other, without Python between.
    torch.bmm(first, second, out=out)


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

    @staticmethod
    def joined(parts: Sequence[Weights]) -> Weights:
        """Return a copy of the heads of all parts, in their order."""
        one = parts[0]
        return Weights(
            torch.cat([part.values for part in parts]),
            torch.cat([part.slopes for part in parts]),
            torch.cat([part.first for part in parts]),
            torch.cat([part.second for part in parts]),
            one.classes,
            one.features,
        )

    def row(self, head: int) -> Weights:
        """Return those of one head, in the same memory."""
        return Weights(
            self.values[head, None],
            self.slopes[head, None],
            self.first[head, None],
            self.second[head, None],
            self.classes,
            self.features,
        )
