"""The plain genetic algorithm: everybody is trained in full, and the fitter breed.

Birth ``n`` is bred from the outcomes of births ``0 .. n - 1 - lookahead`` exactly.  The living are
the best ever, and the youngest in the places that are left.
"""

from __future__ import annotations

import bisect
import math
from collections import deque

from numpy.random import Generator

from evoft.genome import Genome
from evoft.individual import Individual
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.founders import founders
from evoft.search.novelty import make_new
from evoft.search.stint import Decision, Offspring, Stint
from evoft.search.variation import Chromosome, breed, toolbox
from evoft.seeds import generator


class Genetic:
    """A steady-state genetic algorithm with DEAP's operators."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._space, self._settings = chronicle.space, chronicle.settings
        self._box = toolbox(self._space, self._settings)
        self._founders: list[Offspring] | None = None
        self._elite: list[tuple[float, int]] = []  # (-score, id)
        self._recent: deque[int] = deque(maxlen=self._settings.population_size * 2)

    @property
    def blind(self) -> bool:
        """Whether the next to be born is a founder."""
        return len(self._chronicle.born) < self._settings.population_size

    def take(self, stint: Stint) -> None:
        """Note nothing: who was born stands in the chronicle."""

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Take an individual among the living."""
        if outcome.score == -math.inf:
            return
        bisect.insort(self._elite, (-outcome.score, stint.individual))
        del self._elite[self._settings.elite_places :]
        self._recent.append(stint.individual)

    def decide(self) -> Decision | None:
        """Return the next founder, or an offspring of the living."""
        number = len(self._chronicle.born)
        rng = generator(self._chronicle.seed, "breed", number)
        if number < self._settings.population_size:
            return make_new(self._chronicle, self._founder(number), "sample", rng)
        living = self._living()
        if not living:
            child = Offspring(self._space.sample(rng), (), "immigrant")
        else:
            child = breed(self._box, self._space, self._settings, living, rng)
        return make_new(
            self._chronicle, child, "immigrant", rng, lambda child: self._mutant(child, rng)
        )

    def _founder(self, number: int) -> Offspring:
        if self._founders is None:
            chronicle = self._chronicle
            count = self._settings.population_size
            self._founders = founders(self._space, chronicle.named, count, chronicle.seed)
        return self._founders[number]

    def _mutant(self, child: Offspring, rng: Generator) -> Offspring:
        (values,) = self._box.mutate(Chromosome(child.genome.values()), rng)
        crossed = child.operator.startswith("crossover")
        operator = "crossover+mutation" if crossed else "mutation"
        return Offspring(
            Genome(dict(zip(self._space, values, strict=True))), child.parents, operator
        )

    def _living(self) -> list[Individual]:
        """Return the living: the best ever, and the youngest in the places that are left."""
        ids = [id for _, id in self._elite]
        for id in reversed(self._recent):
            if len(ids) == self._settings.population_size:
                break
            if id not in ids:
                ids.append(id)
        return [self._chronicle.born[id] for id in ids]
