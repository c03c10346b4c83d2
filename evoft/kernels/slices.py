"""Hypervolumes of three objectives and more, slice by slice, compiled.

Points are ``(points, objectives)``, all of them maximised and positive; the hypervolume is what
they dominate above the origin.  It is the sum, over the points from the best in the last objective
on, of what each adds in the others to those before it, times its last objective.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoft.kernels.compiled import compiled

_Real = NDArray[np.float64]


@compiled
def volume(points: _Real) -> float:
    """Return the hypervolume of ``(points, 3)``: what a point adds is an area beside stairs."""
    order = np.argsort(-points[:, 2])
    far, high = np.empty(len(points)), np.empty(len(points))
    count = 0
    area = total = 0.0
    for place in range(len(points)):
        x, y, z = points[order[place], 0], points[order[place], 1], points[order[place], 2]
        if place:
            total += area * (points[order[place - 1], 2] - z)
        count, gained = _stepped(far, high, count, x, y)
        area += gained
    return float(total + area * points[order[-1], 2])


@compiled
def _stepped(far: _Real, high: _Real, count: int, x: float, y: float) -> tuple[int, float]:
    """Add a point to the stairs that others make in two objectives, the farthest first.

    Returns:
        How many stairs there are then, and the area that the point adds.
    """
    low, end = 0, count
    while low < end:
        middle = (low + end) // 2
        if far[middle] > x:
            low = middle + 1
        else:
            end = middle
    height = high[low - 1] if low else 0.0
    if height >= y or (low < count and far[low] == x and high[low] >= y):
        return count, 0.0  # it is under the stairs
    gained, right, stair = 0.0, x, low
    while stair < count and high[stair] <= y:
        gained += (y - height) * (right - far[stair])
        right, height = far[stair], high[stair]
        stair += 1
    gained += (y - height) * (right - (far[stair] if stair < count else 0.0))
    count = _replace(far, high, count, low, stair)
    far[low], high[low] = x, y
    return count, gained


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
def _four(points: _Real) -> float:
    """Return the hypervolume of ``(points, 4)``: what a point adds is one sweep over the others."""
    order = np.argsort(-points[:, 3])
    # Those so far that no other covers in the first three objectives, the best of the third first.
    kept = np.empty((len(points), 3))
    far, high = np.empty(len(points)), np.empty(len(points))
    count = 0
    total = 0.0
    for place in order:
        x, y, z = points[place, 0], points[place, 1], points[place, 2]
        added = _added(kept, count, x, y, z, far, high)
        if added > 0:
            total += added * points[place, 3]
            count = _inserted(kept, count, x, y, z)
    return total


@compiled
def _added(kept: _Real, count: int, x: float, y: float, z: float, far: _Real, high: _Real) -> float:
    """Return the volume that one point adds to others; ``far`` and ``high`` are room for stairs."""
    free = x * y  # of the point's own area, what the others leave of it at a depth
    added, depth, stairs = 0.0, z, 0
    for other in range(count):
        if kept[other, 2] < depth:
            added += free * (depth - kept[other, 2])
            depth = kept[other, 2]
        if kept[other, 0] >= x and kept[other, 1] >= y:
            return added
        right, top = min(kept[other, 0], x), min(kept[other, 1], y)
        stairs, gained = _stepped(far, high, stairs, right, top)
        free -= gained
    return added + free * depth


@compiled
def _inserted(kept: _Real, count: int, x: float, y: float, z: float) -> int:
    """Put a point in its place in the third objective; return how many it leaves."""
    place = 0
    while place < count and kept[place, 2] > z:
        place += 1
    # Those behind it that it covers go.
    left = place
    for other in range(place, count):
        if kept[other, 0] > x or kept[other, 1] > y:
            kept[left] = kept[other]
            left += 1
    for other in range(left, place, -1):
        kept[other] = kept[other - 1]
    kept[place] = x, y, z
    return left + 1


@compiled
def hypervolume(points: _Real) -> float:
    """Return the hypervolume of ``(points, objectives)``, four objectives at least.

    What a point adds is all of it without the hypervolume of what others have in common with it.
    """
    last = points.shape[1] - 1
    if last == 3:
        return _four(points)
    # Those so far that no other covers in the other objectives.
    better = np.empty((len(points), last))
    count = 0
    total = 0.0
    for place in np.argsort(-points[:, last]):
        added = 1.0
        for objective in range(last):
            added *= points[place, objective]
        within = _within(better[:count], points, place)
        if len(within):
            added -= hypervolume(within)
        total += added * points[place, last]
        count = _joined(better, count, points, place)
    return total


@compiled
def _joined(better: _Real, count: int, points: _Real, point: int) -> int:
    """Put a point in the place of those that it covers; return how many there are then."""
    left = 0
    for place in range(count):
        if not _covers(points, point, better, place):
            _copy(better, left, better, place)
            left += 1
    _copy(better, left, points, point)
    return left + 1


@compiled
def _within(better: _Real, points: _Real, point: int) -> _Real:
    """Return what of others lies within one of the points, in all but its last objective.

    Only those that no other covers are returned, one of equals.  The largest of all is one of them;
    without those that it covers, the largest of the others is, and so on.
    """
    count, objectives = better.shape
    within, sizes = np.empty((count, objectives)), np.empty(count)
    largest = 0
    for place in range(count):
        size = 1.0
        for objective in range(objectives):
            value = min(better[place, objective], points[point, objective])
            within[place, objective] = value
            size *= value
        sizes[place] = size
        if size > sizes[largest]:
            largest = place
    kept = 0
    while kept < count:
        for objective in range(objectives):
            value = within[largest, objective]
            within[largest, objective] = within[kept, objective]
            within[kept, objective] = value
        sizes[largest] = sizes[kept]
        left = largest = kept + 1
        for place in range(kept + 1, count):
            if _covers(within, kept, within, place):
                continue
            _copy(within, left, within, place)
            sizes[left] = sizes[place]
            if sizes[left] > sizes[largest]:
                largest = left
            left += 1
        kept, count = kept + 1, left
    return within[:kept]


@compiled
def _covers(points: _Real, point: int, others: _Real, other: int) -> bool:
    for objective in range(others.shape[1]):
        if points[point, objective] < others[other, objective]:
            return False
    return True


@compiled
def _copy(into: _Real, place: int, points: _Real, point: int) -> None:
    for objective in range(into.shape[1]):
        into[place, objective] = points[point, objective]
