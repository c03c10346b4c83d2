"""Non-dominated sorting and crowding distance, as NSGA-II has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoft.kernels.compiled import compiled
from evoft.kernels.dominance import divided_ranks, staircase_ranks
from evoft.kernels.points import Points, matrix, points_of


def ranks_of(scores: ArrayLike) -> NDArray[np.int64]:
    """Return each individual's rank: 0 on the Pareto front, 1 on the front without that one, ...

    An individual dominates another when it is as good in each objective and better in one; equals
    have equal ranks (Goldberg 1989; Srinivas and Deb 1994).

    Args:
        scores: ``(individuals, objectives)``, maximised.  Whoever has a score that is no finite
            number comes after everybody else.

    Returns:
        ``(individuals,)``.

    Raises:
        ValueError: The scores are no such matrix.
    """
    array = matrix(scores)
    points = points_of(array)
    ranks = np.zeros(len(array), dtype=np.int64)
    if len(points.good):
        found = _ranks(points.codes)
        ranks[:] = found.max() + 1
        ranks[points.good] = found[points.of_good]
    return ranks


def _ranks(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    objectives = codes.shape[1]
    if objectives == 1:
        return codes[:, 0]
    return staircase_ranks(codes) if objectives == 2 else divided_ranks(codes)


def crowding_of(scores: ArrayLike, ranks: ArrayLike) -> NDArray[np.float64]:
    """Return each individual's crowding distance among those of its rank.

    For each objective the distance between its two neighbours, as a share of the rank's range,
    summed over the objectives; infinite for the extremes (Deb et al. 2002, section III-B).  It is
    taken over distinct points, and the first individual at a point has it; further ones at the same
    point, and those that failed, have 0.

    Args:
        scores: ``(individuals, objectives)``.
        ranks: ``(individuals,)``, as by ``ranks_of``.

    Returns:
        ``(individuals,)``, from 0 to infinity.

    Raises:
        ValueError: The scores are no such matrix.
    """
    array = matrix(scores)
    points = points_of(array)
    fronts = np.asarray(ranks, dtype=np.int64)[points.first]
    distances = np.zeros(len(array))
    distances[points.first] = _distances(points, fronts)
    return distances


def _distances(points: Points, fronts: NDArray[np.int64]) -> NDArray[np.float64]:
    # Equal values of an objective are in lexicographic order, whoever came first.
    orders = [np.lexsort((codes, fronts)) for codes in points.codes.T]
    return _gaps(points.scores, fronts, np.stack(orders))


@compiled
def _gaps(
    scores: NDArray[np.float64], fronts: NDArray[np.int64], orders: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return crowding distances, given the order of the points by front and each objective."""
    points, objectives = scores.shape
    distances = np.zeros(points)
    for objective in range(objectives):
        order = orders[objective]
        values = scores[:, objective] / 2  # so that no difference is too large for a number
        start = 0
        for end in range(1, points + 1):
            if end < points and fronts[order[end]] == fronts[order[start]]:
                continue
            first, last = order[start], order[end - 1]
            span = values[first] - values[last]
            if span > 0 or end - start == 1:
                distances[first] = distances[last] = np.inf
            for place in range(start + 1, end - 1 if span > 0 else start):
                gap = values[order[place - 1]] - values[order[place + 1]]
                distances[order[place]] += gap / span
            start = end
    return distances
