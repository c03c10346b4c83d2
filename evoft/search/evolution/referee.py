"""The referee: a Gaussian process that predicts the full trainings of the unborn and the paused.

Rasmussen and Williams (2006), algorithm 2.1, over the kernel of ``kernel.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.kernel import Kernel, Observations

#: Noise added to a covariance that rounding has made singular, until it has a Cholesky factor.
_JITTERS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)


@dataclass(frozen=True, slots=True)
class Referee:
    """The Gaussian process given observations."""

    kernel: Kernel
    data: Observations
    #: Lower Cholesky factor of the observations' covariance, ``(n, n)``.
    factor: Array
    #: What was observed, on the yardstick's scale, ``(n,)``.
    scores: Array
    #: The inverse covariance times the scores, ``(n,)``.
    weights: Array

    @staticmethod
    def of(kernel: Kernel, data: Observations, scores: Array) -> Referee:
        """Return the referee that has seen ``scores``."""
        who = data.who
        genomes = _observed(kernel, data, data.rows[who])
        k = kernel.between(genomes, who[:, None] == who[None, :], data.when, data.when)
        k[np.diag_indices_from(k)] += kernel.noise
        return Referee(kernel, data, _factor(k), scores, scores).given(scores)

    def given(self, scores: Array) -> Referee:
        """Return the same referee with other scores, ``(n,)``, for the same observations."""
        weights = cho_solve((self.factor, True), scores, check_finite=False)
        return replace(self, scores=scores, weights=weights)

    def extended(self, who: Indices, when: Array, rows: Array, scores: Array) -> Referee:
        """Return the referee with more observations.

        Args:
            who: Whose they are, ``(b,)``.
            when: When they were made, ``(b,)``.
            rows: Encoded genomes of all individuals, old and new, ``(m, columns)``.
            scores: What was observed, ``(b,)``.
        """
        n, kernel = len(self.data), self.kernel
        data = Observations(np.append(self.data.who, who), np.append(self.data.when, when), rows)
        genomes = _observed(kernel, data, rows[who])
        k = kernel.between(genomes, data.who[:, None] == who[None, :], data.when, when)
        k[n + np.arange(len(who)), np.arange(len(who))] += kernel.noise
        cross = solve_triangular(self.factor, k[:n], lower=True, check_finite=False)
        factor = np.zeros((len(data), len(data)), order="F")
        factor[:n, :n] = self.factor
        factor[n:, :n] = cross.T
        factor[n:, n:] = _factor(k[n:] - cross.T @ cross)
        everything = np.append(self.scores, scores)
        return Referee(kernel, data, factor, everything, everything).given(everything)

    def unborn(self, rows: Array) -> Candidates:
        """Return encoded genomes, ``(k, columns)``, as the referee sees them unborn."""
        return Candidates(self, _observed(self.kernel, self.data, rows), None)

    def born(self, who: Indices) -> Candidates:
        """Return observed individuals, ``(k,)``, as the referee sees them."""
        genomes = _observed(self.kernel, self.data, self.data.rows[who])
        return Candidates(self, genomes, self.data.who[:, None] == who[None, :])


@dataclass(frozen=True, slots=True)
class Candidates:
    """Some individuals before the referee."""

    referee: Referee
    #: G between the observations and them, ``(n, k)``.
    genomes: Array
    #: Which observations are their own, ``(n, k)``; None: none is.
    same: NDArray[np.bool_] | None

    def __len__(self) -> int:
        return int(self.genomes.shape[1])

    def only(self, places: Indices) -> Candidates:
        """Return those in some places."""
        same = None if self.same is None else self.same[:, places]
        return Candidates(self.referee, self.genomes[:, places], same)

    def means(self, when: float | Array = 1.0) -> Array:
        """Return their predicted scores at a time, one for all or one each, ``(k,)``."""
        k = self._covariance(when)
        return np.asarray(k.T @ self.referee.weights)

    def explained(self, when: float = 1.0) -> Array:
        """Return what the observations explain of their scores at a time, whitened, ``(n, k)``."""
        factor = self.referee.factor
        k = self._covariance(when)
        return np.asarray(solve_triangular(factor, k, lower=True, check_finite=False))

    def variances(self, full: Array) -> Array:
        """Return the variances of their full trainings' scores, noise apart, ``(k,)``.

        Args:
            full: What is explained of the full trainings.
        """
        prior = self.referee.kernel.prior(np.ones(1), np.ones(1))
        return np.asarray(np.maximum(prior - np.square(full).sum(axis=0), 1e-12))

    def revealed(self, when: float, full: Array) -> Array:
        """Return how much of a full training's variance an observation at a time will explain.

        That is the variance that the predicted score of the full training has before the
        observation is made: of the knowledge gradient (Frazier, Powell and Dayanik 2009).

        Args:
            when: The time of the observation.
            full: What is explained of the full trainings, ``(n, k)``.
        """
        kernel, times, end = self.referee.kernel, np.array([when]), np.ones(1)
        now = full if when == 1.0 else self.explained(when)
        variance = kernel.prior(times, times) - np.square(now).sum(axis=0) + kernel.noise
        covariance = kernel.prior(times, end) - (now * full).sum(axis=0)
        return np.asarray(np.square(covariance) / np.maximum(variance, 1e-12))

    def _covariance(self, when: float | Array) -> Array:
        data, times = self.referee.data, np.atleast_1d(when)
        return self.referee.kernel.between(self.genomes, self.same, data.when, times)


def _observed(kernel: Kernel, data: Observations, rows: Array) -> Array:
    """Return G between the observations' individuals and encoded genomes, ``(n, k)``."""
    who, places = np.unique(data.who, return_inverse=True)
    return kernel.genome(data.rows[who], rows)[places]


def _factor(k: Array) -> Array:
    """Return the lower Cholesky factor, with as little more noise as it takes."""
    for jitter in _JITTERS:
        try:
            return np.asarray(cholesky(k + jitter * np.eye(len(k)), lower=True, check_finite=False))
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("the referee's covariance is not positive definite")
