"""Who was taken how far up the ladder, and how they did there."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evoft.objectives import FITNESS, Objective, scores_of
from evoft.outcome import Outcome
from evoft.search.placing import Scores, placed
from evoft.search.stint import Promotion, Stint

#: What a product of whole numbers and ratios of rungs may be off by.
EQUAL = 1e-9


class Climbers:
    """Every individual's way up, by what was taken and learned.

    Args:
        top: The highest rung.
        objectives: What the search is after.
    """

    def __init__(self, top: int, objectives: Sequence[Objective] = (FITNESS,)) -> None:
        self._top = top
        self._objectives = tuple(objectives)
        #: Of each individual, where its latest stint ends.
        self._reached: list[int] = []
        #: Of each individual, its scores on the rungs on which it is known to have been judged.
        self._scores: list[list[Scores]] = []

    def take(self, stint: Stint) -> None:
        """Note a stint."""
        if stint.rung == 0:
            self._reached.append(0)
            self._scores.append([])
        self._reached[stint.individual] = stint.rung

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Note a stint's outcome."""
        self._scores[stint.individual].append(scores_of(self._objectives, outcome))

    def scores(self, id: int, rung: int) -> Scores:
        """Return an individual's scores on a rung; minus infinity if it never got there."""
        scores = self._scores[id]
        return scores[rung] if rung < len(scores) else (-math.inf,) * len(self._objectives)

    def waits(self, id: int, rung: int) -> bool:
        """Tell whether it stands below a rung and can be continued."""
        return self._reached[id] < min(rung, self._top) and self._is_judged(id)

    def is_through(self, id: int, rung: int) -> bool:
        """Tell whether it was judged on a rung, or failed on one below."""
        scores = self._scores[id]
        return len(scores) > rung or (bool(scores) and scores[-1][0] == -math.inf)

    def _is_judged(self, id: int) -> bool:
        """Tell whether its latest stint is known to have ended well."""
        scores = self._scores[id]
        return len(scores) == self._reached[id] + 1 and scores[-1][0] > -math.inf

    def best_waiting(self) -> Promotion | None:
        """Continue the best on the highest rung below the top: for when nobody else can be born.

        Returns:
            None when nobody can be continued.
        """
        waiting = [id for id in range(len(self._reached)) if self.waits(id, self._top)]
        highest = max((self._reached[id] for id in waiting), default=0)
        those = {id: self._scores[id][-1] for id in waiting if self._reached[id] == highest}
        return Promotion(placed(those)[0]) if those else None
