"""The hypervolume: how much of the space above a reference point a set of scores dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoft.kernels.compiled import compiled
from evoft.kernels.points import matrix
from evoft.kernels.ranking import ranks_of

_Real = NDArray[np.float64]

#: Most points on the front by the number of objectives, and for more objectives than that: the
#: time grows fast with either.  See benchmarks/results/kernels.md.
_MOST = {4: 10_000, 5: 3_000, 6: 1_000}
_MOST_BEYOND = 200


def hypervolume_of(scores: ArrayLike, reference: ArrayLike) -> float:
    """Return the exact hypervolume of scores (Zitzler and Thiele 1998).

    Two objectives are a sweep.  Three are a sweep over staircases (Fonseca, Paquete and
    Lopez-Ibanez 2006; Beume et al. 2009).  More are the sum of what each point adds to the better
    ones in its last objective, which has one objective less: WFG (While, Bradstreet and Barone
    2012).

    Args:
        scores: ``(individuals, objectives)``, maximised.  Whoever failed adds nothing.
        reference: ``(objectives,)``.  A point that is not better in each objective adds nothing.

    Raises:
        ValueError: The scores are no such matrix, the reference no such point; or there are more
            than three objectives and so many points that it would take too long.
    """
    array = matrix(scores)
    origin = np.asarray(reference, dtype=np.float64)
    if origin.shape != (array.shape[1],) or not np.isfinite(origin).all():
        raise ValueError(
            f"the reference must be {array.shape[1]} finite numbers, one an objective, but is "
            f"{origin.tolist()}"
        )
    above = array - origin
    above = above[np.isfinite(array).all(axis=1) & (above > 0).all(axis=1)]
    if not len(above):
        return 0.0
    match array.shape[1]:
        case 1:
            return float(above.max())
        case 2:
            return _area(above)
        case 3:
            return float(_volume(above))
    return float(_wfg(_front_of(above)))


def _area(points: _Real) -> float:
    ordered = points[np.argsort(-points[:, 0], kind="stable")]
    heights = np.maximum.accumulate(ordered[:, 1])
    return float(np.sum(ordered[:, 0] * np.diff(heights, prepend=0.0)))


def _front_of(points: _Real) -> _Real:
    """Return the distinct points that no other dominates.

    Raises:
        ValueError: They are too many.
    """
    front = np.unique(points[ranks_of(points) == 0], axis=0)
    count, objectives = front.shape
    most = _MOST.get(objectives, _MOST_BEYOND)
    if count > most:
        raise ValueError(
            f"the exact hypervolume of {objectives} objectives must be of at most {most} points "
            f"that no other dominates, but is asked of {count}: give fewer of either"
        )
    return front


@compiled
def _volume(points: _Real) -> float:
    """Return the volume that ``(points, 3)`` of positive numbers dominate above the origin."""
    order = np.argsort(-points[:, 2])
    # The stairs that the points so far make in the first two objectives, the farthest first.
    far = np.empty(len(points))
    high = np.empty(len(points))
    count = 0
    area = volume = 0.0
    for place in range(len(points)):
        x, y, z = points[order[place], 0], points[order[place], 1], points[order[place], 2]
        if place:
            volume += area * (points[order[place - 1], 2] - z)
        low, end = 0, count
        while low < end:
            middle = (low + end) // 2
            if far[middle] > x:
                low = middle + 1
            else:
                end = middle
        height = high[low - 1] if low else 0.0
        if height >= y or (low < count and far[low] == x and high[low] >= y):
            continue  # it is under the stairs
        right, stair = x, low
        while stair < count and high[stair] <= y:
            area += (y - height) * (right - far[stair])
            right, height = far[stair], high[stair]
            stair += 1
        area += (y - height) * (right - (far[stair] if stair < count else 0.0))
        count = _replace(far, high, count, low, stair)
        far[low], high[low] = x, y
    return float(volume + area * points[order[-1], 2])


@compiled
def _replace(far: _Real, high: _Real, count: int, start: int, end: int) -> int:
    """Make room for one stair in the place of those from ``start`` to ``end``; return how many."""
    if start == end:
        for stair in range(count, start, -1):
            far[stair], high[stair] = far[stair - 1], high[stair - 1]
        return count + 1
    removed = end - start - 1
    if removed:
        for stair in range(end, count):
            far[stair - removed], high[stair - removed] = far[stair], high[stair]
    return count - removed


@compiled
def _covers(point: _Real, other: _Real) -> bool:
    for objective in range(len(point)):  # noqa: SIM110  # numba compiles no `all` of a generator
        if point[objective] < other[objective]:
            return False
    return True


@compiled
def _limited(points: _Real, others: NDArray[np.int64], point: int) -> _Real:
    """Return what of other points lies within one, without the last objective.

    Args:
        points: ``(points, objectives)``.
        others: Places of those that are at least as good in the last objective.
        point: Place of the one.
    """
    objectives = points.shape[1] - 1
    limited = np.empty((len(others), objectives))
    for place in range(len(others)):
        for objective in range(objectives):
            limited[place, objective] = min(
                points[others[place], objective], points[point, objective]
            )
        if _covers(limited[place], points[point, :objectives]):
            return limited[place : place + 1]  # it is all of the one
    return limited


@compiled
def _thinned(points: _Real) -> _Real:
    """Return the points that no other covers, one of equals."""
    kept = np.ones(len(points), dtype=np.bool_)
    for one in range(len(points)):
        for other in range(len(points)):
            if other == one or not kept[other] or not _covers(points[other], points[one]):
                continue
            if other < one or not _covers(points[one], points[other]):
                kept[one] = False
                break
    return points[kept]


@compiled
def _wfg(points: _Real) -> float:
    """Return the hypervolume of ``(points, objectives)``, three or more, above the origin."""
    objectives = points.shape[1]
    if objectives == 3:
        return _volume(points)
    total = 0.0
    order = np.argsort(points[:, objectives - 1])
    for place in range(len(points)):
        point = order[place]
        added = 1.0
        for objective in range(objectives - 1):
            added *= points[point, objective]
        limited = _limited(points, order[place + 1 :], point)
        if objectives > 4:
            limited = _thinned(limited)
        if len(limited):
            added -= _wfg(limited)
        total += added * points[point, objectives - 1]
    return total
