"""Asynchronous successive halving (ASHA): Li et al. 2020, "A System for Massively Parallel
Hyperparameter Tuning", Algorithm 2.

Whoever is among the best ``1 / eta`` of a rung is continued, from the highest rung down; where
there is none, somebody new is born to the lowest.  Here ``eta`` is what the next rung
multiplies the epochs of this one by.  With several objectives the best of a rung are those whom
nobody dominates, and of a front the loneliest (Schmucker et al. 2021).
"""

from __future__ import annotations

import bisect

from evoft.objectives import objectives_of, scores_of
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.climbers import EQUAL, Climbers
from evoft.search.placing import Scores, placed
from evoft.search.sampling import newcomer
from evoft.search.stint import Decision, Promotion, Stint


class _Ranking:
    """Those judged on a rung, those who failed among them, the best first."""

    def __init__(self) -> None:
        self._scores: dict[int, Scores] = {}
        #: With one objective it is kept in order; with several it is put in order when it is asked
        #: for, since whoever comes may change all fronts.
        self._order: list[tuple[float, int]] = []
        self._placed: list[int] | None = None

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, id: int, scores: Scores) -> None:
        self._scores[id] = scores
        self._placed = None
        if len(scores) == 1:
            bisect.insort(self._order, (-scores[0], id))

    def best(self, count: int) -> list[int]:
        if self._order:
            return [id for _, id in self._order[:count]]
        if self._placed is None:
            self._placed = placed(self._scores)
        return self._placed[:count]


class Asha:
    """Asynchronous successive halving over the whole ladder."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._ladder = chronicle.ladder
        self._objectives = objectives_of(chronicle.settings.objectives)
        self._climbers = Climbers(self._ladder.top, self._objectives)
        self._judged: list[_Ranking] = [_Ranking() for _ in self._ladder.rungs]

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
        scores = scores_of(self._objectives, outcome)
        self._judged[stint.rung].add(stint.individual, scores)

    def decide(self) -> Decision | None:
        """Return the best who can be continued, from the highest rung down, or somebody new."""
        for rung in reversed(range(self._ladder.top)):
            for id in self._judged[rung].best(self._places(rung)):
                if self._climbers.waits(id, rung + 1):
                    return Promotion(id)
        return newcomer(self._chronicle) or self._climbers.best_waiting()

    def _places(self, rung: int) -> int:
        """Return how many of a rung may be continued by now."""
        rungs = self._ladder.rungs
        return int(len(self._judged[rung]) * rungs[rung] / rungs[rung + 1] + EQUAL)
