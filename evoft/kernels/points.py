"""Scores as the kernels take them: distinct points of whole numbers, in lexicographic order.

Scores are ``(individuals, objectives)``, all of them maximised.  Whoever has a score that is no
finite number has failed, and is dominated by all who have not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Points:
    """The distinct rows among the scores of those that did not fail."""

    #: ``(points, objectives)``, lexicographically ascending; 0 is the best value of an objective,
    #: and each lower value counts one more.
    codes: NDArray[np.int64]
    #: ``(points, objectives)``: the scores themselves.
    scores: NDArray[np.float64]
    #: Places of the individuals that did not fail, ascending.
    good: NDArray[np.int64]
    #: For each of them, which point it is.
    of_good: NDArray[np.int64]
    #: For each point, the place of the first individual that is it.
    first: NDArray[np.int64]


def matrix(scores: ArrayLike) -> NDArray[np.float64]:
    """Return scores as a matrix ``(individuals, objectives)``.

    Raises:
        ValueError: They are none, or have no objective.
    """
    array = np.ascontiguousarray(scores, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(
            f"scores must be a matrix of individuals and objectives, but have shape {array.shape}"
        )
    return array


def points_of(scores: NDArray[np.float64]) -> Points:
    """Return the distinct points of a matrix of scores."""
    good = np.flatnonzero(np.isfinite(scores).all(axis=1))
    kept = scores[good]
    codes = np.empty(kept.shape, dtype=np.int64)
    for objective, column in enumerate(kept.T):
        codes[:, objective] = np.unique(-column, return_inverse=True)[1]
    order = np.lexsort(codes.T[::-1])  # stable: the first of equals comes first
    ordered = codes[order]
    fresh = np.ones(len(good), dtype=np.bool_)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    of_good = np.empty(len(good), dtype=np.int64)
    of_good[order] = np.cumsum(fresh) - 1
    first = good[order[fresh]]
    return Points(ordered[fresh], scores[first], good, of_good, first)
