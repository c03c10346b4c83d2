"""The living population under several objectives: NSGA-II's survival, one birth at a time."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import overload

from deap import base

from evoft.genome import Value
from evoft.search.variation import Chromosome


class CrowdedFitness(base.Fitness):  # type: ignore[misc]
    """The rank, negative, and then the crowding distance: NSGA-II's crowded comparison.

    DEAP compares fitnesses lexicographically, so its tournament is the crowded one (Deb et al.
    2002, section III-B).
    """

    weights = (1.0, 1.0)


class Scored(Chromosome):
    """A chromosome with a finite score for each objective, all maximised."""

    __slots__ = ("scores",)

    def __init__(self, values: Iterable[Value], id: int, scores: tuple[float, ...]) -> None:
        super().__init__(values, id, scores[0])
        self.scores = scores
        self.fitness = CrowdedFitness()


class Crowd(Sequence[Scored]):
    """The elite by rank and crowding, and in the places that are left the youngest.

    Whoever is born joins the elite; when that is too large, the one of the last rank that is most
    crowded leaves it, the youngest of equals (steady-state NSGA-II: Durillo et al. 2009).

    Args:
        size: How many live at a time.
        elite: How many of them are the elite, less than ``size``.
    """

    def __init__(self, size: int, elite: int) -> None:
        self._size = size
        self._places = elite
        self._elite: list[Scored] = []
        self._others: list[Scored] = []  # by id, the youngest last
        self._living: list[Scored] | None = None

    def __len__(self) -> int:
        return min(self._size, len(self._elite) + len(self._others))

    @overload
    def __getitem__(self, place: int) -> Scored: ...

    @overload
    def __getitem__(self, place: slice) -> list[Scored]: ...

    def __getitem__(self, place: int | slice) -> Scored | list[Scored]:
        if self._living is None:
            youngest = self._others[: -(self._size - len(self._elite)) - 1 : -1]
            self._living = _compared([*self._elite, *youngest])
        return self._living[place]

    def add(self, one: Scored) -> None:
        """Take in someone who is younger than all before."""
        self._living = None
        self._elite = _compared([*self._elite, one])
        if len(self._elite) > self._places:
            bisect.insort(self._others, self._elite.pop(), key=lambda other: other.id)
        del self._others[: -self._size]


def _compared(chromosomes: list[Scored]) -> list[Scored]:
    """Give each its fitness among these; return them best first, the elder of equals first."""
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import crowding_of, ranks_of

    if not chromosomes:
        return []
    scores = [one.scores for one in chromosomes]
    ranks = ranks_of(scores)
    for one, rank, distance in zip(
        chromosomes, ranks.tolist(), crowding_of(scores, ranks).tolist(), strict=True
    ):
        one.fitness.values = (-float(rank), distance)
    return sorted(chromosomes, key=lambda one: ([-v for v in one.fitness.wvalues], one.id))
