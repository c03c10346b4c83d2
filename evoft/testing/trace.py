"""Searches as a test runs them: straight through, in any order, killed and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from evoft.individual import Individual
from evoft.outcome import Outcome
from evoft.search.search import Search
from evoft.search.stint import Stint

#: Answers a stint of an individual: a pure function of both.
Judge = Callable[[Stint, Individual], Outcome]


def straight(search: Search, judge: Judge) -> Search:
    """Run a search to its end, each outcome told at once; it may have been begun."""
    for begun in list(search.stints):
        tell(search, begun, judge)
    while (stint := search.ask()) is not None:
        tell(search, stint, judge)
    return search


def shuffled(search: Search, judge: Judge, rng: np.random.Generator, most: int) -> Search:
    """Run a search to its end with up to ``most`` stints in flight that end in any order."""
    flying: list[Stint] = []
    while True:
        asked = search.ask() if len(flying) < most and rng.random() < 0.7 else None
        if asked is not None:
            flying.append(asked)
        elif flying:
            tell(search, flying.pop(int(rng.integers(len(flying)))), judge)
        elif (asked := search.ask()) is not None:
            flying.append(asked)
        else:
            return search


def tell(search: Search, stint: Stint, judge: Judge) -> None:
    """Tell a stint's outcome, unless it has been told."""
    if not search.told(stint.number):
        search.tell(stint.number, judge(stint, search.born[stint.individual]))


def decided(search: Search) -> list[tuple[Any, ...]]:
    """Return everything that was decided, in order."""
    return [_decision(search, stint) for stint in search.stints]


def _decision(search: Search, stint: Stint) -> tuple[Any, ...]:
    individual = search.born[stint.individual].unjudged
    birth = (individual.parents, individual.operator, individual.genome, individual.seed,
             individual.step, individual.price) if stint.rung == 0 else ()  # fmt: skip
    return (stint.number, stint.individual, stint.rung, stint.generation, *birth)


def phenotypes(search: Search) -> Iterator[str]:
    """Yield what each who was born means, in order."""
    for individual in search.born:
        yield repr(sorted(search.space.phenotype(individual.genome).items()))
