"""Several objectives at one decision: a referee for each, and the compromise that is sought.

Each decision is after another compromise, so that all of them together are after the whole Pareto
front (Knowles 2006, "ParEGO", section III).  Unlike there, what is modelled is each objective, and
not the compromise: objectives differ in how they follow from genes and from epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from evoft.search.encoding import Array, Indices
from evoft.search.knowledge import Knowledge
from evoft.search.referee import Crowd, Referee
from evoft.search.scalarising import SUM, drawn_weights
from evoft.search.yardstick import Yardstick


@dataclass(frozen=True, slots=True)
class Compromise:
    """An augmented Tchebycheff function of the objectives on their yardsticks' scales.

    An objective's range is that of the front, so that a few who are far from it do not rule it.
    """

    yardsticks: tuple[Yardstick, ...]
    #: On the yardsticks' scales, the best value that was observed of each objective and what its
    #: distance from that weighs, ``(objectives,)``.
    best: Array
    rates: Array

    @staticmethod
    def drawn(yardsticks: tuple[Yardstick, ...], front: Array, rng: Generator) -> Compromise:
        """Return a compromise at random.

        Args:
            yardsticks: One for each objective.
            front: Observations that no other dominates, ``(k, objectives)``; none where all failed.
            rng: Draws what each objective weighs.
        """
        weights = drawn_weights(len(yardsticks), rng)
        if not len(front):
            return Compromise(yardsticks, np.zeros(len(weights)), weights)
        scaled = _scaled(yardsticks, front)
        best, span = scaled.max(axis=0), np.ptp(scaled, axis=0)
        return Compromise(yardsticks, best, weights / np.where(span > 0, span, 1.0))

    def __call__(self, values: Array) -> Array:
        """Return the scores of observations, ``(n,)``, given ``(n, objectives)``."""
        losses = self.losses(_scaled(self.yardsticks, values))
        return np.asarray(-(losses.max(axis=1) + SUM * losses.sum(axis=1)))

    def losses(self, scaled: Array) -> Array:
        """Return what weighs against values on the yardsticks' scales, ``(n, objectives)``."""
        return np.asarray((self.best - scaled) * self.rates)


@dataclass(frozen=True, slots=True)
class Panel:
    """A referee for each objective, and the compromise by which they judge together."""

    referees: tuple[Referee, ...]
    compromise: Compromise

    def unborn(self, rows: Array) -> PanelCrowd:
        """Return encoded genomes, ``(k, columns)``, as the referees see them unborn."""
        return self._crowd(tuple(referee.unborn(rows) for referee in self.referees))

    def born(self, who: Indices) -> PanelCrowd:
        """Return observed individuals, ``(k,)``, as the referees see them."""
        return self._crowd(tuple(referee.born(who) for referee in self.referees))

    def _crowd(self, crowds: tuple[Crowd, ...]) -> PanelCrowd:
        full = [crowd.explained(np.ones(len(crowd))) for crowd in crowds]
        means = np.stack([crowd.means() for crowd in crowds], axis=1)
        variances = np.stack(
            [crowd.variances(own) for crowd, own in zip(crowds, full, strict=True)], axis=1
        )
        rates = self.compromise.rates
        losses = self.compromise.losses(means)
        highest, chances = highest_of(losses, np.square(rates) * variances)
        return PanelCrowd(
            crowds,
            np.vstack(full),
            -(highest + SUM * losses.sum(axis=1)),
            (chances + SUM) * rates,
        )


@dataclass(frozen=True, slots=True)
class PanelCrowd:
    """Some individuals before a panel.

    The mean of the compromise moves with that of an objective by ``slopes``.  That is exact for a
    small observation and taken for all, so the variance of what it reveals is a weighted sum.
    """

    crowds: tuple[Crowd, ...]
    #: What the observations explain of the full trainings, one referee's after the other's,
    #: ``(observations, k)``.
    full: Array
    #: Predicted compromises of the full trainings, ``(k,)``.
    predicted: Array
    #: How they move with the objectives' means, ``(k, objectives)``.
    slopes: Array

    def __len__(self) -> int:
        return len(self.predicted)

    def only(self, places: Indices) -> PanelCrowd:
        """Return those in some places."""
        return PanelCrowd(
            tuple(crowd.only(places) for crowd in self.crowds),
            self.full[:, places],
            self.predicted[places],
            self.slopes[places],
        )

    def means(self) -> Array:
        """Return the predicted compromises of their full trainings, ``(k,)``."""
        return self.predicted

    def explained(self, when: Array) -> Array:
        """Return what the observations explain of their full trainings, whatever the time."""
        return self.full

    def variances(self, full: Array) -> Array:
        """Return how much would be known more if their full trainings were, ``(k,)``."""
        parts = zip(self.crowds, self._parts(full), strict=True)
        return self._together([crowd.variances(own) for crowd, own in parts])

    def revealed(self, when: float, full: Array) -> Array:
        """Return how much more an observation of all objectives at a time will tell, ``(k,)``."""
        parts = zip(self.crowds, self._parts(full), strict=True)
        return self._together([crowd.revealed(when, own) for crowd, own in parts])

    def _parts(self, full: Array) -> list[Array]:
        ends = np.cumsum([len(crowd.referee.data) for crowd in self.crowds])
        return np.split(full, ends[:-1])

    def _together(self, variances: list[Array]) -> Array:
        return np.asarray((np.square(self.slopes) * np.stack(variances, axis=1)).sum(axis=1))


def highest_of(means: Array, variances: Array) -> tuple[Array, Array]:
    """Return the mean of the highest of some independent normal variables, and who that is.

    Exact for two; more are taken in one by one, the highest of the former as if it were normal
    (Clark 1961).

    Args:
        means: ``(k, variables)``.
        variances: ``(k, variables)``.

    Returns:
        The means ``(k,)``, and for each variable the probability that it is the highest,
        ``(k, variables)``.
    """
    mean, variance = means[:, 0], variances[:, 0]
    chances = np.zeros(means.shape)
    chances[:, 0] = 1.0
    for place in range(1, means.shape[1]):
        other, its = means[:, place], variances[:, place]
        scale = np.sqrt(np.maximum(variance + its, 1e-18))
        lead = (mean - other) / scale
        kept, lost = ndtr(lead), ndtr(-lead)
        density = scale * np.exp(-0.5 * lead * lead) / np.sqrt(2 * np.pi)
        chances[:, :place] *= kept[:, None]
        chances[:, place] = lost
        square = (mean * mean + variance) * kept + (other * other + its) * lost
        square += (mean + other) * density
        mean = mean * kept + other * lost + density
        variance = np.maximum(square - mean * mean, 0.0)
    return mean, chances


def undominated(known: Knowledge, ids: Indices) -> NDArray[np.bool_]:
    """Tell which individuals nobody dominates of those whose highest rung is theirs, ``(k,)``.

    Args:
        known: What is known.
        ids: Of those who were judged and did not fail, ``(k,)``.
    """
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import ranks_of

    values = known.values[known.latest_of(ids)]
    rungs = np.array([known.rung(id) for id in ids.tolist()])
    best = np.zeros(len(ids), dtype=np.bool_)
    for rung in np.unique(rungs):
        at = rungs == rung
        best[at] = ranks_of(values[at]) == 0
    return best


def _scaled(yardsticks: tuple[Yardstick, ...], values: Array) -> Array:
    columns = [scale(column) for scale, column in zip(yardsticks, values.T, strict=True)]
    return np.stack(columns, axis=1)
