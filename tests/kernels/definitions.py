"""What the kernels compute, read from the definitions: slow and plain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

Row = tuple[float, ...]


def dominates(one: Row, other: Row) -> bool:
    if not all(map(math.isfinite, other)):
        return all(map(math.isfinite, one))
    if not all(map(math.isfinite, one)):
        return False
    return all(a >= b for a, b in zip(one, other, strict=True)) and one != other


def ranks_by_definition(scores: NDArray[np.float64]) -> list[int]:
    """Take away front after front; all who failed share the last."""
    rows = [tuple(row) for row in scores.tolist()]
    left, ranks, rank = set(range(len(rows))), [0] * len(rows), 0
    while left:
        front = {i for i in left if not any(dominates(rows[j], rows[i]) for j in left)}
        for i in front:
            ranks[i] = rank
        left -= front
        rank += 1
    return ranks


def crowding_by_definition(scores: NDArray[np.float64], ranks: Sequence[int]) -> list[float]:
    """Deb's loop over the distinct points of each front, ties in lexicographic order."""
    rows = [tuple(row) for row in scores.tolist()]
    distances = [0.0] * len(rows)
    for rank in set(ranks):
        members = [i for i, r in enumerate(ranks) if r == rank and np.isfinite(scores[i]).all()]
        first = {rows[i]: i for i in reversed(members)}
        for objective in range(scores.shape[1]):
            order = sorted(first, key=lambda row, o=objective: (-row[o], [-x for x in row]))  # type: ignore[misc]
            if not order:
                continue
            span = order[0][objective] - order[-1][objective]
            if span > 0 or len(order) == 1:
                distances[first[order[0]]] = distances[first[order[-1]]] = math.inf
            if span > 0:
                for before, row, after in zip(order, order[1:], order[2:], strict=False):
                    distances[first[row]] += (before[objective] - after[objective]) / span
    return distances


def hypervolume_by_definition(scores: NDArray[np.float64], reference: Sequence[float]) -> float:
    """Count the cells of the grid through all coordinates that some point dominates."""
    good = [row for row in scores.tolist() if all(map(math.isfinite, row))]
    axes = [sorted({r, *(row[o] for row in good if row[o] > r)}) for o, r in enumerate(reference)]
    volume = 0.0
    for cell in itertools.product(*(itertools.pairwise(axis) for axis in axes)):
        if any(all(row[o] >= high for o, (_, high) in enumerate(cell)) for row in good):
            volume += math.prod(high - low for low, high in cell)
    return volume


#: Few values, so that there are many ties and copies.
coarse = st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.0])
#: What failed trials score, too.
any_score = st.one_of(
    coarse, st.floats(-1e6, 1e6, allow_subnormal=False), st.sampled_from([math.nan, -math.inf])
)


@st.composite
def score_matrices(
    draw: st.DrawFn,
    elements: st.SearchStrategy[float] = any_score,
    most: int = 40,
    objectives: tuple[int, int] = (1, 5),
) -> NDArray[np.float64]:
    shape = (draw(st.integers(0, most)), draw(st.integers(*objectives)))
    return draw(arrays(np.float64, shape, elements=elements))
