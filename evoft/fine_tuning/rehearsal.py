"""The search run ahead: what it may come to train, as far as that can be known by now.

A search is a pure function of outcomes, and decides in hundredths of a second what takes seconds to
train.  So a twin of it goes on at once, and each of its stints has the outcome that a Gaussian
process of all outcomes so far, such as the evolution's referee, expects.  Nothing of it comes back
to the search itself, whose lineage is the same with rehearsals and without (docs/design.md, rule
2).

Worlds drawn from the process, rather than what it expects, were tried too.  A few of them together
were no nearer to the truth, and each takes as long.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from evoft.individual import Individual
from evoft.objectives import Direction, objectives_of
from evoft.outcome import Outcome
from evoft.search.evolution.encoding import Encoding
from evoft.search.evolution.judge import Judge
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.evolution.one_thread import one_thread
from evoft.search.evolution.referee import Referee
from evoft.search.evolution.tuning import Tuning
from evoft.search.evolution.yardstick import Yardstick
from evoft.search.search import Search
from evoft.search.stint import Stint

#: A search of more stints takes long to go over, and what is typical of it is known by then.
_MOST_STINTS = 500


def rehearse(search: Search, seconds: float) -> Search | None:
    """Return a search that went on from where one stands, to its end.

    Args:
        search: It is left as it is.
        seconds: No stint is decided later than that; a search that has not come to its end by then
            is returned as it stands.

    Returns:
        The search that went on; None where the one given has ended, is too long to go over, or has
        no outcome that says what to expect.
    """
    until = time.monotonic() + seconds
    if search.ended or len(search.stints) > _MOST_STINTS:
        return None
    surrogate = Surrogate(search)
    if not surrogate.is_founded:
        return None
    twin = search.twin()
    for stint in search.stints:
        if not search.told(stint.number):
            twin.tell(stint.number, surrogate.outcome(twin, stint))
    while time.monotonic() < until and (next := twin.ask()) is not None:
        twin.tell(next.number, surrogate.outcome(twin, next))
    return twin


class Surrogate:
    """Gives stints their outcomes in place of the workers.

    They are what is expected by a Gaussian process for each objective, whatever the strategy, given
    all outcomes that a search was told.
    """

    def __init__(self, search: Search) -> None:
        self._encoding = Encoding.of(search.space)
        self._objectives = objectives_of(search.settings.objectives)
        genes = self._encoding.genes
        self._known = known = Knowledge(
            search.ladder, len(search.space), len(genes), search.seed, self._objectives
        )
        self._bear(search)
        for stint in search.stints:
            known.take(stint)
            if search.told(stint.number):
                known.learn(stint, _outcome(search.born[stint.individual], stint.rung))
        self._judged: list[tuple[Referee, Yardstick]] = []
        if self.is_founded:
            judge = Judge(known, genes, Tuning().reach)
            with one_thread():
                self._judged = [judge.referee(scores) for scores in known.values.T]

    @property
    def is_founded(self) -> bool:
        """Whether there is any outcome that it rests on."""
        return self._known.learned > 0

    def outcome(self, search: Search, stint: Stint) -> Outcome:
        """Return the outcome of a stint of a search that went on from there."""
        self._bear(search)
        fitness, values = 0.0, {}
        with one_thread():
            for objective, judged in zip(self._objectives, self._judged, strict=True):
                score = self._score(*judged, stint)
                if objective.fitness:
                    fitness = score
                else:
                    rising = objective.direction is Direction.MAXIMISE
                    values[objective.name] = score if rising else -score
        return Outcome.of_fitness(fitness, metrics=values)

    def _bear(self, search: Search) -> None:
        """Take the genomes of those who were born since the last time."""
        for individual in search.born[len(self._known.rows) :]:
            units = self._encoding.units(individual.genome)
            self._known.bear(units, self._encoding.rows(units[None, :])[0])

    def _score(self, referee: Referee, yardstick: Yardstick, stint: Stint) -> float:
        data = replace(referee.data, rows=self._known.rows)
        one = replace(referee, data=data).born(np.array([stint.individual], dtype=np.intp))
        return float(yardstick.undo(one.means(self._known.times[[stint.rung]]))[0])


def _outcome(individual: Individual, rung: int) -> Outcome:
    """Return what its trial on a rung gave."""
    outcome = (*individual.earlier, individual.outcome)[rung]
    assert outcome is not None
    return outcome
