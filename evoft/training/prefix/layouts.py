"""How a value between two parts of a model is kept, image by image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Graph, Node


@dataclass(frozen=True, slots=True)
class Layout:
    """How a value of the model is kept: one contiguous block an image.

    The order of the dimensions in memory is kept with it: convolutions and sums may differ in the
    last bit from one order to another.
    """

    #: Rows of the value that belong to one image.
    rows: int
    #: The value's dimensions as they lie in memory, outermost first.
    memory: tuple[int, ...]
    #: ``(side, ...)``, of one image as it is kept.
    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, value: Tensor, batch: int) -> Layout:
        """Return the layout of a value ``(batch * rows, ...)``."""
        rows = len(value) // batch
        memory = tuple(range(value.ndim))
        if _dense(value):
            strides = value.stride()
            memory = tuple(sorted(memory, key=lambda d: (-strides[d], d)))
        inner = tuple(value.shape[d] for d in memory if d)
        return cls(rows, memory, inner if rows == 1 else (rows, *inner), value.dtype)

    @property
    def bytes_per_image(self) -> int:
        """What one image takes."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    @property
    def _kept(self) -> tuple[int, ...]:
        return (0, *(d for d in self.memory if d))

    def keep(self, value: Tensor) -> Tensor:
        """Return a value as it is kept, ``(batch, *shape)``, in memory of its own."""
        kept = value.permute(self._kept).clone(memory_format=torch.contiguous_format)
        return kept if self.rows == 1 else kept.view(-1, *self.shape)

    def restore(self, graph: Graph, kept: Node) -> Node:
        """Add to a graph what makes the value of what is kept."""
        if self.rows != 1:
            kept = graph.call_method("flatten", (kept, 0, 1))
        if self._kept == self.memory:
            return self._permute(graph, kept, _inverse(self._kept))
        kept = self._permute(graph, kept, tuple(self._kept.index(d) for d in self.memory))
        kept = graph.call_method("contiguous", (kept,))
        return self._permute(graph, kept, _inverse(self.memory))

    @staticmethod
    def _permute(graph: Graph, value: Node, order: tuple[int, ...]) -> Node:
        if order == tuple(range(len(order))):
            return value
        return graph.call_method("permute", (value, *order))


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(d) for d in range(len(order)))


def _dense(value: Tensor) -> bool:
    """Whether a tensor fills its memory without gaps, in whatever order of its dimensions."""
    expected = 1
    sides = zip(value.shape, value.stride(), strict=True)
    for size, stride in sorted(sides, key=lambda side: (side[1], side[0])):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
