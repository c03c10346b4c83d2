"""Who came from whom, what changed on the way, and what it was worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evoft.genome import Genome, Value, same
from evoft.individual import Individual
from evoft.lineage.population import Population
from evoft.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """A gene in which a child differs from a parent."""

    gene: str
    #: The parent's value; None when it has no such gene, or one that does not count in it.
    before: Value | None
    #: The child's value; None when it has no such gene, or one that does not count in it.
    after: Value | None


@dataclass(frozen=True, slots=True)
class Step:
    """One birth in an ancestry."""

    individual: Individual
    #: Its parents, in the order that its birth names them.
    parents: tuple[Individual, ...]
    #: Id of the parent that changes and gain are measured against: the one whose genome is
    #: nearer, of equally near ones the better, on the highest rung on which both were judged.
    #: None for a founder.
    compared_with: int | None
    #: The genes in which it differs from that parent.  Empty for a founder.
    changes: tuple[Change, ...]
    #: Its fitness minus that parent's, on the highest rung on which both were judged; NaN when one
    #: of them has none there.
    gain: float


def ancestors(population: Population, id: int) -> tuple[Step, ...]:
    """Return the whole ancestry of an individual: each once, in order of birth, itself last.

    Raises:
        PopulationFileError: There is no such individual.
    """
    own = population[id]
    found = {id: own}
    to_visit = [own]
    while to_visit:
        for parent in _parents(population, to_visit.pop()):
            if parent.id not in found:
                found[parent.id] = parent
                to_visit.append(parent)
    born = sorted(found.values(), key=lambda individual: (individual.id == id, individual.id))
    return tuple(_step(population, individual) for individual in born)


def expressed(population: Population, individual: Individual) -> Genome:
    """Return the genes that count in an individual, by the conditions of the space."""
    space, genome = population.header.space, individual.genome
    return Genome({name: genome[name] for name in genome if _counts(space, genome, name)})


def _counts(space: Mapping[str, Any], genome: Genome, name: str) -> bool:
    conditions = space.get(name, {}).get("when") or {}
    return all(
        other in genome
        and _counts(space, genome, other)
        and any(same(genome[other], value) for value in values)
        for other, values in conditions.items()
    )


def changes_between(before: Genome, after: Genome) -> tuple[Change, ...]:
    """Return the genes that differ, in the order of ``after`` and then of ``before``."""
    genes = [*after, *(gene for gene in before if gene not in after)]
    return tuple(
        Change(gene, before.get(gene), after.get(gene))
        for gene in genes
        if not same(before.get(gene), after.get(gene))
    )


def _step(population: Population, individual: Individual) -> Step:
    parents = _parents(population, individual)
    if not parents:
        return Step(individual, (), None, (), math.nan)
    own = expressed(population, individual)
    changes = {p.id: changes_between(expressed(population, p), own) for p in parents}
    rung = min(parent.rung for parent in parents)
    near = min(parents, key=lambda p: (len(changes[p.id]), -_judged(p, rung).score, p.id))
    rung = min(individual.rung, near.rung)
    gain = _judged(individual, rung).fitness - _judged(near, rung).fitness
    return Step(individual, parents, near.id, changes[near.id], gain)


def _judged(individual: Individual, rung: int) -> Outcome:
    """Return what the trial of an individual on one of its rungs gave."""
    assert individual.outcome is not None
    return (*individual.earlier, individual.outcome)[rung]


def _parents(population: Population, individual: Individual) -> tuple[Individual, ...]:
    # A damaged population, saved in part, may have lost a parent.
    known = (parent for parent in individual.parents if parent in population)
    return tuple(population[parent] for parent in known)
