"""Streams of random numbers: each from a seed of its own, and torch's, from which layers draw."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class Stream:
    """A generator on the CPU, so that a seed means the same for every device."""

    def __init__(self, seed: int) -> None:
        self._generator = Generator().manual_seed(seed)

    @property
    def state(self) -> Tensor:
        """What it is going to give follows from, as bytes; set it to give the same again."""
        return self._generator.get_state()

    @state.setter
    def state(self, state: Tensor) -> None:
        self._generator.set_state(state)


def torch_state(device: torch.device) -> list[Tensor]:
    """Return what random layers on a device, such as dropout, draw from next."""
    own = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *own]


def set_torch_state(states: Sequence[Tensor], device: torch.device) -> None:
    """Have random layers on a device draw from what `torch_state` returned."""
    torch.set_rng_state(states[0])
    for own in states[1:]:
        torch.cuda.set_rng_state(own, device)
