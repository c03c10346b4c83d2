"""All that has happened in a search: who was born, and which stints were decided."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from evoft.genome import Genome, Value
from evoft.individual import Individual
from evoft.ladder import Ladder, is_too_dear
from evoft.search.pricing import Price, checked
from evoft.search.prior import Prior
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.settings import SearchSettings

#: What a genome means: equal phenotypes are never evaluated twice.
Express = Callable[[Genome], Hashable]
#: Founders by the name of their operator: the genes that differ from the default recipe.
Founders = Mapping[str, Mapping[str, Value]]


class Chronicle:
    """What a strategy stands on.  It reads; the search alone writes."""

    def __init__(
        self,
        space: SearchSpace,
        settings: SearchSettings,
        seed: int,
        *,
        ladder: Ladder,
        named: Founders,
        express: Express | None,
        price: Price | None = None,
    ) -> None:
        self.space = space
        self.settings = settings
        self.seed = seed
        self.ladder = ladder
        self.named = named
        #: What the genes' defaults and confidences say of good genomes; None: nothing.
        self.prior = Prior.of(space)
        #: Every individual in order of birth, with its outcomes once they are told.
        self.born: list[Individual] = []
        #: Every stint in the order in which it was decided.
        self.stints: list[Stint] = []
        #: Cost of all stints, in full trainings.
        self.spent = 0.0
        #: What genomes cost; None: all of them the same.
        self.price = checked(price) if price else None
        self._express: Express = express or (lambda genome: _items(space, genome))
        self._phenotypes: set[Hashable] = set()
        #: Who was looked at last, for whoever is found to be new is then born.
        self._expressed: tuple[Genome, Hashable] | None = None

    def may_be_born(self, genome: Genome) -> bool:
        """Tell whether nobody was born who means the same, and a generation pays for a first look.

        Did that go by what is left of the budget, a run of more generations would not begin like
        one of fewer.
        """
        return self._phenotype(genome) not in self._phenotypes and not self._is_too_dear(genome)

    def add(self, stint: Stint, individual: Individual | None) -> None:
        """Take the next stint, and the individual that is born by it."""
        if individual is not None:
            self.born.append(individual)
            self._phenotypes.add(self._phenotype(individual.genome))
        self.stints.append(stint)
        self.spent += stint.cost

    def _is_too_dear(self, genome: Genome) -> bool:
        size = self.settings.population_size
        return self.price is not None and is_too_dear(self.price(genome), size, self.ladder)

    def _phenotype(self, genome: Genome) -> Hashable:
        if self._expressed is None or self._expressed[0] is not genome:
            self._expressed = (genome, self._express(genome))
        return self._expressed[1]


def _items(space: SearchSpace, genome: Genome) -> Hashable:
    # One flat tuple of texts and numbers: of those, Python's garbage collector need not keep track.
    items = space.phenotype(genome).items()
    return tuple(part for name, v in items for part in (name, type(v).__name__, v))
