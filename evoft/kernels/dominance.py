"""Kernels of non-dominated sorting; points are the codes of ``Points``, of which lower is better.

Two objectives are one sweep, O(n log n) (Jensen 2003, section 3).  More are divided and conquered,
O(n log^(m-1) n) for m objectives: Jensen's algorithm as Fortin, Grenier and Parizeau (2013) made it
right for equal values and Buzdalov and Shalyto (2014) bounded it.  A set is split at the median of
the last objective; the better half is ranked, then hands its ranks on to the worse one, for which
that objective no longer counts; then the worse half is ranked.  Few points are compared each with
each.

Members of a set are places in the lexicographic order, ascending, so that none is dominated by one
that comes later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoft.kernels.compiled import compiled

_Whole = NDArray[np.int64]

#: Up to so many points are compared each with each, and up to so many pairs of two sets.
_FEW, _FEW_PAIRS = 48, 4096


@compiled
def staircase_ranks(codes: _Whole) -> _Whole:
    """Return the rank of each point of two objectives, from 0."""
    ranks = np.zeros(len(codes), dtype=np.int64)
    # Of each rank, the lowest second code so far: a point is dominated by the ranks up to its own.
    lowest = np.empty(len(codes), dtype=np.int64)
    count = 0
    for point in range(len(codes)):
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if lowest[middle] <= codes[point, 1]:
                low = middle + 1
            else:
                high = middle
        ranks[point] = low
        lowest[low] = codes[point, 1]
        count = max(count, low + 1)
    return ranks


@compiled
def divided_ranks(codes: _Whole) -> _Whole:
    """Return the rank of each point of three or more objectives, from 0."""
    ranks = np.zeros(len(codes), dtype=np.int64)
    tree = np.zeros(len(codes) + 1, dtype=np.int64)
    _rank_within(codes, ranks, np.arange(len(codes)), codes.shape[1], tree)
    return ranks


@compiled
def _enter(tree: _Whole, code: int, rank: int) -> None:
    """Note in a Fenwick tree of maxima that what a point of this code dominates has this rank."""
    node = code + 1
    while node < len(tree) and tree[node] < rank:
        tree[node] = rank
        node += node & -node


@compiled
def _leave(tree: _Whole, code: int) -> None:
    """Make a Fenwick tree forget a code, on the way to forgetting all."""
    node = code + 1
    while node < len(tree) and tree[node]:
        tree[node] = 0
        node += node & -node


@compiled
def _least_rank(tree: _Whole, code: int) -> int:
    """Return the rank of what is dominated by all that were noted with codes up to this one."""
    rank = 0
    node = code + 1
    while node:
        rank = max(rank, tree[node])
        node -= node & -node
    return rank


@compiled
def _sweep_within(codes: _Whole, ranks: _Whole, members: _Whole, tree: _Whole) -> None:
    for point in members:
        ranks[point] = max(ranks[point], _least_rank(tree, codes[point, 1]))
        _enter(tree, codes[point, 1], ranks[point] + 1)
    for point in members:
        _leave(tree, codes[point, 1])


@compiled
def _sweep_between(
    codes: _Whole, ranks: _Whole, better: _Whole, worse: _Whole, tree: _Whole
) -> None:
    entered = 0
    for point in worse:
        while entered < len(better) and better[entered] < point:
            other = better[entered]
            _enter(tree, codes[other, 1], ranks[other] + 1)
            entered += 1
        ranks[point] = max(ranks[point], _least_rank(tree, codes[point, 1]))
    for other in better[:entered]:
        _leave(tree, codes[other, 1])


@compiled
def _covers(codes: _Whole, point: int, other: int, count: int) -> bool:
    """Tell whether an earlier point is as good as another in each of the first objectives."""
    for objective in range(1, count):  # noqa: SIM110  # numba compiles no `all` of a generator
        if codes[point, objective] > codes[other, objective]:
            return False
    return True


@compiled
def _compare_within(codes: _Whole, ranks: _Whole, members: _Whole, count: int) -> None:
    for place in range(len(members)):
        point = members[place]
        for other in members[:place]:
            if ranks[other] >= ranks[point] and _covers(codes, other, point, count):
                ranks[point] = ranks[other] + 1


@compiled
def _compare_between(
    codes: _Whole, ranks: _Whole, better: _Whole, worse: _Whole, count: int
) -> None:
    for point in worse:
        for other in better:
            if other > point:
                break
            if ranks[other] >= ranks[point] and _covers(codes, other, point, count):
                ranks[point] = ranks[other] + 1


@compiled
def _split(
    codes: _Whole, members: _Whole, objective: int, pivot: int
) -> tuple[_Whole, _Whole, _Whole]:
    """Return the members that are better than a code in an objective, equal to it, and worse."""
    parts = np.empty((3, len(members)), dtype=np.int64)
    counts = np.zeros(3, dtype=np.int64)
    for point in members:
        code = codes[point, objective]
        side = 0 if code < pivot else 1 if code == pivot else 2
        parts[side, counts[side]] = point
        counts[side] += 1
    return parts[0, : counts[0]], parts[1, : counts[1]], parts[2, : counts[2]]


@compiled
def _merged(first: _Whole, second: _Whole) -> _Whole:
    """Return two ascending sets as one."""
    both = np.empty(len(first) + len(second), dtype=np.int64)
    i = j = 0
    for place in range(len(both)):
        if j == len(second) or (i < len(first) and first[i] < second[j]):
            both[place] = first[i]
            i += 1
        else:
            both[place] = second[j]
            j += 1
    return both


@compiled
def _values(codes: _Whole, members: _Whole, objective: int) -> _Whole:
    values = np.empty(len(members), dtype=np.int64)
    for place in range(len(members)):
        values[place] = codes[members[place], objective]
    return values


@compiled
def _rank_within(codes: _Whole, ranks: _Whole, members: _Whole, count: int, tree: _Whole) -> None:
    """Rank a set whose members are equal in all but the first ``count`` objectives."""
    if len(members) <= _FEW:
        _compare_within(codes, ranks, members, count)
        return
    if count == 2:
        _sweep_within(codes, ranks, members, tree)
        return
    values = _values(codes, members, count - 1)
    if values.min() == values.max():
        _rank_within(codes, ranks, members, count - 1, tree)
        return
    half = len(values) // 2
    better, same, worse = _split(codes, members, count - 1, np.partition(values, half)[half])
    _rank_within(codes, ranks, better, count, tree)
    _rank_between(codes, ranks, better, same, count - 1, tree)
    _rank_within(codes, ranks, same, count - 1, tree)
    _rank_between(codes, ranks, _merged(better, same), worse, count - 1, tree)
    _rank_within(codes, ranks, worse, count, tree)


@compiled
def _rank_between(
    codes: _Whole, ranks: _Whole, better: _Whole, worse: _Whole, count: int, tree: _Whole
) -> None:
    """Rank the worse by the ranks of the better.

    The better are at least as good in all but the first ``count`` objectives.
    """
    if len(better) * len(worse) <= _FEW_PAIRS:
        _compare_between(codes, ranks, better, worse, count)
        return
    if count == 2:
        _sweep_between(codes, ranks, better, worse, tree)
        return
    last = count - 1
    upper, lower = _values(codes, better, last), _values(codes, worse, last)
    if upper.max() <= lower.min():
        _rank_between(codes, ranks, better, worse, count - 1, tree)
        return
    if upper.min() > lower.max():
        return
    values = np.concatenate((upper, lower))
    half = len(values) // 2
    pivot = np.partition(values, half)[half]
    better_above, better_at, better_below = _split(codes, better, last, pivot)
    worse_above, worse_at, worse_below = _split(codes, worse, last, pivot)
    _rank_between(codes, ranks, better_above, worse_above, count, tree)
    upper, lower = _merged(better_above, better_at), _merged(worse_at, worse_below)
    _rank_between(codes, ranks, upper, lower, count - 1, tree)
    _rank_between(codes, ranks, better_below, worse_below, count, tree)
