"""Streams of random numbers, each from a seed of its own."""

from __future__ import annotations

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
