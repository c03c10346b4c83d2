"""The living population of a steady-state genetic algorithm, as DEAP's operators see it."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import overload

from evoft.search.variation import Chromosome


class Living(Sequence[Chromosome]):
    """The best ever, best first, and in the places that are left the youngest, youngest first.

    A birth looks at a few of them only, so a place is found at once, however many there are.

    Args:
        size: How many live at a time.
        elite: How many of them are the best ever, less than ``size``.
    """

    def __init__(self, size: int, elite: int) -> None:
        self._size = size
        self._places = elite
        self._elite: list[tuple[float, int, Chromosome]] = []  # (-score, id, who)
        self._others: list[tuple[int, Chromosome]] = []  # by id; the youngest of them live
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Chromosome: ...

    @overload
    def __getitem__(self, place: slice) -> list[Chromosome]: ...

    def __getitem__(self, place: int | slice) -> Chromosome | list[Chromosome]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not 0 <= place < self._size:
            raise IndexError(f"place {place} of {self._size}")
        best = len(self._elite)
        return self._elite[place][2] if place < best else self._others[best - place - 1][1]

    def add(self, chromosome: Chromosome) -> None:
        """Take in someone who is younger than all before, and has a finite score."""
        bisect.insort(self._elite, (-chromosome.score, chromosome.id, chromosome))
        if len(self._elite) > self._places:
            bisect.insort(self._others, self._elite.pop()[1:])
        # Nobody comes back from the others to the elite, so the eldest of many never live again.
        left = self._size - self._places
        if len(self._others) > 2 * left:
            del self._others[:-left]
        self._count = min(self._size, self._count + 1)
