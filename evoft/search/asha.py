"""Asynchronous successive halving (ASHA): Li et al. 2020, "A System for Massively Parallel
Hyperparameter Tuning", Algorithm 2.

Whoever is among the best ``1 / eta`` of a rung is continued, from the highest rung down; where
there is none, somebody new is born to the lowest.  Here ``eta`` is what the next rung
multiplies the epochs of this one by.
"""

from __future__ import annotations

import bisect

from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.climbers import Climbers
from evoft.search.sampling import newcomer
from evoft.search.stint import Decision, Promotion, Stint

#: What a product of whole numbers and ratios may be off by.
_EQUAL = 1e-9


class Asha:
    """Asynchronous successive halving over the whole ladder."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._ladder = chronicle.ladder
        self._climbers = Climbers(self._ladder.top)
        #: Of each rung, ``(-score, id)`` of those judged on it, the best first.
        self._judged: list[list[tuple[float, int]]] = [[] for _ in self._ladder.rungs]

    @property
    def blind(self) -> bool:
        """Never: the first who can be continued is."""
        return False

    def take(self, stint: Stint) -> None:
        """Note who is on which rung."""
        self._climbers.take(stint)

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Rank an individual on its rung; whoever failed is last there, but counts."""
        self._climbers.learn(stint, outcome)
        bisect.insort(self._judged[stint.rung], (-outcome.score, stint.individual))

    def decide(self) -> Decision | None:
        """Return the best who can be continued, from the highest rung down, or somebody new."""
        for rung in reversed(range(self._ladder.top)):
            for _, id in self._judged[rung][: self._places(rung)]:
                if self._climbers.waits(id, rung + 1):
                    return Promotion(id)
        return newcomer(self._chronicle) or self._climbers.best_waiting()

    def _places(self, rung: int) -> int:
        """Return how many of a rung may be continued by now."""
        rungs = self._ladder.rungs
        return int(len(self._judged[rung]) * rungs[rung] / rungs[rung + 1] + _EQUAL)
