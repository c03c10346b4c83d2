"""Features on a GPU: copies of what the store has, for as long as trials hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from evoft.training.features.entries import Mapped
from evoft.training.features.kept import Features, in_one_piece
from evoft.training.memory import is_out_of_memory

#: Share of a GPU's memory that a trial's features of one split may take; else they stay with the
#: processor, and batches of them are moved.  They go with the trial: how much memory the next one
#: finds must not depend on those before it.
_SHARE = 1 / 16


class Placed:
    """What one worker's trials have on its device."""

    def __init__(self) -> None:
        self._held = Mapped()

    def place(
        self,
        features: Features,
        device: torch.device,
        names: Callable[[], Sequence[str]] | None = None,
    ) -> Features:
        """Return features on a device; as they are where there is no room for them.

        Args:
            features: As the store has them.
            device: Where to; a CPU has them where they are.
            names: Of the entry of each view, which is then there once for all who hold it at a
                time; None: all views in one piece, from which batches are gathered faster.
        """
        if not _has_room(device, sum(value.nbytes for view in features.values for value in view)):
            return features
        try:
            if names is None:
                return in_one_piece(features, device)
            views = zip(names(), features.values, strict=True)
            return replace(
                features, values=tuple(self._there(device, name, view) for name, view in views)
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        return features

    def _there(
        self, device: torch.device, name: str, values: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        if (there := self._held.find(name)) is not None:
            return there
        return self._held.keep(name, tuple(value.to(device, copy=True) for value in values))


def _has_room(device: torch.device, size: int) -> bool:
    """Whether so many bytes of features are copied to a device."""
    if device.type != "cuda":
        return False
    total: int = torch.cuda.get_device_properties(device).total_memory
    return size <= _SHARE * total
