"""What a search had spent and found, trial by trial."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evoft
from evoft.analysis.curves import Cost, Curve, cost_of_training, curve_of
from evoft.analysis.merit import merit_of
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Stage, Trial

#: A strategy that judges on rungs.
CLIMBS = "hyperband"
GENOME = Genome(lr=0.1)
SPACE = evoft.SearchSpace(lr=evoft.Float(0.0, 1.0))


def record(number: int, id: int, fitness: float, **changes: Any) -> Record:
    """Return the record of a trial of the search; a fitness of NaN is a failure."""
    points = tuple(CurvePoint(e, {"loss": 1.0}) for e in changes.pop("curve", ()))
    elapsed = changes.pop("elapsed", float(number))
    recipe = changes.pop("recipe", None)
    trial = Trial(id, GENOME, 5, number=number, **changes)
    good = not math.isnan(fitness)
    outcome = Outcome(Status.OK if good else Status.FAILED, fitness, curve=points)
    birth = Individual(id, 0, (), "sample", GENOME, 5) if trial.stage is Stage.SEARCH else None
    return Record(trial, outcome, birth, recipe, elapsed)


def population(*records: Record, **search: Any) -> Population:
    header = Header("c0ffee", "2026-01-01", 0, settings={"search": search})
    return Population.of(header, {record.key: record for record in records})


def by_fitness(population: Population, cost: Cost) -> Curve:
    return curve_of(population, cost, merit_of([population]))


def test_the_best_so_far_against_full_trainings() -> None:
    scores = (math.nan, 0.5, 0.3, 0.9)
    one = population(*(record(n, n, score) for n, score in enumerate(scores)))
    assert cost_of_training([one]) is Cost.TRAININGS
    curve = by_fitness(one, Cost.TRAININGS)
    assert curve.costs.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert curve.best.tolist() == [-math.inf, 0.5, 0.5, 0.9]
    assert (curve.first, curve.last) == (2.0, 4.0)
    spent = np.array([0.5, 1.0, 1.9, 2.0, 3.9, 4.0, 99.0])
    assert curve.at(spent).tolist() == [-math.inf, -math.inf, -math.inf, 0.5, 0.5, 0.9, 0.9]


def test_a_rounding_error_in_a_sum_is_no_trial_missed() -> None:
    one = population(*(record(n, n, n / 10, curve=(0.1,)) for n in range(1, 11)))
    curve = by_fitness(one, Cost.EPOCHS)
    assert curve.last != 1.0
    assert curve.at(np.array([1.0])).tolist() == [1.0]


def test_epochs_are_those_of_the_learning_curve_or_else_those_planned() -> None:
    one = population(
        record(0, 0, 0.1, curve=(1, 2, 3)),  # ended early
        record(1, 1, math.nan),  # failed before it had trained an epoch, as far as is known
        record(2, 2, 0.2, recipe={"epochs": 2}),
        record(3, 3, 0.3, curve=(0.5, 5)),
        epochs=5,
    )
    assert cost_of_training([one]) is Cost.EPOCHS
    assert np.diff(by_fitness(one, Cost.EPOCHS).costs, prepend=0).tolist() == [3.0, 5.0, 2.0, 5.0]
    assert np.diff(by_fitness(one, Cost.TRAININGS).costs, prepend=0) == pytest.approx(
        [0.6, 1.0, 0.4, 1.0]
    )


def test_one_population_without_epochs_has_all_counted_in_full_trainings() -> None:
    curves = population(record(0, 0, 0.1, curve=(1, 2)), record(1, 1, math.nan))
    bare = population(record(0, 0, 0.1), record(1, 1, 0.2, curve=(1,)))
    assert cost_of_training([curves]) is Cost.EPOCHS
    assert cost_of_training([curves, bare]) is Cost.TRAININGS


def test_a_continued_trial_costs_its_further_epochs_alone() -> None:
    one = population(
        record(0, 0, 0.1, epochs=1.0, curve=(1,)),
        record(1, 1, 0.2, epochs=1.0, curve=(1,)),
        record(2, 1, 0.3, epochs=3.0, rung=1, curve=(1, 2, 3)),
        record(3, 2, 0.0, epochs=1.0),
        record(4, 1, 0.4, rung=2, curve=tuple(range(1, 10))),
        record(5, 0, math.nan, epochs=3.0, rung=1, curve=(1, 2)),  # diverged on its way
        epochs=9, strategy=CLIMBS,
    )  # fmt: skip
    curve = by_fitness(one, Cost.EPOCHS)
    assert np.diff(curve.costs, prepend=0).tolist() == [1.0, 1.0, 2.0, 1.0, 6.0, 1.0]
    assert curve.best.tolist() == [0.1, 0.2, 0.3, 0.3, 0.4, 0.4]


def test_epochs_add_up_in_the_order_of_decisions_and_seconds_in_that_of_ends() -> None:
    one = population(
        record(1, 1, 0.5, elapsed=2.0),
        record(0, 0, 0.7, elapsed=3.5),
        record(0, 1, 0.99, elapsed=9.0, stage=Stage.FINAL),
    )
    assert by_fitness(one, Cost.TRAININGS).best.tolist() == [0.7, 0.7]
    curve = by_fitness(one, Cost.SECONDS)
    assert (curve.costs.tolist(), curve.best.tolist()) == ([2.0, 3.5], [0.5, 0.7])


def test_a_population_from_a_file(tmp_path: Path) -> None:
    def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
        for epoch in (1, 2):
            trial.report(epoch, loss=0.5)
        return float(genome["lr"])

    search = evoft.SearchSettings(strategy="ga", epochs=2, finalists=1)
    options: dict[str, Any] = {"search": search, "generations": 3, "population_size": 4}
    list(evoft.evolve(fitness, SPACE, file=tmp_path / "a.h5", workers=2, **options))
    there = evoft.Population.open(tmp_path / "a.h5")
    assert cost_of_training([there]) is Cost.EPOCHS
    epochs, seconds = (by_fitness(there, cost) for cost in (Cost.EPOCHS, Cost.SECONDS))
    assert epochs.costs.tolist() == [2.0 * n for n in range(1, 13)]
    assert epochs.best[-1] == seconds.best[-1] == there.best.fitness  # type: ignore[union-attr]
    assert epochs.best.tolist() == [max(i.fitness for i in list(there)[:n]) for n in range(1, 13)]
    assert (np.diff(seconds.costs) >= 0).all()
