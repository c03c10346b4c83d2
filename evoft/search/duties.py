"""Who climbs the ladder whatever its score, so that the referee hears the truth about low rungs.

Founders climb to a modest rung together.  A random few of the others, the audited, climb as long as
that costs little.  And where the audit says that the lowest rung is of no use, whoever was judged
on it is trained on at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from evoft.audit import EVERY, agreement, is_audited
from evoft.ladder import Ladder
from evoft.search.encoding import Array
from evoft.search.knowledge import Knowledge
from evoft.search.stint import Stint

#: The audit may cost this share of all that is spent.
_SHARE = 0.05
#: Audited individuals for each pair of neighbouring rungs, the lower pair first.
_ENOUGH = 16
#: An audited individual is first left to climb by its promise, at no cost of the audit's, until so
#: many more have been born.
_PATIENCE = EVERY


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


class Audit:
    """Who is audited, by what was decided: the same on a resumed run.

    Args:
        seed: Of the run.
    """

    def __init__(self, seed: int) -> None:
        #: Ids of the audited, in order of birth.
        self.sample: list[int] = []
        #: Those of their climbs, as id and rung, that the referee had not chosen in time.
        self.forced: set[tuple[int, int]] = set()
        self._seed = seed
        self._born = 0
        self._since: dict[int, int] = {}  # by id, how many were born when it was last trained

    def take(self, stint: Stint) -> None:
        """Note a stint that was decided."""
        id = stint.individual
        if stint.rung == 0:
            self._born += 1
            if is_audited(self._seed, id):
                self.sample.append(id)
        elif id in self._since and self._is_due(id):
            self.forced.add((id, stint.rung))
        if is_audited(self._seed, id):
            self._since[id] = self._born

    @property
    def due(self) -> list[int]:
        """The audited who are to climb by now, or have."""
        return [id for id in self.sample if self._is_due(id)]

    def _is_due(self, id: int) -> bool:
        return self._born - self._since[id] >= _PATIENCE


def audited(
    known: Knowledge,
    sample: Sequence[int],
    ladder: Ladder,
    spent: float,
    due: Collection[int] | None = None,
    forced: Collection[tuple[int, int]] | None = None,
) -> int | None:
    """Return the audited individual that is continued next; None: none, or not at this price.

    Args:
        known: What is known.
        sample: Ids of those who are audited, in order of birth.
        ladder: The rungs.
        spent: Cost of all stints so far, in full trainings.
        due: Who of them is to climb by now; None: all.
        forced: The climbs, as id and rung, that are paid for by the audit; None: all of theirs.
    """
    costs = 0.0
    for rung in range(ladder.top):
        climbed = [id for id in sample if max(known.rung(id), known.running.get(id, -1)) > rung]
        above = len(climbed)
        paid = sum(forced is None or (id, rung + 1) in forced for id in climbed)
        costs += paid * ladder.cost(rung + 1)
        if above >= _ENOUGH:
            continue
        waiting = (id for id in sample if known.rung(id) == rung and known.is_waiting(id))
        id = next(waiting, None)
        if id is not None and due is not None and id not in due:
            return None
        return id if costs + ladder.cost(rung + 1) <= _SHARE * spent else None
    return None


def gives_up(known: Knowledge, sample: Iterable[int]) -> bool:
    """Tell whether the lowest rung is given up, by those of the sample who are on the next."""
    return agreement((known.curves[id] for id in sample if id in known.curves), 0).is_low
