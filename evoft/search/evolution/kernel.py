"""The referee's kernel: how alike the scores of two genomes after two amounts of training are.

Scores are on the yardstick's scale.  Time is the logarithm of the epochs, 0 at the lowest rung and
1 at the highest.  The covariance of two scores, of individual i at s and of j at t, is

    1 + c T(s, t) + (g + h T(s, t)) G(x_i, x_j) + [i = j] (o + p T(s, t)) + [same] noise

with G a Matern-5/2 kernel over genes, each with a length scale of its own (Rasmussen and Williams
2006, equation 4.17 and section 5.1), T a squared exponential over time: what all curves share, what
genes do to the whole curve and to its course, and what is the individual's own (its seed, and what
the genes' kernel cannot say).  Swersky, Snoek and Adams (2014) freeze and thaw with such a sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from evoft.search.evolution.encoding import Array, Indices

#: Where a parameter stands in the vector of logarithms; the genes' length scales follow.
SHARED, GENOME, COURSE, OWN, OWN_COURSE, NOISE, TIME = range(7)
TERMS = 7
#: No smaller noise than this, as a variance on the yardstick's scale: a Cholesky factor needs it.
LEAST_NOISE = 1e-6


@dataclass(frozen=True, slots=True)
class Priors:
    """Medians and standard deviations of the parameters' log-normal priors, as logarithms."""

    #: Both ``(7 + genes,)``.
    medians: Array
    deviations: Array

    @staticmethod
    def of(genes: int) -> Priors:
        """Return the priors for so many genes.

        Distances grow with the square root of the number of genes, and so do the length scales
        (Hvarfner, Hellsten and Nardi 2024, section 4).
        """
        medians = [0.3, 0.7, 0.7, 0.03, 0.03, 1e-3, 0.5]
        deviations = [1.0, 0.7, 1.0, 1.5, 1.5, 1.5, 0.5]
        scale = 0.6 * math.sqrt(genes / 3.0)
        return Priors(
            np.log(np.array(medians + [scale] * genes)), np.array(deviations + [0.8] * genes)
        )


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known of individuals' curves: n observations of some of m individuals."""

    #: Row of the individual in ``rows``, ``(n,)``.
    who: Indices
    #: When, ``(n,)``: 0 is the lowest rung, 1 a full training.
    when: Array
    #: The individuals' encoded genomes, ``(m, columns)``.
    rows: Array

    def __len__(self) -> int:
        return len(self.who)


def matern(squares: Array) -> tuple[Array, Array]:
    """Return Matern-5/2 of squared scaled distances, and minus twice its derivative by them."""
    root = np.sqrt(5.0 * squares)
    fade = np.exp(-root)
    slope = (5.0 / 3.0) * (1.0 + root) * fade
    return (1.0 + root) * fade + (5.0 / 3.0) * squares * fade, slope


def distances(a: Array, b: Array) -> Array:
    """Return the squared distances between the rows of ``a`` and ``b``, ``(len(a), len(b))``."""
    return np.asarray(cdist(a, b, "sqeuclidean"))


@dataclass(frozen=True, slots=True)
class Kernel:
    """The covariance with its parameters."""

    #: Logarithms of the parameters, ``(7 + genes,)``.
    theta: Array
    #: Gene of each column, ``(columns,)``.
    genes: Indices

    def genome(self, a: Array, b: Array) -> Array:
        """Return G between encoded genomes, ``(m, columns)`` and ``(k, columns)``: ``(m, k)``."""
        scales = np.exp(self.theta[TERMS:])[self.genes]
        return matern(distances(a / scales, b / scales))[0]

    def between(self, genomes: Array, same: NDArray[np.bool_] | None, s: Array, t: Array) -> Array:
        """Return the covariance of scores, noise apart, ``(n, k)``.

        Args:
            genomes: G between them, ``(n, k)``.
            same: Which of them are one individual's, ``(n, k)``; None: none are.
            s: When the first were made, ``(n,)``.
            t: When the second were made, ``(k,)``, or ``(1,)`` if all at one time.
        """
        terms = np.exp(self.theta[:TIME])
        times = np.exp(-0.5 * np.square((s[:, None] - t[None, :]) / math.exp(self.theta[TIME])))
        k = 1.0 + terms[SHARED] * times + (terms[GENOME] + terms[COURSE] * times) * genomes
        if same is not None:
            k += same * (terms[OWN] + terms[OWN_COURSE] * times)
        return np.asarray(k)

    def prior(self, s: Array, t: Array) -> Array:
        """Return the covariance of an individual's scores at times ``s`` and ``t``, ``(k,)``."""
        terms = np.exp(self.theta[:TIME])
        times = np.exp(-0.5 * np.square((s - t) / math.exp(self.theta[TIME])))
        steady = 1.0 + terms[GENOME] + terms[OWN]
        return np.asarray(steady + (terms[SHARED] + terms[COURSE] + terms[OWN_COURSE]) * times)

    @property
    def noise(self) -> float:
        """Variance of an observation's noise."""
        return float(np.exp(self.theta[NOISE])) + LEAST_NOISE
