"""Whether low rungs can be trusted: the rank correlation of neighbouring rungs on a random sample.

Those who climb by their promise are alike in their scores, and say little of how the rungs agree
on everyone.  So one birth in some, drawn by the run's seed, is *audited*: it climbs whatever its
score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoft.individual import Individual
from evoft.outcome import Status
from evoft.seeds import derive

#: One in so many births is audited.
EVERY = 5
#: A correlation as low as this says that a rung is of no use.
USELESS = 0.3
#: A rung is not given up on fewer audited individuals than this.
FEWEST = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the scores of two neighbouring rungs agree."""

    #: The lower of the two.
    rung: int
    #: Audited individuals that were judged on both.
    count: int
    #: Spearman's rank correlation of their scores; NaN where it has no meaning.
    correlation: float

    @property
    def is_low(self) -> bool:
        """Whether the lower rung is to be given up.

        That is so where the correlation lies a standard error (Fisher's, ``1 / sqrt(n - 3)`` on
        the scale of the inverse hyperbolic tangent) below ``USELESS``, of ``FEWEST`` or more.
        """
        if self.count < FEWEST or math.isnan(self.correlation):
            return False
        bounded = max(min(self.correlation, 1 - 1e-12), -1 + 1e-12)
        return math.atanh(bounded) + 1 / math.sqrt(self.count - 3) < math.atanh(USELESS)


def is_audited(seed: int, id: int) -> bool:
    """Tell whether an individual is audited: one of each ``EVERY`` births in a row is."""
    return derive(seed, "audit", id // EVERY) % EVERY == id % EVERY


def agreement(curves: Iterable[Sequence[float]], rung: int) -> Agreement:
    """Return how a rung agrees with the one above it.

    Args:
        curves: For each audited individual, in order of birth, its scores from the lowest rung to
            the highest at which it was judged; minus infinity for a failure, NaN for a lost
            trial, which shows nothing.
        rung: The lower of the two.
    """
    pairs = []
    for curve in curves:
        if len(curve) > rung + 1:
            if not math.isnan(curve[rung] + curve[rung + 1]):
                pairs.append((curve[rung], curve[rung + 1]))
        elif len(curve) == rung + 1 and curve[rung] > -math.inf:
            # It will climb, but has not yet.  The later born that have may owe it to their scores.
            break
    low, high = zip(*pairs, strict=True) if pairs else ((), ())
    return Agreement(rung, len(pairs), rank_correlation(low, high))


def agreements(individuals: Iterable[Individual], seed: int, rungs: int) -> list[Agreement]:
    """Return how each rung but the highest agrees with the one above it.

    Args:
        individuals: A population in order of birth.
        seed: Of its run.
        rungs: How many there are.
    """
    curves = [
        [math.nan if o.status is Status.LOST else o.score for o in (*i.earlier, i.outcome)]
        for i in individuals
        if i.outcome is not None and is_audited(seed, i.id)
    ]
    return [agreement(curves, rung) for rung in range(rungs - 1)]


def rank_correlation(low: Sequence[float], high: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equals share the mean of their ranks.

    NaN for fewer than three pairs, or where all of either are equal.
    """
    if len(low) < 3 or len(set(low)) == 1 or len(set(high)) == 1:
        return math.nan
    return float(np.corrcoef(_ranks(low), _ranks(high))[0, 1])


def _ranks(scores: Sequence[float]) -> NDArray[np.float64]:
    _, places, counts = np.unique(np.array(scores), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])
