"""An individual: a genome, where it came from, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from evoft.genome import Genome
from evoft.outcome import Outcome, Status
from evoft.quantities import fitness_text


@dataclass(frozen=True, slots=True)
class Individual:
    """One member of a population, from its birth on."""

    #: Counts births from 0.
    id: int
    generation: int
    #: Ids of the parents: none for a founder, one after mutation alone, two after crossover.
    parents: tuple[int, ...]
    #: What made it: ``default``, a founder's own name such as ``linear probe``, ``sample``,
    #: ``prior``, ``crossover``, ``differential``, ``mutation``, ``crossover+mutation``,
    #: ``resampling`` or ``immigrant``.
    operator: str
    genome: Genome
    #: Seed of its evaluation in the search.
    seed: int
    #: What its trial in the search gave, the one on its highest rung; None while none has ended.
    outcome: Outcome | None = None
    #: What its trials on the rungs below gave, the lowest first.
    earlier: tuple[Outcome, ...] = ()
    #: The size of its mutations, as a share of a gene's range, which its offspring inherit; 0 where
    #: none is inherited.
    step: float = 0.0
    #: What an epoch of its training costs, in epochs of the default's; above 0.
    price: float = 1.0

    @property
    def score(self) -> float:
        """The fitness as selection sees it; minus infinity without a good outcome."""
        return self.outcome.score if self.outcome else -math.inf

    @property
    def fitness(self) -> float:
        """The fitness, NaN without a good outcome.  Higher is better."""
        return self.outcome.fitness if self.outcome else math.nan

    @property
    def status(self) -> Status | None:
        """How its trial ended; None while it has not."""
        return self.outcome.status if self.outcome else None

    @property
    def rung(self) -> int:
        """The highest rung on which it was judged, 0 being the lowest; -1 before it was."""
        return len(self.earlier) if self.outcome else -1

    def judged(self, outcome: Outcome) -> Individual:
        """Return it with the outcome of its trial on the next rung."""
        earlier = self.earlier if self.outcome is None else (*self.earlier, self.outcome)
        # What `replace` does, in a fraction of the time: every birth comes by here.
        return Individual(
            self.id,
            self.generation,
            self.parents,
            self.operator,
            self.genome,
            self.seed,
            outcome,
            earlier,
            self.step,
            self.price,
        )

    @property
    def unjudged(self) -> Individual:
        """It as it was born, without an outcome."""
        return replace(self, outcome=None, earlier=()) if self.outcome else self


@dataclass(frozen=True, slots=True, repr=False)
class Generation:
    """As much training as ``population_size`` full trainings, all of it judged.

    Without rungs, that is ``population_size`` births in a row.
    """

    index: int
    #: The individuals born in it, in order of birth; none where it went into elder ones alone.
    individuals: tuple[Individual, ...]
    #: The best individual so far, in this generation or an earlier one; None when every trial
    #: so far failed.
    best_so_far: Individual | None
    #: Ids of the individuals, of this generation or an earlier one, that were continued to a
    #: higher rung in it, in the order in which that was decided.
    continued: tuple[int, ...] = ()
    #: The first of those, as it stood at the generation's end; None where nobody was continued.
    first_continued: Individual | None = None

    def __repr__(self) -> str:
        # All of its individuals would be a page where a loop prints what it is given.
        born, best = len(self.individuals), named(self.best_so_far)
        return (
            f"Generation({self.index}, born: {born}, continued: {len(self.continued)}, "
            f"best so far: {best})"
        )

    @property
    def scores(self) -> list[float]:
        """Fitness of those that ended well, in order of birth."""
        return [i.score for i in self.individuals if i.score > -math.inf]

    @property
    def best(self) -> Individual:
        """The best of this generation and all before.

        If all failed, the first born of it, or where nobody was born the first continued.
        """
        candidates = (self.best_so_far, *self.individuals[:1], self.first_continued)
        return next(one for one in candidates if one is not None)


def named(individual: Individual | None) -> str:
    """Return who an individual is and how good, in a few words."""
    if individual is None:
        return "none"
    return f"#{individual.id} with {fitness_text(individual.fitness)}"


def best_of(individuals: list[Individual] | tuple[Individual, ...]) -> Individual | None:
    """Return the individual of the highest score; None if all failed.

    Of equals it is the one that was judged on the higher rung, then the elder.
    """
    best = max(individuals, key=lambda i: (i.score, i.rung, -i.id), default=None)
    return best if best is not None and best.score > -math.inf else None
