"""How far a belief is to be trusted, by how those rank of whom something is known.

A belief that fades with time alone is followed until then, however wrong it is, and the longer the
surer its user was.  So it is measured: where genomes that it thinks likely do no better than
others, it counts for nothing, whatever its weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from numpy.random import Generator

from evoft.audit import rank_correlation
from evoft.genome import Genome, Value
from evoft.search.evolution.encoding import Array, Indices

#: A belief is trusted at first as if it had been right about so many individuals.
_CREDIT = 4.0


class Belief(Protocol):
    """What the user believes of good genomes; it fades as stints are decided.

    As in Hvarfner and others (2022, section 4), it is raised to the power ``weight / stints``.
    """

    @property
    def weight(self) -> float:
        """How many stints it weighs as much as."""

    def sample(self, rng: Generator) -> Genome:
        """Return a genome drawn from it."""

    def log_density(self, genomes: Iterable[Mapping[str, Value]]) -> Array:
        """Return the log density of genomes, ``(genomes,)``, up to a constant."""


class Faith:
    """A belief, or none, and how much it weighs at a decision.

    Args:
        belief: What the user believes.
    """

    def __init__(self, belief: Belief | None) -> None:
        self._belief = belief
        self._densities: list[float] = []  # of everyone born
        #: The power to which the belief is raised.
        self._power = 0.0

    def bear(self, genome: Genome) -> None:
        """Take the genome of who is born."""
        if self._belief:
            self._densities += self._belief.log_density([genome]).tolist()

    def weigh(self, ids: Indices, scores: Array, stints: int) -> None:
        """Settle what the belief weighs at a decision.

        Args:
            ids: Of those of whom something is known, ``(k,)``.
            scores: How good they are, ``(k,)``.
            stints: How many were decided before.
        """
        if self._belief:
            share = trust([self._densities[id] for id in ids.tolist()], scores.tolist())
            self._power = share * self._belief.weight / (1 + stints)

    def bonus(self, genomes: Iterable[Genome]) -> Array | float:
        """Return what is added to the logarithm of genomes' promises, ``(genomes,)``."""
        return self._power * self._belief.log_density(genomes) if self._belief else 0.0

    def sample(self, count: int, rng: Generator) -> list[Genome]:
        """Return those of so many immigrants that are drawn from the belief."""
        if not self._belief:
            return []
        return [self._belief.sample(rng) for _ in range(round(count * min(self._power, 1.0)))]


def trust(densities: Sequence[float], scores: Sequence[float]) -> float:
    """Return the share of a belief's weight that is left, ``[0, 1]``.

    It is the rank correlation of log density and score, and 1 for the individuals of the credit;
    0 where that is negative.

    Args:
        densities: What the belief says of individuals, ``(n,)``: any increasing function of it.
        scores: How good they are, ``(n,)``.
    """
    count = len(scores)
    correlation = rank_correlation(densities, scores)
    if math.isnan(correlation):
        return 1.0
    return max(0.0, (_CREDIT + count * correlation) / (_CREDIT + count))
