"""Whom to train next: the unborn and the paused, by what their best plan promises for its cost.

A *plan* is to train a candidate up to some rung.  It is worth the expected improvement of the best
predicted full training by what that rung will reveal: a normal variable whose variance is the part
of the candidate's predictive variance that the observation explains (the knowledge gradient of
Frazier, Powell and Dayanik 2009, with the correlation to others left out).  An uninformative rung
reveals nothing; the last rung gives plain expected improvement.

That is the worth of knowing better.  A full training is worth more, for only who was trained can be
taken home: to the plan that leads there its expected improvement on the best score observed is
added.  Without it whoever is predicted best has nothing to gain, and fresh broods go before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, ndtr

from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.referee import Candidates


@dataclass(frozen=True, slots=True)
class Plans:
    """Candidates' best plans, one each."""

    #: Logarithm of the promise, cost taken into account, ``(k,)``; minus infinity for none.
    values: Array
    #: Cost of the first stint, in full trainings, ``(k,)``.
    costs: Array
    #: The rung that the plan trains to, ``(k,)``.
    goals: Indices

    def then(self, other: Plans) -> Plans:
        """Return these candidates' plans and then the others'."""
        return Plans(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.costs, other.costs]),
            np.concatenate([self.goals, other.goals]),
        )

    def in_order(self, *, within: float) -> list[int]:
        """Return the candidates from the best plan down, those without one left out.

        The first is the cheapest of those whose promise is within a share ``within`` of the
        highest.
        """
        order = [int(i) for i in np.argsort(-self.values, kind="stable")]
        order = [i for i in order if self.values[i] > -math.inf]
        tied = [i for i in order if self.values[i] >= self.values[order[0]] - within]
        return sorted(tied, key=lambda i: float(self.costs[i])) + order[len(tied) :]


@dataclass(frozen=True, slots=True)
class Terms:
    """What plans are weighed by."""

    #: Where each rung stands in time, ``(rungs,)``.
    times: Array
    #: Cost of the way to each rung from nothing, in full trainings, ``(rungs,)``.
    costs: Array
    #: What is left to spend, in full trainings.
    purse: float
    #: Power of its cost that a plan's promise is divided by, 0 to 1.
    thrift: float
    #: So many candidates, of the highest plain expected improvement, are looked at closely.
    closely: int
    #: No plan ends at a lower rung.
    lowest: int = 0
    #: Whether each plan is to train in full, after the first stint, and worth plain expected
    #: improvement over the first stint's cost.
    plain: bool = False
    #: The best score that was observed, on the yardstick's scale; infinity where a full training
    #: is worth no more than what it reveals.
    observed: float = math.inf

    def way(self, rung: Indices) -> Array:
        """Return the cost of the way that is behind those who were judged at a rung, ``(k,)``."""
        return np.where(rung < 0, 0.0, self.costs[np.maximum(rung, 0)])


def plan(
    candidates: Candidates,
    rungs: Indices,
    best: float,
    terms: Terms,
    bonus: Array | float = 0.0,
    prices: Array | float = 1.0,
) -> Plans:
    """Return the best plan of each candidate.

    Args:
        candidates: Whose they are.
        rungs: Where each was judged last, ``(k,)``, below the highest; -1 for the unborn.
        best: The score to improve on, on the yardstick's scale.
        terms: What plans are weighed by.
        bonus: Added to the logarithm of the promise, ``(k,)``.
        prices: What an epoch of each costs, in epochs of the default's, ``(k,)``.
    """
    means, full = candidates.means(), candidates.explained()
    variances = candidates.variances(full)
    prices = np.broadcast_to(prices, len(candidates))
    hoped = log_expected_improvement(means, variances, best) + bonus
    behind, costs = terms.way(rungs), prices * (terms.costs[rungs + 1] - terms.way(rungs))
    if terms.plain:
        values = np.where(costs <= terms.purse, hoped - terms.thrift * np.log(costs), -np.inf)
        return Plans(values, costs, rungs + 1)
    values, goals = np.full(len(candidates), -np.inf), rungs + 1
    bonus = np.broadcast_to(bonus, len(candidates))
    worth = hoped - terms.thrift * np.log(prices)
    top = np.sort(np.argsort(-worth, kind="stable")[: terms.closely])
    for goal in range(terms.lowest, len(terms.times)):
        dues = prices * (terms.costs[goal] - behind)
        at = top[(rungs[top] < goal) & (dues[top] <= terms.purse)]
        if not len(at):
            continue
        revealed = candidates.only(at).revealed(float(terms.times[goal]), full[:, at])
        value = log_expected_improvement(means[at], revealed, best)
        if goal == len(terms.times) - 1 and terms.observed < math.inf:
            gain = log_expected_improvement(means[at], variances[at], terms.observed)
            value = np.logaddexp(value, gain)
        value += bonus[at]
        value -= terms.thrift * np.log(dues[at])
        better = value > values[at]
        values[at] = np.where(better, value, values[at])
        goals[at] = np.where(better, goal, goals[at])
    return Plans(values, costs, goals)


def hopes(candidates: Candidates, means: Array, best: float) -> Array:
    """Return the logarithm of what candidates' full trainings may improve on ``best``, ``(k,)``.

    Args:
        candidates: Whose they are.
        means: Their predicted scores after a full training, ``(k,)``.
        best: The score to improve on, on the yardstick's scale.
    """
    full = candidates.explained()
    return log_expected_improvement(means, candidates.variances(full), best)


def log_expected_improvement(means: Array, variances: Array, best: float) -> Array:
    """Return the logarithm of the expected improvement over ``best``, ``(k,)``.

    In logarithms, and by its asymptote far below the best, so that poor candidates still have an
    order (Ament and others 2023, equation 9).
    """
    deviations = np.sqrt(np.maximum(variances, 1e-18))
    return np.asarray(np.log(deviations) + _log_h((means - best) / deviations))


def _log_h(z: Array) -> Array:
    """Return ``log(phi(z) + z Phi(z))``."""
    near, far = np.maximum(z, -1.0), np.minimum(z, -1.0)
    plain = np.log(np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi) + near * ndtr(near))
    bracket = 1.0 + far * math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2))
    bracket = np.where(far < -1e4, 1.0 / np.square(far), np.maximum(bracket, 1e-300))
    below = -0.5 * far * far - 0.5 * math.log(2 * math.pi) + np.log(bracket)
    return np.where(z > -1.0, plain, below)
