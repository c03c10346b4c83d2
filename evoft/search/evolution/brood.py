"""A brood: many unborn children, bred by a DEAP toolbox, of which the referee lets one be born.

Parents are chosen by tournament on their predicted score at the full budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from deap import base, tools
from numpy.random import Generator

from evoft.search.evolution.encoding import Array, Encoding
from evoft.search.evolution.operators import cross, mutate, resample, vary
from evoft.search.variation import Fitness, deap_random


@dataclass(frozen=True, slots=True, kw_only=True)
class Breeding:
    """How a brood is bred."""

    #: Children in a brood.
    size: int = 100
    #: How many of the best may become parents, and how far apart they stand in some gene, as a
    #: share of its range.
    parents: int = 24
    niche: float = 0.05
    #: Shares of the brood that each operator makes; the rest are immigrants.
    crossover: float = 0.25
    differential: float = 0.25
    mutation: float = 0.3
    resampling: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Parent:
    """A living individual as DEAP's selection handles it."""

    id: int
    #: ``(genes,)``.
    units: Array
    step: float
    #: Its predicted score at the full budget.
    fitness: Fitness


@dataclass(frozen=True, slots=True)
class Brood:
    """Unborn children, one a row."""

    #: Their genes' places on the unit interval, ``(k, genes)``.
    units: Array
    #: The step sizes that they hand down, ``(k,)``.
    steps: Array
    #: Ids of each one's parents: two at most.
    parents: tuple[tuple[int, ...], ...]
    operators: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.operators)


def toolbox(
    encoding: Encoding, tournsize: int, immigrants: Callable[[int, Generator], Array]
) -> base.Toolbox:
    """Return the operators of a space.

    ``select`` is DEAP's tournament; the others take units and steps and return units and steps,
    but for ``immigrants``, which takes a number and returns units.
    """
    box = base.Toolbox()
    box.register("select", tools.selTournament, tournsize=tournsize)
    box.register("crossover", cross)
    box.register("differential", partial(vary, encoding))
    box.register("mutation", partial(mutate, encoding))
    box.register("resampling", partial(resample, encoding))
    box.register("immigrants", immigrants)
    return box


def breed(
    box: base.Toolbox, breeding: Breeding, living: Sequence[Parent], step: float, rng: Generator
) -> Brood:
    """Return a brood of the living, at least one; ``step`` is the step size of immigrants."""
    with deap_random(rng):
        parts = _bred(box, breeding, living, rng)
    count = max(breeding.size - sum(map(len, parts)), 0)
    strangers = box.immigrants(count, rng)
    alone: tuple[tuple[int, ...], ...] = ((),) * count
    parts.append(Brood(strangers, np.full(count, step), alone, ("immigrant",) * count))
    return Brood(
        np.vstack([part.units for part in parts]),
        np.concatenate([part.steps for part in parts]),
        tuple(ids for part in parts for ids in part.parents),
        tuple(operator for part in parts for operator in part.operators),
    )


def _bred(
    box: base.Toolbox, breeding: Breeding, living: Sequence[Parent], rng: Generator
) -> list[Brood]:
    def chosen(share: float) -> list[Parent]:
        # At least one, so that no operator sees an empty array.
        return list(box.select(living, max(1, round(share * breeding.size))))

    def anyone(count: int) -> list[Parent]:
        return [living[int(i)] for i in rng.integers(len(living), size=count)]

    firsts, seconds = chosen(breeding.crossover), chosen(breeding.crossover)
    units, steps = box.crossover(*_traits(firsts), *_traits(seconds), rng)
    half = len(firsts) // 2  # the first half is mutated as well
    units[:half], steps[:half] = box.mutation(units[:half], steps[:half], rng)
    operators = ["crossover+mutation"] * half + ["crossover"] * (len(firsts) - half)

    bases = chosen(breeding.differential)
    plus, minus = anyone(len(bases)), anyone(len(bases))
    moved = box.differential(*_traits(bases), _traits(plus)[0], _traits(minus)[0], rng)
    # A birth names two parents at most: of the pair that gave the direction, the better.
    guides = [p if p.fitness >= m.fitness else m for p, m in zip(plus, minus, strict=True)]

    mutants, changed = chosen(breeding.mutation), chosen(breeding.resampling)
    return [
        _brood(operators, units, steps, firsts, seconds),
        _brood(["differential"] * len(bases), *moved, bases, guides),
        _brood(["mutation"] * len(mutants), *box.mutation(*_traits(mutants), rng), mutants),
        _brood(["resampling"] * len(changed), *box.resampling(*_traits(changed), rng), changed),
    ]


def _traits(parents: Sequence[Parent]) -> tuple[Array, Array]:
    return np.array([p.units for p in parents]), np.array([p.step for p in parents])


def _brood(
    operators: Sequence[str], units: Array, steps: Array, *parents: Sequence[Parent]
) -> Brood:
    ids = tuple(tuple(dict.fromkeys(p.id for p in group)) for group in zip(*parents, strict=True))
    return Brood(units, steps, ids, tuple(operators))
