"""How far a prior is to be trusted, by how those rank of whom something is known.

One that fades with time alone is followed until then, however wrong it is, and the longer the
surer its user was.  So it is measured: where genomes that it thinks likely do no better than
others, it counts for nothing, whatever its weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from numpy.random import Generator

from evoft.audit import rank_correlation
from evoft.genome import Genome
from evoft.search.evolution.encoding import Array, Indices
from evoft.search.prior import Prior

#: It is trusted at first as if it had been right about so many individuals.
_CREDIT = 4.0


class Faith:
    """A prior, or none, and how much it weighs at a decision.

    It fades as stints are decided: it is raised to the power ``weight / stints`` (Hvarfner and
    others 2022, section 4), by as much of its weight as it has earned.

    Args:
        prior: What the user believes.
    """

    def __init__(self, prior: Prior | None) -> None:
        self._prior = prior
        self._densities: list[float] = []  # of everyone born
        #: The power to which it is raised.
        self._power = 0.0

    def bear(self, genome: Genome) -> None:
        """Take the genome of who is born."""
        if self._prior:
            self._densities += self._prior.log_density([genome]).tolist()

    def weigh(self, ids: Indices, scores: Array, stints: int) -> None:
        """Settle what the prior weighs at a decision.

        Args:
            ids: Of those of whom something is known, ``(k,)``.
            scores: How good they are, ``(k,)``.
            stints: How many were decided before.
        """
        if self._prior:
            share = trust([self._densities[id] for id in ids.tolist()], scores.tolist())
            self._power = share * self._prior.weight / (1 + stints)

    def bonus(self, genomes: Iterable[Genome]) -> Array | float:
        """Return what is added to the logarithm of genomes' promises, ``(genomes,)``."""
        return self._power * self._prior.log_density(genomes) if self._prior else 0.0

    def sample(self, count: int, rng: Generator) -> list[Genome]:
        """Return those of so many immigrants that are drawn from the prior."""
        if not self._prior:
            return []
        return [self._prior.sample(rng) for _ in range(round(count * min(self._power, 1.0)))]


def trust(densities: Sequence[float], scores: Sequence[float]) -> float:
    """Return the share of a prior's weight that is left, ``[0, 1]``.

    It is the rank correlation of log density and score, and 1 for the individuals of the credit;
    0 where that is negative.

    Args:
        densities: What the prior says of individuals, ``(n,)``: any increasing function of it.
        scores: How good they are, ``(n,)``.
    """
    count = len(scores)
    correlation = rank_correlation(densities, scores)
    if math.isnan(correlation):
        return 1.0
    return max(0.0, (_CREDIT + count * correlation) / (_CREDIT + count))
