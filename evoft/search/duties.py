"""Who climbs the ladder whatever its score, so that the referee hears the truth about low rungs.

Founders climb to a modest rung together.  A random few of the others, the audited, climb as long as
that costs little.  And where the audit says that the lowest rung is of no use, whoever was judged
on it is trained on at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evoft.audit import agreement
from evoft.ladder import Ladder
from evoft.search.encoding import Array
from evoft.search.knowledge import Knowledge

#: The audit may cost this share of all that is spent.
_SHARE = 0.05
#: Audited individuals for each pair of neighbouring rungs, the lower pair first.
_ENOUGH = 16


def ways(ladder: Ladder) -> list[float]:
    """Return what it costs to train to each rung from nothing, in full trainings."""
    total, costs = 0.0, []
    for rung in range(len(ladder)):
        total += ladder.cost(rung)
        costs.append(total)
    return costs


def schooled(known: Knowledge, founders: int, costs: Array, most: float) -> int | None:
    """Return the founder that is continued next; None: all that live are where they are to climb.

    Args:
        known: What is known.
        founders: How many there are: the first born.
        costs: Of the way to each rung, in full trainings, ``(rungs,)``.
        most: All founders climb to the highest rung to which they can for no more full trainings.
    """
    goal = max((r for r in range(len(costs)) if founders * costs[r] <= most), default=0)
    behind = [(known.rung(id), id) for id in range(founders) if known.is_waiting(id)]
    rung, id = min(behind, default=(goal, 0))
    return id if rung < goal else None


def audited(known: Knowledge, sample: Sequence[int], ladder: Ladder, spent: float) -> int | None:
    """Return the audited individual that is continued next; None: none, or not at this price.

    Args:
        known: What is known.
        sample: Ids of those who are audited, in order of birth.
        ladder: The rungs.
        spent: Cost of all stints so far, in full trainings.
    """
    costs = 0.0
    for rung in range(ladder.top):
        above = sum(max(known.rung(id), known.running.get(id, -1)) > rung for id in sample)
        costs += above * ladder.cost(rung + 1)
        if above >= _ENOUGH:
            continue
        waiting = (id for id in sample if known.rung(id) == rung and known.is_waiting(id))
        id = next(waiting, None)
        return id if costs + ladder.cost(rung + 1) <= _SHARE * spent else None
    return None


def gives_up(known: Knowledge, sample: Iterable[int]) -> bool:
    """Tell whether the lowest rung is given up, by those of the sample who are on the next."""
    return agreement((known.curves[id] for id in sample if id in known.curves), 0).is_low
