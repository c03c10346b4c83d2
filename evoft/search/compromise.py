"""Several objectives at one decision: the scores of a compromise, and whom nobody dominates.

Each decision is after another compromise, so that all of them together are after the whole Pareto
front (Knowles 2006, "ParEGO", section III).
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evoft.search.encoding import Array, Indices
from evoft.search.knowledge import Knowledge
from evoft.search.scalarising import SUM, drawn_weights
from evoft.search.yardstick import Yardstick


def compromise(values: Array, rng: Generator) -> Array:
    """Return the scores of a compromise, ``(n,)``; minus infinity for failures.

    It is the augmented Tchebycheff function of ``scalarise``, but each objective is taken as a
    share of the front's range: the many who are far from the front must not settle what an
    objective weighs, nor that an end of the front is as bad as all that lies beyond.

    Args:
        values: Of each objective, maximised, ``(n, objectives)``; minus infinity for failures.
        rng: Draws what each objective weighs.
    """
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import ranks_of

    scores, good = np.full(len(values), -np.inf), np.isfinite(values).all(axis=1)
    if not good.any():
        return scores
    kept = values[good] / 2  # so that no difference is too large for a number
    front = kept[ranks_of(kept) == 0]
    best, span = front.max(axis=0), np.ptp(front, axis=0)
    span = np.where(span > 0, span, np.ptp(kept, axis=0))
    shares = (best - kept) / np.where(span > 0, span, 1.0)
    weighted = shares * drawn_weights(values.shape[1], rng)
    scores[good] = -(weighted.max(axis=1) + SUM * weighted.sum(axis=1))
    return scores


def measured(values: Array, reach: float) -> Array:
    """Return each objective, ``(n, objectives)``, on a yardstick of its own of this reach."""
    columns = [Yardstick.of(column, reach=reach)(column) for column in values.T]
    return np.stack(columns, axis=1)


def undominated(known: Knowledge, ids: Indices) -> NDArray[np.bool_]:
    """Tell which individuals nobody dominates of those whose highest rung is theirs, ``(k,)``.

    Args:
        known: What is known.
        ids: Of those who were judged and did not fail, ``(k,)``.
    """
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import ranks_of

    values = known.values[known.latest_of(ids)]
    rungs = np.array([known.rung(id) for id in ids.tolist()])
    best = np.zeros(len(ids), dtype=np.bool_)
    for rung in np.unique(rungs):
        at = rungs == rung
        best[at] = ranks_of(values[at]) == 0
    return best
