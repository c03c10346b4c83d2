"""A stint: the training of one individual to a rung, which is what a search decides on."""

from __future__ import annotations

from dataclasses import dataclass

from evoft.genome import Genome


@dataclass(frozen=True, slots=True)
class Stint:
    """The training of one individual from the rung below, or from its birth, to a rung."""

    #: Counts the decisions of the search from 0.
    number: int
    #: The individual's id.
    individual: int
    #: Which rung of the ladder it ends at; 0 for a birth.
    rung: int
    #: In full trainings.
    cost: float
    #: As much training as ``population_size`` full ones is a generation.
    generation: int


@dataclass(frozen=True, slots=True)
class Offspring:
    """A decision: this genome is to be born and trained to the lowest rung."""

    genome: Genome
    #: Ids of the parents.
    parents: tuple[int, ...]
    operator: str
    #: The size of its mutations that it hands down; 0 where none is inherited.
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class Promotion:
    """A decision: this individual is to be continued to the next rung."""

    #: Its id.
    individual: int


#: What a strategy decides; None: every phenotype of the space has been born, and nobody whose stint
#: has ended can be continued.
Decision = Offspring | Promotion
