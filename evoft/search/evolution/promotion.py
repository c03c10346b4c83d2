"""Which of the paused may be continued under several objectives: those whom no other dominates.

A compromise alone would also continue who is dominated, where its weights make little of what the
other has more of.  So the compromise chooses among those who may be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evoft.search.evolution.encoding import Array
from evoft.search.evolution.judge import Judge
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.placing import by_dominance


def undominated_paused(known: Knowledge, judge: Judge, paused: Sequence[int]) -> list[int]:
    """Return the paused whom no other of them dominates by what is predicted of a full training.

    Args:
        known: What is known, of several objectives.
        judge: Predicts each of them.
        paused: Ids, of any order.

    Returns:
        Ids, the loneliest of the front first: of a rung, Schmucker and others (2021) promote so.
    """
    if not paused:
        return []
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import ranks_of

    predicted = _predicted(known, judge, paused)
    ranks = ranks_of(predicted)
    return [paused[place] for place in by_dominance(predicted).tolist() if ranks[place] == 0]


def _predicted(known: Knowledge, judge: Judge, ids: Sequence[int]) -> Array:
    """Return each objective after a full training, on a yardstick of its own."""
    who = np.array(ids, dtype=np.intp)
    referees = [judge.referee(column)[0] for column in known.values.T]
    return np.stack([referee.born(who).means() for referee in referees], axis=1)
