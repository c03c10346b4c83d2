"""A small strategy that continues the better half of whoever it has learned of, and breeds else."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

from evoft.genome import Genome
from evoft.outcome import Outcome
from evoft.search import checks, strategies
from evoft.search.chronicle import Chronicle
from evoft.search.novelty import make_new
from evoft.search.stint import Decision, Offspring, Promotion, Stint
from evoft.seeds import generator
from evoft.settings import search as settings

FOUNDERS = 3


class Climber:
    """Every decision depends on all that was learned, so that one too many or too few shows."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._judged: dict[int, list[tuple[float, int]]] = defaultdict(list)
        self._taken: set[tuple[int, int]] = set()
        self._learned = 0

    @property
    def blind(self) -> bool:
        return len(self._chronicle.born) < FOUNDERS

    def take(self, stint: Stint) -> None:
        self._taken.add((stint.individual, stint.rung))

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        assert (stint.individual, stint.rung) in self._taken
        self._learned = self._learned * 31 + stint.number + 1 & 0xFFFF
        if outcome.score > -math.inf:
            self._judged[stint.rung].append((-outcome.score, stint.individual))

    def decide(self) -> Decision | None:
        for rung in reversed(range(self._chronicle.ladder.top)):
            judged = sorted(self._judged[rung])
            for _, id in judged[: len(judged) // 2]:
                if (id, rung + 1) not in self._taken:
                    return Promotion(id)
        number, space = len(self._chronicle.born), self._chronicle.space
        learned = 0 if self.blind else self._learned
        rng = generator(self._chronicle.seed, "climb", number, learned)
        best = sorted(one for judged in self._judged.values() for one in judged)[:1]
        parents = () if self.blind else tuple(id for _, id in best)
        genome: Genome = space.sample(rng) if number else space.default()
        operator = "mutation" if parents else "sample" if number else "default"
        return make_new(self._chronicle, Offspring(genome, parents, operator), "immigrant", rng)


def install(put: Callable[[object, str, object], None] = setattr) -> None:
    """Have settings and searches know the strategy by the name ``climber``."""
    put(settings, "STRATEGIES", (*settings.STRATEGIES, "climber"))
    for module in (settings, checks):
        put(module, "CLIMBING", settings.CLIMBING | {"climber"})
    put(strategies, "STRATEGIES", {**strategies.STRATEGIES, "climber": Climber})
