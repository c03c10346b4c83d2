"""Which parameters of the kernel the observations speak for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.kernel import (
    COURSE,
    GENOME,
    LEAST_NOISE,
    NOISE,
    OWN,
    OWN_COURSE,
    SHARED,
    TERMS,
    TIME,
    Kernel,
    Observations,
    Priors,
    distances,
    matern,
)

#: Most steps of L-BFGS.
_STEPS = 40
#: What a kernel without a Cholesky factor is charged.
_HOPELESS = 1e10


def fit(data: Observations, scores: Array, genes: Indices, priors: Priors) -> Kernel:
    """Return the kernel of the highest posterior density, as found from the priors' medians.

    Args:
        data: Observations ordered by individual.
        scores: What was observed, on the yardstick's scale, ``(n,)``; or ``(n, objectives)`` for
            one kernel of all objectives, as if they had nothing to do with each other.
        genes: Gene of each column.
        priors: The parameters' priors.
    """
    evidence = Evidence.of(data, scores, genes, priors)
    low, high = priors.medians - 4 * priors.deviations, priors.medians + 4 * priors.deviations
    found = minimize(
        evidence,
        priors.medians,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": _STEPS, "maxfun": 2 * _STEPS, "ftol": 1e-6},
    )
    return Kernel(np.asarray(found.x), genes)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The negative log posterior density of a kernel's parameters, and its gradient."""

    data: Observations
    #: ``(n, objectives)``.
    scores: Array
    priors: Priors
    #: Squared distances in each gene, ``(genes, m * m)``.
    squares: Array
    #: 1 where two observations are one individual's, ``(n, n)``.
    same: Array
    #: Squared differences in time, ``(n, n)``.
    gaps: Array
    #: Where each individual's observations begin, ``(m,)``.
    starts: Indices

    @staticmethod
    def of(data: Observations, scores: Array, genes: Indices, priors: Priors) -> Evidence:
        """Return the evidence of observations ordered by individual, each of whom has some."""
        count, m = len(priors.medians) - TERMS, len(data.rows)
        squares = np.empty((count, m * m))
        for gene in range(count):
            columns = data.rows[:, genes == gene]
            squares[gene] = distances(columns, columns).ravel()
        return Evidence(
            data,
            scores.reshape(len(data), -1),
            priors,
            squares,
            (data.who[:, None] == data.who[None, :]).astype(float),
            np.square(data.when[:, None] - data.when[None, :]),
            np.flatnonzero(np.diff(data.who, prepend=-1)),
        )

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return the negative log density at ``theta``, ``(7 + genes,)``, and its gradient."""
        m = len(self.data.rows)
        terms = np.exp(theta[:TIME])
        inverse_scales = np.exp(-2.0 * theta[TERMS:])
        compact, slope = matern((inverse_scales @ self.squares).reshape(m, m))
        genomes = compact[np.ix_(self.data.who, self.data.who)]
        gaps = self.gaps * math.exp(-2.0 * theta[TIME])
        times = np.exp(-0.5 * gaps)
        on_genomes = terms[GENOME] + terms[COURSE] * times
        on_times = terms[SHARED] + terms[COURSE] * genomes + terms[OWN_COURSE] * self.same
        k = 1.0 + on_times * times + terms[GENOME] * genomes + terms[OWN] * self.same
        k[np.diag_indices_from(k)] += terms[NOISE] + LEAST_NOISE
        try:
            factor = cholesky(k, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return _HOPELESS, np.zeros_like(theta)
        alpha = cho_solve((factor, True), self.scores, check_finite=False)
        offset = (theta - self.priors.medians) / self.priors.deviations
        count = self.scores.shape[1]
        value = 0.5 * np.vdot(self.scores, alpha) + count * np.log(np.diag(factor)).sum()
        value += 0.5 * offset @ offset

        # Rasmussen and Williams, equation 5.9, with the sign turned round.
        weights = 0.5 * (count * _inverse(factor) - alpha @ alpha.T)
        in_time = weights * times
        gradient = np.empty_like(theta)
        gradient[SHARED] = terms[SHARED] * in_time.sum()
        gradient[GENOME] = terms[GENOME] * np.vdot(weights, genomes)
        gradient[COURSE] = terms[COURSE] * np.vdot(in_time, genomes)
        gradient[OWN] = terms[OWN] * np.vdot(weights, self.same)
        gradient[OWN_COURSE] = terms[OWN_COURSE] * np.vdot(in_time, self.same)
        gradient[NOISE] = terms[NOISE] * np.trace(weights)
        gradient[TIME] = np.vdot(in_time * on_times, gaps)
        # All observations of two individuals share their distances: sum over them first.
        pulled = np.add.reduceat(weights * on_genomes, self.starts, axis=0)
        pulled = np.add.reduceat(pulled, self.starts, axis=1) * slope
        gradient[TERMS:] = inverse_scales * (self.squares @ pulled.ravel())
        return float(value), gradient + offset / self.priors.deviations


def _inverse(factor: Array) -> Array:
    """Return the inverse of the matrix with this lower Cholesky factor."""
    inverse, _ = dpotri(factor, lower=1)
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(inverse, -1).T)
