"""What is kept of a split's images behind a frozen prefix, and how batches are gathered from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.training.prefix.split import Suffix

#: Bytes of features that are gathered at a time, or a batch if that is larger.
_GATHERED = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Features:
    """A split's images as the frozen prefix leaves them, and the model from there on."""

    suffix: Suffix
    #: For each view that may be drawn, ``(images, ...)`` tensors, one for each value at the cut, in
    #: the order of the split.
    values: tuple[tuple[Tensor, ...], ...]
    #: How many numbers of views there are to draw from; see ``views.choose``.
    views: int = 1

    #: For each value at the cut ``(views, images, ...)``, the memory of ``values``, where it lies
    #: in one piece; else empty.
    together: tuple[Tensor, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.values[0][0].device

    def batch(self, chosen: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return what is kept of some images, ``(batch, ...)`` each, where ``chosen`` is.

        Args:
            chosen: ``(batch,)``: which images.
            drawn: ``(batch,)``: which of ``values`` for each; None: the first.
        """
        here = self.device
        places = chosen.to(here)
        if drawn is None or len(self.values) == 1:
            rows = tuple(value[places] for value in self.values[0])
        elif self.together:
            rows = tuple(value[drawn.to(here), places] for value in self.together)
        else:
            rows = gathered(self.values, places, drawn.to(here))
        return tuple(row.to(chosen.device, non_blocking=True) for row in rows)

    def batches(self, chosen: Tensor, drawn: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield what `batch` gives for each row of ``(batches, batch)`` images and views.

        Several batches are gathered at a time, so that it takes as many calls as there are views,
        not images; and a GPU is waited for only before the first.
        """
        first = self.values[0]
        size = chosen.shape[1] * sum(value[:1].nbytes for value in first)
        count = max(1, _GATHERED // max(1, size))
        places, views = chosen.to(self.device), drawn.to(self.device)
        for some, of in zip(torch.split(places, count), torch.split(views, count), strict=True):
            rows = self.batch(some.flatten(), of.flatten())
            for values in zip(
                *(row.view(*some.shape, *row.shape[1:]) for row in rows), strict=True
            ):
                yield tuple(value.to(chosen.device, non_blocking=True) for value in values)


def gathered(
    views: Sequence[tuple[Tensor, ...]], chosen: Tensor, drawn: Tensor
) -> tuple[Tensor, ...]:
    """Return rows of several views: row ``chosen[i]`` of ``views[drawn[i]]`` at place ``i``."""
    order = torch.argsort(drawn)
    back = torch.argsort(order)
    counts = torch.bincount(drawn, minlength=len(views)).tolist()
    parts = torch.split(chosen[order], counts)
    return tuple(
        _by_view(values, parts, counts).index_select(0, back) for values in zip(*views, strict=True)
    )


def _by_view(values: Sequence[Tensor], parts: Sequence[Tensor], counts: list[int]) -> Tensor:
    """Return rows ``parts[k]`` of ``values[k]``, one after another."""
    rows = values[0].new_empty((sum(counts), *values[0].shape[1:]))
    for value, places, room in zip(values, parts, torch.split(rows, counts), strict=True):
        if len(places):
            torch.index_select(value, 0, places, out=room)
    return rows


def in_one_piece(features: Features, device: torch.device) -> Features:
    """Return features on a device, where all views of a value lie in one piece."""
    together = tuple(
        torch.empty((len(views), *views[0].shape), dtype=views[0].dtype, device=device)
        for views in zip(*features.values, strict=True)
    )
    for place, view in enumerate(features.values):
        for value, whole in zip(view, together, strict=True):
            whole[place].copy_(value)
    values = tuple(zip(*(whole.unbind() for whole in together), strict=True))
    return Features(features.suffix, values, features.views, together)
