"""The evolution: which individual is born next, as a pure function of the records so far.

Birth ``n`` is bred from the outcomes of births ``0 .. n - 1 - lookahead`` exactly, whatever else
has finished by then.  So the lineage does not depend on how many workers there are, on who finishes
first, or on how often the run was killed (DESIGN.md, rules 1 and 2).
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import replace

from numpy.random import Generator

from evoft.errors import PopulationMismatchError
from evoft.genome import Genome
from evoft.individual import Individual
from evoft.outcome import Outcome
from evoft.search.founders import Founders, founders
from evoft.search.space import SearchSpace
from evoft.search.variation import Chromosome, Offspring, breed, toolbox
from evoft.seeds import derive, generator
from evoft.settings import SearchSettings

#: What a genome means: equal phenotypes are never evaluated twice.
Express = Callable[[Genome], Hashable]

#: Tries to make an offspring new by mutation, then by fresh samples, before giving up.
_MUTATIONS, _STRANGERS = 16, 256
#: Spaces up to this size are searched through for what is left of them.
_SMALL = 20_000


class Search:
    """The fold over all births and outcomes, and the breeding from it.

    ``ask`` gives the next individual, ``tell`` takes an outcome; outcomes may come in any order and
    are folded in order of birth.  Every state in here follows from the settings, the seed and
    the outcomes told.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: SearchSettings,
        seed: int,
        *,
        named: Founders | None = None,
        express: Express | None = None,
    ) -> None:
        self.space = space
        self.settings = settings
        self.seed = seed
        #: Every individual in order of birth, with its outcome once that is told.
        self.born: list[Individual] = []
        self.named = named or {}
        self._express: Express = express or (lambda genome: _items(space, genome))
        self._box = toolbox(space, settings)
        self._founders: list[Offspring] | None = None
        self._phenotypes: set[Hashable] = set()
        #: How many births, from the first on, are folded into the living population.
        self._folded = 0
        self._elite: list[tuple[float, int]] = []  # (-score, id)
        self._recent: deque[int] = deque(maxlen=settings.population_size * 2)
        self._exhausted = False

    @property
    def ended(self) -> bool:
        """Whether no further individual will ever be born."""
        most = self.settings.births
        return self._exhausted or (most is not None and len(self.born) >= most)

    @property
    def exhausted(self) -> bool:
        """Whether every phenotype of the space has been born."""
        return self._exhausted

    @property
    def ready(self) -> bool:
        """Whether ``ask`` can breed now, or must wait for an earlier birth's outcome."""
        return not self.ended and self._told(self._needed(len(self.born)))

    @property
    def waits_for(self) -> int | None:
        """The first born individual without an outcome; None if all have one."""
        return next((i.id for i in self.born[self._folded :] if i.outcome is None), None)

    def ask(self) -> Individual | None:
        """Return the next individual, or None when the search has ended or must wait."""
        if not self.ready:
            return None
        number = len(self.born)
        offspring = self._offspring(number)
        if offspring is None:
            self._exhausted = True
            return None
        individual = Individual(
            id=number,
            generation=number // self.settings.population_size,
            parents=offspring.parents,
            operator=offspring.operator,
            genome=offspring.genome,
            seed=derive(self.seed, "trial", number),
        )
        self._bear(individual)
        return individual

    def tell(self, id: int, outcome: Outcome) -> None:
        """Take the outcome of individual ``id``.

        Raises:
            ValueError: It was never born, or its outcome has been told already.
        """
        if not 0 <= id < len(self.born):
            raise ValueError(f"individual {id} was never asked for")
        if self.born[id].outcome is not None:
            raise ValueError(f"the outcome of individual {id} has been told already")
        self.born[id] = replace(self.born[id], outcome=outcome)

    def restore(self, individual: Individual) -> None:
        """Take an individual from the records, in order of birth, without breeding it again.

        Raises:
            PopulationMismatchError: It is not the next one in order of birth.
        """
        if individual.id != len(self.born):
            raise PopulationMismatchError(
                f"the records go from individual {len(self.born) - 1} to {individual.id}: "
                "run `evoft fsck` on the file"
            )
        self._bear(individual)

    def withdraw(self) -> None:
        """Take back the youngest births, as long as they have no outcome, as if never asked for."""
        if not self.born or self.born[-1].outcome is not None:
            return
        while self.born and self.born[-1].outcome is None:
            self._phenotypes.remove(self._express(self.born.pop().genome))
        self._exhausted = False
        # Folded again when the next is bred, no further than that one needs.
        self._folded = 0
        self._elite.clear()
        self._recent.clear()

    def _bear(self, individual: Individual) -> None:
        self.born.append(individual)
        self._phenotypes.add(self._express(individual.genome))

    def _needed(self, number: int) -> int:
        """Return how many births must be folded before birth ``number`` is bred."""
        if number < self.settings.population_size:
            return 0
        return number - self.settings.births_ahead

    def _told(self, count: int) -> bool:
        return all(i.outcome is not None for i in self.born[self._folded : count])

    def _offspring(self, number: int) -> Offspring | None:
        rng = generator(self.seed, "breed", number)
        if number < self.settings.population_size:
            return self._make_new(self._founder(number), "sample", rng)
        self._fold(self._needed(number))
        living = self._living()
        if not living:
            child = Offspring(self.space.sample(rng), (), "immigrant")
        else:
            child = breed(self._box, self.space, self.settings, living, rng)
        return self._make_new(child, "immigrant", rng)

    def _founder(self, number: int) -> Offspring:
        if self._founders is None:
            count = self.settings.population_size
            self._founders = founders(self.space, self.named, count, self.seed)
        return self._founders[number]

    def _is_new(self, genome: Genome) -> bool:
        return self._express(genome) not in self._phenotypes

    def _make_new(self, child: Offspring, stranger: str, rng: Generator) -> Offspring | None:
        """Return ``child``, or else a mutant of it, a stranger, or what is left of the space."""
        if self._is_new(child.genome):
            return child
        for _ in range(_MUTATIONS if child.parents else 0):
            child = self._mutant(child, rng)
            if self._is_new(child.genome):
                return child
        for _ in range(_STRANGERS):
            genome = self.space.sample(rng)
            if self._is_new(genome):
                return Offspring(genome, (), stranger)
        left = self.space.genomes() if self.space.size <= _SMALL else iter(())
        return next((Offspring(g, (), stranger) for g in left if self._is_new(g)), None)

    def _mutant(self, child: Offspring, rng: Generator) -> Offspring:
        (values,) = self._box.mutate(Chromosome(child.genome.values()), rng)
        crossed = child.operator.startswith("crossover")
        operator = "crossover+mutation" if crossed else "mutation"
        return Offspring(
            Genome(dict(zip(self.space, values, strict=True))), child.parents, operator
        )

    def _fold(self, count: int) -> None:
        for individual in self.born[self._folded : count]:
            if individual.score > -math.inf:
                bisect.insort(self._elite, (-individual.score, individual.id))
                del self._elite[self.settings.elite_places :]
                self._recent.append(individual.id)
        self._folded = max(self._folded, count)

    def _living(self) -> list[Individual]:
        """Return the living: the best ever, and the youngest in the places that are left."""
        ids = [id for _, id in self._elite]
        for id in reversed(self._recent):
            if len(ids) == self.settings.population_size:
                break
            if id not in ids:
                ids.append(id)
        return [self.born[id] for id in ids]


def _items(space: SearchSpace, genome: Genome) -> Hashable:
    return tuple((name, type(v), v) for name, v in space.phenotype(genome).items())
