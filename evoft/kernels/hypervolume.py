"""The hypervolume: how much of the space above a reference point a set of scores dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoft.kernels.points import matrix
from evoft.kernels.ranking import ranks_of
from evoft.kernels.slices import hypervolume, volume

_Real = NDArray[np.float64]

#: Most points on the front by the number of objectives, and for more objectives than that: the
#: time grows fast with either.  See benchmarks/results/kernels.md.
_MOST = {4: 30_000, 5: 10_000, 6: 1_000}
_MOST_BEYOND = 200


def hypervolume_of(scores: ArrayLike, reference: ArrayLike) -> float:
    """Return the exact hypervolume of scores (Zitzler and Thiele 1998).

    Two objectives are a sweep.  Three are a sweep over staircases (Fonseca, Paquete and
    Lopez-Ibanez 2006; Beume et al. 2009).  Four are the sum of what each point adds to the better
    ones in the last objective, which is a sweep in three (Guerreiro and Fonseca 2018).  More are
    such a sum, too, but what a point adds is found by another of one objective less: WFG (While,
    Bradstreet and Barone 2012).

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
            return volume(above)
    return hypervolume(_front_of(above))


def _area(points: _Real) -> float:
    ordered = points[np.argsort(-points[:, 0], kind="stable")]
    heights = np.maximum.accumulate(ordered[:, 1])
    return float(np.sum(ordered[:, 0] * np.diff(heights, prepend=0.0)))


def _front_of(points: _Real) -> _Real:
    """Return the distinct points that no other dominates, or all where they are few.

    Who is dominated adds nothing; to find out who is takes longer than to measure a few.

    Raises:
        ValueError: They are too many.
    """
    if len(points) <= _MOST_BEYOND:
        return points
    front = np.unique(points[ranks_of(points) == 0], axis=0)
    count, objectives = front.shape
    most = _MOST.get(objectives, _MOST_BEYOND)
    if count > most:
        raise ValueError(
            f"the exact hypervolume of {objectives} objectives must be of at most {most} points "
            f"that no other dominates, but is asked of {count}: give fewer of either"
        )
    return front
