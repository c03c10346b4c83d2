"""Hyperband: Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
Optimization", Algorithm 1.

A bracket is one successive halving: many who are judged early, or few who are judged late.  The
brackets follow each other from the one to the other, again and again.  Where Algorithm 1 has powers
of ``eta``, the quotients of the ladder's rungs stand here: they are the same where its steps are.

Whoever is promoted is continued, not trained anew.  A bracket whose first rung is not the ladder's
lowest takes its members there over the rungs below, where no score matters; only who fails falls.

With several objectives the best of a rung are those whom nobody dominates (``placing.py``).

A rung's outcomes may still be on their way when the next stint is decided (see ``clock.py``): then
the next bracket begins meanwhile, and the elder bracket goes on as soon as its rung is complete.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from evoft.ladder import Ladder
from evoft.objectives import objectives_of
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.climbers import EQUAL, Climbers
from evoft.search.placing import placed
from evoft.search.sampling import newcomer
from evoft.search.stint import Decision, Promotion, Stint


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a bracket."""

    #: The rung on which its members are first compared.
    first: int
    #: How many are trained to that rung, and to each above it up to the top.
    sizes: tuple[int, ...]


def shapes(ladder: Ladder) -> list[Shape]:
    """Return the shapes of Hyperband's brackets, the fullest first (Algorithm 1, lines 2 and 3)."""
    made = []
    for first, epochs in enumerate(ladder.rungs):
        stages = len(ladder) - first  # s + 1
        members = math.ceil(len(ladder) * ladder.epochs / epochs / stages - EQUAL)
        sizes = [math.floor(members * epochs / rung + EQUAL) for rung in ladder.rungs[first:]]
        made.append(Shape(first, tuple(sizes)))
    return made


@dataclass(slots=True, eq=False)
class _Bracket:
    shape: Shape
    #: Ids in order of birth.
    members: list[int] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.members) == self.shape.sizes[0]

    def stages(self, climbers: Climbers) -> Iterator[tuple[int, list[int]]]:
        """Yield each rung with those who are to be judged on it, up to the first that is not done.

        Who goes on is known once all are through.
        """
        chosen = self.members
        for rung, size in enumerate(self.shape.sizes, start=self.shape.first):
            if rung > self.shape.first:
                chosen = _best(climbers, chosen, rung - 1, size)
            yield rung, chosen
            if not all(climbers.is_through(id, rung) for id in chosen):
                return

    def promotion(self, climbers: Climbers) -> Promotion | None:
        """Return the first who can be continued; None: nobody now."""
        for rung, chosen in self.stages(climbers):
            for id in chosen:
                if climbers.waits(id, rung):
                    return Promotion(id)
        return None

    def is_done(self, climbers: Climbers) -> bool:
        """Tell whether all who are to be judged on the top have been."""
        *_, (rung, chosen) = self.stages(climbers)
        is_last = rung == self.shape.first + len(self.shape.sizes) - 1
        return self.is_full and is_last and all(climbers.is_through(id, rung) for id in chosen)


def _best(climbers: Climbers, ids: list[int], rung: int, count: int) -> list[int]:
    """Return the best on a rung, the best first; whoever failed is not among them."""
    scores = {id: climbers.scores(id, rung) for id in ids}
    return placed({id: s for id, s in scores.items() if s[0] > -math.inf})[:count]


class Hyperband:
    """The brackets of Hyperband, for as long as the budget lasts."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._shapes = shapes(chronicle.ladder)
        objectives = objectives_of(chronicle.settings.objectives)
        self._climbers = Climbers(chronicle.ladder.top, objectives)
        self._begun = 0
        #: Those that are not done, the eldest first; only the last may have room.
        self._brackets: list[_Bracket] = []
        self._bracket_of: dict[int, _Bracket] = {}

    @property
    def blind(self) -> bool:
        """Never: whoever can go on in an elder bracket does, before somebody is born."""
        return False

    def take(self, stint: Stint) -> None:
        """Note who is on which rung; each newborn belongs to the bracket that is being filled."""
        self._climbers.take(stint)
        if stint.rung:
            return
        if not self._brackets or self._brackets[-1].is_full:
            self._brackets.append(_Bracket(self._shapes[self._begun % len(self._shapes)]))
            self._begun += 1
        self._brackets[-1].members.append(stint.individual)
        self._bracket_of[stint.individual] = self._brackets[-1]

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Note how somebody did; a bracket of which all is known is done with."""
        self._climbers.learn(stint, outcome)
        bracket = self._bracket_of[stint.individual]
        if bracket in self._brackets and bracket.is_done(self._climbers):
            self._brackets.remove(bracket)

    def decide(self) -> Decision | None:
        """Return who goes on in the eldest bracket where somebody can, or somebody new."""
        for bracket in self._brackets:
            if bracket.is_full and (promotion := bracket.promotion(self._climbers)):
                return promotion
        return newcomer(self._chronicle) or self._climbers.best_waiting()
