"""Who is better than whom on a rung, by one objective or by several."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

#: What selection sees of an individual: a number for each objective, the higher the better; minus
#: infinity for all of them where it failed.
Scores = tuple[float, ...]


def placed(scores: Mapping[int, Scores]) -> list[int]:
    """Return ids, the best first and the elder of equals first; those who failed come last.

    With several objectives nobody comes before someone who dominates it: they are in order of
    non-dominated sorting, and those of one front by crowding distance, the loneliest first (Deb et
    al. 2002; for successive halving, Schmucker et al. 2021, "Multi-objective Asynchronous
    Successive Halving", section 4).

    Args:
        scores: By id, of one rung.
    """
    ids = sorted(scores)
    if not ids or len(scores[ids[0]]) == 1:
        return sorted(ids, key=lambda id: (-scores[id][0], id))
    order = by_dominance(np.array([scores[id] for id in ids]))
    return [ids[place] for place in order.tolist()]


def by_dominance(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return places by front and, within one, by crowding distance; the first of equals first.

    Args:
        values: Of each objective, maximised, ``(n, objectives)``.
    """
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import crowding_of, ranks_of

    ranks = ranks_of(values)
    return np.lexsort((-crowding_of(values, ranks), ranks))
