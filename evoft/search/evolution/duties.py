"""Who climbs the ladder whatever its score, so that the referee hears the truth about low rungs.

Founders climb to a modest rung together.  A random few of the others, the audited, climb as long as
that costs little.  And where the audit says that the lowest rung is of no use, whoever was judged
on it is trained on at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from evoft.audit import EVERY, agreement, is_audited
from evoft.ladder import Ladder
from evoft.search.evolution.encoding import Array
from evoft.search.evolution.knowledge import Knowledge
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


def _same(id: int) -> float:
    """Return the price of an individual where all have the default's."""
    return 1.0


def schooled(
    known: Knowledge,
    founders: int,
    costs: Array,
    most: float,
    can_pay: Callable[[int], bool] = lambda id: True,
) -> int | None:
    """Return the founder that is continued next; None: all that can be are where they are to climb.

    Args:
        known: What is known.
        founders: How many there are: the first born.
        costs: Of the way to each rung, in full trainings, ``(rungs,)``.
        most: All founders climb to the highest rung to which they can for no more full trainings.
        can_pay: Tells whether the next rung of an individual can be paid for.
    """
    goal = max((r for r in range(len(costs)) if founders * costs[r] <= most), default=0)
    behind = [
        (known.rung(id), id) for id in range(founders) if known.is_waiting(id) and can_pay(id)
    ]
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
        self._seed = seed
        self._born = 0
        self._since: dict[int, int] = {}  # by id, how many were born when it was last trained
        #: By id and rung, the number of the stint, and whether it came after the patience.
        self._climbs: dict[tuple[int, int], tuple[int, bool]] = {}

    def take(self, stint: Stint) -> None:
        """Note a stint that was decided."""
        id = stint.individual
        self._born += stint.rung == 0
        if not is_audited(self._seed, id):
            return
        if stint.rung == 0:
            self.sample.append(id)
        else:
            self._climbs[id, stint.rung] = stint.number, self.is_due(id)
        self._since[id] = self._born

    def is_due(self, id: int) -> bool:
        """Tell whether one of the sample has been left to climb by its promise for long enough."""
        return self._born - self._since[id] >= _PATIENCE

    def paid(self, known: Knowledge, rung: int, price: Callable[[int], float] = _same) -> float:
        """Return the prices of climbs to the next rung that were the audit's, and nobody's choice.

        It goes by birth: who climbed before an elder of the sample was chosen.
        """
        total, latest = 0.0, -1
        for id in self.sample:
            curve = known.curves.get(id, ())
            if len(curve) == rung + 1 and not curve[rung] > -math.inf:
                continue  # it failed there
            if (id, rung + 1) not in self._climbs:
                break
            number, late = self._climbs[id, rung + 1]
            total += price(id) if late and number > latest else 0.0
            latest = max(latest, number)
        return total


def audited(
    known: Knowledge,
    sample: Sequence[int],
    ladder: Ladder,
    spent: float,
    audit: Audit | None = None,
    can_pay: Callable[[int], bool] = lambda id: True,
    price: Callable[[int], float] = _same,
) -> int | None:
    """Return the audited individual that is continued next; None: none, or not at this price.

    Args:
        known: What is known.
        sample: Ids of those who are audited, in order of birth.
        ladder: The rungs.
        spent: Cost of all stints so far, in full trainings.
        audit: Knows who is to climb by now, and for whom the audit paid; None: all and for all.
        can_pay: Tells whether the next rung of an individual can be paid for.
        price: What an epoch of an individual costs, in epochs of the default's.
    """
    costs = 0.0
    for rung in range(ladder.top):
        above = [id for id in sample if max(known.rung(id), known.running.get(id, -1)) > rung]
        paid = audit.paid(known, rung, price) if audit else sum(map(price, above))
        costs += paid * ladder.cost(rung + 1)
        if len(above) >= _ENOUGH:
            continue
        waiting = (id for id in sample if known.rung(id) == rung and known.is_waiting(id))
        id = next((id for id in waiting if can_pay(id)), None)
        if id is None or (audit and not audit.is_due(id)):
            return None
        return id if costs + price(id) * ladder.cost(rung + 1) <= _SHARE * spent else None
    return None


def gives_up(known: Knowledge, sample: Iterable[int]) -> bool:
    """Tell whether the lowest rung is given up, by those of the sample who are on the next."""
    return agreement((known.curves[id] for id in sample if id in known.curves), 0).is_low
