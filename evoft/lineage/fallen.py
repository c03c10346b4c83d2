"""Why a population has no best: nobody ended well, or whoever did failed on a higher rung."""

from __future__ import annotations

import math

from evoft.individual import Individual
from evoft.lineage.population import Population


def told_of_fallen(population: Population) -> str:
    """Return what became of the best of those who ended well on a lower rung and failed above it.

    Empty where there is none.
    """
    fallen = [i for i in population if i.score == -math.inf and _highest(i) > -math.inf]
    best = max(fallen, key=lambda i: (_highest(i), -i.id), default=None)
    if best is None or best.outcome is None:
        return ""
    return (
        f"individual {best.id} had {_highest(best):.4f} on a lower rung, then "
        f"{best.outcome.status}: {best.outcome.reason}"
    )


def nobody_left(population: Population, where: str | None = None) -> str:
    """Return why a population has no best, as the first part of a sentence.

    Args:
        population: One whose every individual failed in its latest trial, or that has none.
        where: What the population is called; None: its path.
    """
    where = str(population.path) if where is None else where
    if told := told_of_fallen(population):
        return f"nobody in {where} is left whose latest trial ended well ({told})"
    return f"no trial in {where} has ended well"


def _highest(individual: Individual) -> float:
    """Return the highest score that it had below its highest rung."""
    return max((outcome.score for outcome in individual.earlier), default=-math.inf)
