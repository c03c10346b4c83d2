"""By what populations are compared: the highest fitness, or the hypervolume of the front."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evoft
from evoft.analysis.merit import By, Merit, merit_of
from evoft.errors import NoResultError, SettingsError
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record
from evoft.outcome import Outcome, Status
from evoft.trial import Trial

GENOME = Genome(lr=0.1)
TWO = ("accuracy", "size:min")


def population(*measured: tuple[float, ...], objectives: tuple[str, ...] = TWO) -> Population:
    """Return a population of individuals that measured so much; NaN is a failure."""
    names = [objective.partition(":")[0] for objective in objectives]
    records = {}
    for id, values in enumerate(measured):
        trial = Trial(id, GENOME, 5, number=id)
        metrics = dict(zip(names[1:], values[1:], strict=True))
        status = Status.FAILED if math.isnan(values[0]) else Status.OK
        outcome = Outcome(status, values[0], metrics=metrics)
        birth = Individual(id, 0, (), "sample", GENOME, 5)
        record = Record(trial, outcome, birth, None, float(id))
        records[record.key] = record
    search: dict[str, Any] = {"search": {"objectives": list(objectives)}}
    return Population.of(Header("c0ffee", "2026-01-01", 0, settings=search), records)


def after_each(merit: Merit, one: Population) -> list[float]:
    return merit.of(list(one.records.values())).tolist()


def test_a_front_counts_by_the_share_that_it_dominates() -> None:
    # The joint front is (0.5, 1), (0.7, 3), (0.9, 5), so the reference is (0.46, 5.4); in units of
    # 0.4 and 4 its points lie (0.1, 1.1), (0.6, 0.6), (1.1, 0.1) beyond it.
    first, both, whole = 0.11, 0.11 + 0.5 * 0.6, 0.11 + 0.5 * 0.6 + 0.5 * 0.1
    one = population((math.nan, 0), (0.5, 1), (0.4, 4), (0.7, 3))
    other = population((0.9, 5), (0.3, 9))
    merit = merit_of([one, other])
    assert merit.by is By.HYPERVOLUME
    assert merit.title == "best hypervolume so far"
    assert after_each(merit, one) == pytest.approx(
        [-math.inf, first / whole, first / whole, both / whole]
    )
    assert after_each(merit, other) == pytest.approx([0.11 / whole] * 2)
    assert merit.notes == (
        "hypervolumes are above accuracy 0.46, size 5.4; 1 is what all runs together dominate",
    )


@given(
    st.lists(
        st.tuples(*[st.integers(0, 6).map(float)] * 3) | st.just((math.nan, 0.0, 0.0)),
        min_size=1,
        max_size=25,
    ).filter(lambda measured: any(not math.isnan(m[0]) for m in measured))
)
def test_all_of_one_population_dominate_all_and_nothing_is_lost(
    measured: list[tuple[float, ...]],
) -> None:
    one = population(*measured, objectives=("accuracy", "size:min", "time:min"))
    merit = merit_of([one])
    found = after_each(merit, one)
    assert found == sorted(found)
    assert found[-1] == pytest.approx(1.0)
    # In whatever order they come, together they dominate as much.
    for many in range(1, len(measured) + 1):
        records = list(one.records.values())[:many]
        assert merit.of(records[::-1])[-1] == pytest.approx(found[many - 1])


def test_a_front_of_one_point_is_worth_something() -> None:
    one = population((0.5, 5), (0.9, 1))
    assert after_each(merit_of([one]), one) == pytest.approx([0.1 * 0.1 / (1.1 * 1.1), 1.0])
    alone = population((0.5, 5))
    assert after_each(merit_of([alone]), alone) == pytest.approx([1.0])


def test_one_objective_or_different_ones_are_compared_by_fitness() -> None:
    single = population((0.3,), (0.5,), (0.4,), objectives=("accuracy",))
    merit = merit_of([single])
    assert (merit.by, merit.notes, merit.title) == (By.FITNESS, (), "best fitness so far")
    assert after_each(merit, single) == [0.3, 0.5, 0.5]
    two = population((0.6, 1))
    mixed = merit_of([single, two])
    assert mixed.by is By.FITNESS
    assert mixed.notes == ("they were bred for different objectives: compared by fitness alone",)
    assert after_each(mixed, two) == [0.6]


def test_what_is_asked_for_is_used_or_refused() -> None:
    two = population((0.6, 1), (0.5, 2))
    asked = merit_of([two], By.FITNESS)
    assert (asked.by, asked.notes) == (By.FITNESS, ())
    assert merit_of([two], By.HYPERVOLUME).by is By.HYPERVOLUME
    single = population((0.3,), objectives=("accuracy",))
    for these in ([single], [single, two]):
        with pytest.raises(SettingsError, match="the same several objectives, which these were no"):
            merit_of(these, By.HYPERVOLUME)


def test_a_front_that_is_too_large_says_what_to_do() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((201, 7))
    points /= points.sum(axis=1, keepdims=True)
    objectives = ("accuracy", *(f"m{n}:max" for n in range(6)))
    with pytest.raises(NoResultError, match=r"at most 200 points.*or compare with --by fitness"):
        merit_of([population(*map(tuple, points), objectives=objectives)])


def test_a_population_from_a_file(tmp_path: Path) -> None:
    def fitness(genome: evoft.Genome, trial: evoft.Trial) -> evoft.Outcome:
        x = float(genome["x"])
        return evoft.Outcome.of_fitness(x, metrics={"size": x * x})

    search = evoft.SearchSettings(objectives=TWO, finalists=0)
    file = tmp_path / "a.h5"
    list(evoft.evolve(fitness, evoft.SearchSpace(x=evoft.Float(0.0, 1.0)), generations=3,
                      population_size=5, workers=0, file=file, search=search))  # fmt: skip
    there = Population.open(file)
    found = after_each(merit_of([there]), there)
    assert found[-1] == pytest.approx(1.0)
    assert found[0] < found[-1]
