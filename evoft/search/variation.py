"""A DEAP toolbox over typed genes: selection, crossover and mutation, each a pure function.

DEAP's operators draw from Python's global ``random``; inside ``deap_random`` they draw from a
source seeded from an explicit generator instead (docs/design.md, rule 1).  Ordered genes
are crossed on the unit interval, the others are swapped; every gene mutates in its own way, so no
operator can make a value that the gene does not have.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from deap import base, tools
from deap.tools import crossover, selection

from evoft.genome import Genome, Value
from evoft.individual import Individual
from evoft.search.space import SearchSpace
from evoft.search.stint import Offspring
from evoft.settings import SearchSettings


class Fitness(base.Fitness):  # type: ignore[misc]
    """One fitness, to be maximised."""

    weights = (1.0,)


class Chromosome(list[Value]):
    """A genome as DEAP handles it: a list of values in the order of the space's genes."""

    __slots__ = ("fitness", "id", "score")

    def __init__(self, values: Iterable[Value], id: int = -1, score: float = float("-inf")) -> None:
        super().__init__(values)
        self.id = id
        self.score = score
        self.fitness = Fitness((score,))

    @staticmethod
    def of(individual: Individual) -> Chromosome:
        """Return an individual's chromosome, with its score as its DEAP fitness."""
        return Chromosome(individual.genome.values(), individual.id, individual.score)


class _Source(threading.local):
    """What DEAP's modules draw from: on each thread what ``deap_random`` says, else Python's."""

    source: Any = random

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


_SOURCE = _Source()
# For good: to put Python's back where searches run in several threads would take it from another.
for _module in (crossover, selection):
    _module.random = _SOURCE


@contextmanager
def deap_random(rng: np.random.Generator) -> Iterator[None]:
    """Let DEAP's operators draw on this thread from a source seeded from ``rng`` for a while.

    To seed Python's global one and put it back as it was would take a tenth of a birth's time.
    """
    before, _SOURCE.source = _SOURCE.source, random.Random(int(rng.integers(2**63)))
    try:
        yield
    finally:
        _SOURCE.source = before


def toolbox(space: SearchSpace, settings: SearchSettings) -> base.Toolbox:
    """Return the DEAP toolbox of a space.

    ``select(chromosomes, k)`` is DEAP's tournament; ``mate(a, b)`` and ``mutate(a, rng)`` change
    chromosomes in place and return them, as DEAP's operators do.
    """
    box = base.Toolbox()
    box.register("select", tools.selTournament, tournsize=settings.tournsize)
    box.register("mate", partial(mate, space), eta=settings.eta)
    box.register("mutate", partial(mutate, space), indpb=settings.indpb, sigma=settings.sigma)
    return box


def mate(
    space: SearchSpace, a: list[Value], b: list[Value], *, eta: float
) -> tuple[list[Value], list[Value]]:
    """Cross two chromosomes, or mere lists of their values, in place.

    Ordered genes undergo simulated binary crossover, bounded (Deb and Agrawal 1995; DEAP's
    ``cxSimulatedBinaryBounded``), on the unit interval; the others change places with
    probability one half (DEAP's ``cxUniform``).
    """
    genes, ordered, loose = list(space.values()), space.ordered, space.loose
    before = [[genes[i].unit(c[i]) for i in ordered] for c in (a, b)]
    after = tools.cxSimulatedBinaryBounded(list(before[0]), list(before[1]), eta, 0.0, 1.0)
    for chromosome, old, new in zip((a, b), before, after, strict=True):
        for place, was, now in zip(ordered, old, new, strict=True):
            if now != was:  # to the unit interval and back may change a float's last bit
                chromosome[place] = genes[place].at(now)
    swapped = tools.cxUniform([a[i] for i in loose], [b[i] for i in loose], 0.5)
    for chromosome, values in zip((a, b), swapped, strict=True):
        for place, value in zip(loose, values, strict=True):
            chromosome[place] = value
    return a, b


def mutate(
    space: SearchSpace,
    chromosome: list[Value],
    rng: np.random.Generator,
    *,
    indpb: float,
    sigma: float,
) -> tuple[list[Value]]:
    """Mutate each gene in place with probability ``indpb``, and at least one that counts.

    A step of a gene that has no part in the phenotype would make the parent's twin, so the one
    gene that always mutates is drawn from those that count and have another value to go to.
    """
    genome = dict(zip(space, chromosome, strict=True))
    names, drawn = list(space), rng.random(len(space)).tolist()
    chosen = [place for place, draw in enumerate(drawn) if draw < indpb]
    if not any(space.active(genome, names[place]) for place in chosen):
        active = [place for place, name in enumerate(names) if space.active(genome, name)]
        chosen = sorted({*chosen, active[int(rng.integers(len(active)))]})
    for place in chosen:
        gene = space[names[place]]
        if gene.size > 1:
            chromosome[place] = gene.mutate(chromosome[place], rng, sigma)
    return (chromosome,)


def breed(
    box: base.Toolbox,
    space: SearchSpace,
    settings: SearchSettings,
    living: Sequence[Chromosome],
    rng: np.random.Generator,
) -> Offspring:
    """Return one offspring of the living population.

    As in DEAP's ``varAnd``, with probability ``cxpb`` it is the first child of two parents, and is
    then mutated with probability ``mutpb``.  Else it is a mutant of one parent, for a mere copy
    would be of no use.  It may still equal someone who was born before: the caller sees to that.
    """
    with deap_random(rng):
        first, second = box.select(living, 2)
        crossed = first.id != second.id and rng.random() < settings.cxpb
        child = list(first)  # without a fitness, for nobody has judged it
        if crossed:
            child, _ = box.mate(child, list(second))
    mutated = not crossed or rng.random() < settings.mutpb
    if mutated:
        (child,) = box.mutate(child, rng)
    operator = "+".join(
        name for name, used in (("crossover", crossed), ("mutation", mutated)) if used
    )
    parents = (first.id, second.id) if crossed else (first.id,)
    return Offspring(Genome(dict(zip(space, child, strict=True))), parents, operator)
