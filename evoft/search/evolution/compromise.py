"""Several objectives at one decision: the scores of a compromise, and whom nobody dominates.

Each decision is after another compromise, so that all of them together are after the whole Pareto
front (Knowles 2006, "ParEGO", section III).
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.evolution.scalarising import drawn_weights, scalarise
from evoft.search.evolution.yardstick import Yardstick


def compromise(values: Array, rng: Generator) -> Array:
    """Return the scores of a compromise, ``(n,)``; minus infinity for failures.

    It is the augmented Tchebycheff function of ``scalarise``, each objective taken as a share of
    the front's range: the many who are far from the front must not settle what an
    objective weighs, nor that an end of the front is as bad as all that lies beyond.

    Args:
        values: Of each objective, maximised, ``(n, objectives)``; minus infinity for failures.
        rng: Draws what each objective weighs.
    """
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import ranks_of

    good = np.isfinite(values).all(axis=1)
    if not good.any():
        return np.full(len(values), -np.inf)
    front = np.zeros(len(values), dtype=np.bool_)
    front[good] = ranks_of(values[good]) == 0
    return scalarise(values, drawn_weights(values.shape[1], rng), front)


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
