"""Groups side by side, on populations that evoft evolved."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from running import retimed

import evoft
from evoft.analysis.compare import Comparison, Reading, compare, conclude
from evoft.analysis.curves import Cost
from evoft.analysis.groups import Group, grouped
from evoft.errors import NoResultError

SPACE = evoft.SearchSpace({f"x{n}": evoft.Float(0.0, 1.0, default=0.0) for n in range(4)})


def near(genome: evoft.Genome, trial: evoft.Trial) -> float:
    trial.report(1, loss=1.0)
    trial.report(2, loss=0.5)
    return -math.dist([float(x) for x in genome.values()], [0.3, 0.5, 0.7, 0.9])


def late(genome: evoft.Genome, trial: evoft.Trial) -> float:
    return near(genome, trial) if trial.individual >= 20 else math.nan


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> tuple[Group, ...]:
    """Five seeds of a search that breeds, and five of one that draws."""
    folder = tmp_path_factory.mktemp("runs")
    settings = {
        "bred": evoft.SearchSettings(strategy="ga", epochs=2, finalists=0),
        "drawn": evoft.SearchSettings(
            strategy="ga", epochs=2, finalists=0, cxpb=0.0, sigma=9.0, indpb=1.0
        ),
    }
    populations = []
    for name, search in settings.items():
        for seed in range(5):
            file = folder / "run" / f"{name}-{seed}.h5"
            list(evoft.evolve(near, SPACE, generations=6, population_size=8, seed=seed, workers=0,
                              file=file, search=search))  # fmt: skip
            populations.append(retimed(file, folder / file.name))
    return grouped(populations, [("bred", "bred-*"), ("drawn", "drawn-*")])


@pytest.fixture(scope="module")
def comparison(groups: tuple[Group, ...]) -> Comparison:
    return compare(groups)


def test_every_group_is_read_at_every_cost(comparison: Comparison) -> None:
    for cost in (Cost.EPOCHS, Cost.SECONDS):
        chosen = [pair for pair in comparison.readings if pair[0].cost is cost]
        spent = [pair[0].spent for pair in chosen]
        assert spent == sorted(set(spent))
        assert 5 <= len(spent) <= 8
        for bred, drawn in chosen:
            assert (bred.label, drawn.label) == ("bred", "drawn")
            assert bred.spent == drawn.spent
            assert len(bred.values) == len(drawn.values) == 5
        for group in (0, 1):
            means = [pair[group].mean for pair in chosen]
            assert means == sorted(means)


def test_the_last_cost_is_what_all_had_spent(comparison: Comparison, groups: list[Group]) -> None:
    last = [pair for pair in comparison.readings if pair[0].cost is Cost.EPOCHS][-1]
    assert last[0].spent == 2 * 6 * 8
    for reading, group in zip(last, groups, strict=True):
        assert list(reading.values) == [p.best.fitness for p in group.populations if p.best]
        assert reading.mean == statistics.fmean(reading.values)
        assert reading.median == sorted(reading.values)[2]
        assert reading.interval
        assert reading.interval.low < reading.mean < reading.interval.high


def test_it_is_said_what_is_better(comparison: Comparison) -> None:
    epochs, seconds = comparison.conclusions
    assert epochs.startswith("at 96 epochs bred is better than drawn: +0.")
    assert "5 and 5 runs" in epochs
    assert seconds.startswith("at 24 seconds bred is better than drawn: +0.")
    assert comparison.notes == (
        "the groups differ in search.cxpb, search.indpb, search.sigma: all of that is compared at "
        "once",
    )


def test_runs_that_share_no_time_are_compared_in_training_alone(groups: list[Group]) -> None:
    (fast, *_), (slow, *_) = (group.populations for group in groups)
    records = {key: replace(r, elapsed=r.elapsed + 9999) for key, r in slow.records.items()}
    late = evoft.Population.of(slow.header, records)
    alone = compare([Group("fast", (fast,)), Group("slow", (late,))])
    assert alone.costs == (Cost.EPOCHS,)
    assert alone.notes[-1].startswith("there is no equal cost to compare at: one population had sp")
    assert len(alone.conclusions) == 1


def reading(label: str, *values: float) -> Reading:
    return Reading(Cost.EPOCHS, 30.0, label, values)


def test_no_significant_difference_and_single_runs_are_called_so() -> None:
    (sentence,) = conclude([reading("a", 0.90, 0.94, 0.92), reading("b", 0.91, 0.95, 0.93)])
    assert sentence.startswith("at 30 epochs no significant difference between b and a: +0.01 (")
    (sentence,) = conclude([reading("a", 0.9), reading("b", 0.91, 0.95)])
    assert sentence.startswith("at 30 epochs: a 0.9, b 0.93; which is better cannot be told, for")
    assert conclude([reading("a", 0.9, 0.8)]) == []


def test_among_many_groups_without_a_difference_the_best_is_seldom_called_better() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        groups = [reading(str(n), *rng.normal(size=5)) for n in range(6)]
        wrong += any("is better than" in sentence for sentence in conclude(groups))
    assert wrong / 400 < 0.07


def test_without_an_equal_cost_there_is_no_comparison(tmp_path: Path) -> None:
    for name, fitness, generations in (("short", near, 2), ("late", late, 6)):
        list(evoft.evolve(fitness, SPACE, generations=generations, population_size=4, workers=0,
                          seed=len(name), file=tmp_path / f"{name}.h5"))  # fmt: skip
    files = [evoft.Population.open(tmp_path / f"{name}.h5") for name in ("short", "late")]
    with pytest.raises(NoResultError, match="had spent 16 epochs in all, and another 22 when"):
        compare(grouped(files, [("a", "short*"), ("b", "late*")]))
