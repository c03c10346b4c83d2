"""One number for several objectives, for searches that can rank by one alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Share of the weighted sum beside the weighted maximum (Knowles 2006, section III-A).
_SUM = 0.05


def scalarise(
    values: ArrayLike, weights: ArrayLike, among: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the augmented Tchebycheff function of several objectives, to be maximised.

    Each objective is first taken as a share of the range of the finite values given, 0 for the
    best; the result is ``-(max(weights * shares) + 0.05 * sum(weights * shares))``.  For every
    point of the Pareto front there are weights with which it is the best (Knowles 2006, "ParEGO",
    section III-A).

    Args:
        values: ``(individuals, objectives)``, each objective maximised.
        weights: ``(objectives,)``, at least 0, of sum 1: see ``drawn_weights``.
        among: Whose range counts, ``(individuals,)``, the best in each objective among them; None:
            everybody's.  Where they are alike in an objective, everybody's range in it counts.

    Returns:
        ``(individuals,)``, from -1.05 to 0 if everybody's range counts; minus infinity for whoever
        has a value that is no finite number.
    """
    array = np.asarray(values, dtype=np.float64)
    good = np.isfinite(array).all(axis=1)
    result = np.full(len(array), -math.inf)
    if not good.any():
        return result
    kept = array[good] / 2  # so that no difference is too large for a number
    best, span = kept.max(axis=0), np.ptp(kept, axis=0)
    if among is not None:
        narrow = np.ptp(kept[among[good]], axis=0)
        span = np.where(narrow > 0, narrow, span)
    shares = (best - kept) / np.where(span > 0, span, 1.0)
    weighted = shares * np.asarray(weights, dtype=np.float64)
    result[good] = -(weighted.max(axis=1) + _SUM * weighted.sum(axis=1))
    return result


def drawn_weights(objectives: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return weights ``(objectives,)`` drawn evenly from all of sum 1 (Dirichlet)."""
    return rng.dirichlet(np.ones(objectives))
