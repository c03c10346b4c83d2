"""Individuals in order of birth, and the generations that are complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from evoft.individual import Generation, Individual, best_of
from evoft.lineage.record import Record


def individuals_of(records: Iterable[Record]) -> tuple[Individual, ...]:
    """Return the individuals that were judged, with their outcomes, in order of birth."""
    judged = (replace(record.birth, outcome=record.outcome) for record in records if record.birth)
    return tuple(sorted(judged, key=lambda individual: individual.id))


def generations_of(
    individuals: Iterable[Individual], settings: Mapping[str, Any]
) -> tuple[Generation, ...]:
    """Return the generations up to the first that is not complete.

    Args:
        individuals: In order of birth.
        settings: The header's.  A generation is complete when it has ``search.population_size``
            births; without that setting, as soon as it has one.
    """
    births: dict[int, list[Individual]] = {}
    for individual in individuals:
        births.setdefault(individual.generation, []).append(individual)
    size = settings.get("search", {}).get("population_size", 1)
    complete: list[Generation] = []
    best: Individual | None = None
    for index in sorted(births):
        born = births[index]
        if len(born) < size:
            break
        best = best_of([best, *born] if best else born)
        complete.append(Generation(index, tuple(born), best))
    return tuple(complete)
