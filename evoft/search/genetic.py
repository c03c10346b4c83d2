"""The plain genetic algorithm: everybody is trained in full, and the fitter breed.

Birth ``n`` is bred from the outcomes of births ``0 .. n - 1 - lookahead`` exactly.  The living are
the best ever, and the youngest in the places that are left.  With several objectives the best are
those of NSGA-II: by rank, and then by crowding distance.
"""

from __future__ import annotations

import math

from numpy.random import Generator

from evoft.genome import Genome
from evoft.objectives import objectives_of, scores_of
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.crowd import Crowd, Scored
from evoft.search.founders import founders
from evoft.search.living import Living
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
        self._objectives = objectives_of(self._settings.objectives)
        size, elite = self._settings.population_size, self._settings.elite_places
        self._living: Living | Crowd
        self._living = Crowd(size, elite) if len(self._objectives) > 1 else Living(size, elite)

    @property
    def blind(self) -> bool:
        """Whether the next to be born is a founder."""
        return len(self._chronicle.born) < self._settings.population_size

    def take(self, stint: Stint) -> None:
        """Note nothing: who was born stands in the chronicle."""

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Take an individual among the living."""
        scores = scores_of(self._objectives, outcome)
        if scores[0] == -math.inf:
            return
        id = stint.individual
        values = self._chronicle.born[id].genome.values()
        if isinstance(self._living, Crowd):
            self._living.add(Scored(values, id, scores))
        else:
            self._living.add(Chromosome(values, id, scores[0]))

    def decide(self) -> Decision | None:
        """Return the next founder, or an offspring of the living."""
        number = len(self._chronicle.born)
        founder = self._founder(number) if self.blind else None
        if founder is not None and self._chronicle.may_be_born(founder.genome):
            return founder  # as nearly all are: a generator would take longer than all else
        rng = generator(self._chronicle.seed, "breed", number)
        if founder is not None:
            return make_new(self._chronicle, founder, "sample", rng)
        if not self._living:
            child = Offspring(self._space.sample(rng), (), "immigrant")
        else:
            child = breed(self._box, self._space, self._settings, self._living, rng)
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
        (values,) = self._box.mutate(list(child.genome.values()), rng)
        crossed = child.operator.startswith("crossover")
        operator = "crossover+mutation" if crossed else "mutation"
        return Offspring(
            Genome(dict(zip(self._space, values, strict=True))), child.parents, operator
        )
