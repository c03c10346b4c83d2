"""Learning curves as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evoft.lineage import Population, Record


def rows_of(
    records: Sequence[Record], labels: Callable[[Record], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the points of curves as rows of equal columns, None where one was not reported.

    Args:
        records: Whose curves.
        labels: Tells whose a point is, in columns before those of the point.
    """
    points = [(record, point) for record in records for point in record.outcome.curve]
    names = dict.fromkeys(name for _, point in points for name in point.metrics)
    return [
        {
            **labels(record),
            "epoch": point.epoch,
            **{name: point.metrics.get(name) for name in names},
        }
        for record, point in points
    ]


def rung_of(population: Population) -> Callable[[Record], Mapping[str, Any]]:
    """Return what labels trials of the search by their rungs, if there are several."""
    if not population.on_rungs:
        return lambda record: {}
    return lambda record: {"rung": record.trial.rung}


def repeat_of(record: Record) -> Mapping[str, Any]:
    """Label a final run."""
    return {"repeat": record.trial.repeat}


def all_rows(population: Population, id: int | None) -> list[dict[str, Any]]:
    """Return the curves of all trials that have ended, those of the search first.

    Args:
        population: Whose trials.
        id: Of one individual alone; None: of everybody.
    """
    rung = rung_of(population)

    def labels(record: Record) -> Mapping[str, Any]:
        trial = record.trial
        run = {"stage": str(trial.stage), "individual": trial.individual, "repeat": trial.repeat}
        return {**run, **rung(record)}

    ids = [individual.id for individual in population] if id is None else [population[id].id]
    searched = [record for id in ids for record in population.trials(id)]
    finals = [record for id in ids for record in population.finals(id)]
    return rows_of([*searched, *finals], labels)
