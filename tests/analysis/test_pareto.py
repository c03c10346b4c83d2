"""Fronts of real populations, and whom to pick from them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import evoft
from evoft.analysis.pareto import front_of, objectives_in, pick
from evoft.cli.main import group
from evoft.errors import NoResultError, SettingsError
from evoft.objectives import objectives_of
from evoft.outcome import Outcome, Status

SPACE = evoft.SearchSpace(a=evoft.Integer(0, 99))
#: Fitness, latency and parameters in order of birth; None: it failed.
MEASURED = [
    (0.5, 0.004, 1e6),
    (0.9, 0.010, 9e6),
    None,
    (0.7, 0.004, 2e6),
    (0.7, 0.004, 2e6),  # a copy of someone elder
    (0.6, 0.009, 8e6),  # dominated
    (0.95, 0.030, 5e6),
]


def population_of(file: Path, measured: list[tuple[float, ...] | None], *names: str) -> Path:
    search = evoft.SearchSettings(
        strategy="ga", finalists=0, objectives=("accuracy", *names), lookahead=5
    )
    with evoft.new(SPACE, population_size=7, generations=1, file=file, search=search) as evolution:
        for numbers in measured:
            trial = evolution.ask()
            assert trial is not None
            if numbers is None:
                evolution.tell(trial, Outcome(Status.FAILED, reason="it would not"))
            else:
                metrics = dict(zip(("latency", "parameters"), numbers[1:], strict=False))
                evolution.tell(trial, Outcome.of_fitness(numbers[0], metrics=metrics))
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return population_of(tmp_path / "seven.h5", MEASURED, "latency", "parameters")


def test_the_front_has_whom_no_other_dominates_best_first_and_no_copies(file: Path) -> None:
    population = evoft.Population.open(file)
    front = front_of(population)
    assert [str(one) for one in front.objectives] == ["accuracy", "latency", "parameters"]
    assert [i.id for i in front.individuals] == [6, 1, 3, 0]
    assert front.values(front.individuals[2]) == {
        "accuracy": 0.7, "latency": 0.004, "parameters": 2e6,
    }  # fmt: skip
    by_two = front_of(population, objectives_of(("accuracy", "latency")))
    assert [i.id for i in by_two.individuals] == [6, 1, 3]
    assert front_of(population, ["accuracy", "latency"]) == by_two
    with pytest.raises(SettingsError, match="`objectives` must be a list of names, but is 'lat"):
        front_of(population, "latency")


def test_a_population_without_objectives_has_a_front_of_the_best_alone(tmp_path: Path) -> None:
    population = evoft.Population.open(population_of(tmp_path / "one.h5", MEASURED))
    assert [str(one) for one in objectives_in(population)] == ["accuracy"]
    assert [i.id for i in front_of(population).individuals] == [6]


def test_a_front_of_what_nobody_reported_is_refused(file: Path, tmp_path: Path) -> None:
    words = "no trial has reported `latencies`: there is latency, parameters"
    with pytest.raises(SettingsError, match=words):
        front_of(evoft.Population.open(file), ["accuracy", "latencies:min"])
    with pytest.raises(SettingsError, match="'latencies': say latencies:min or latencies:max of a"):
        front_of(evoft.Population.open(file), ["accuracy", "latencies"])


def test_where_all_failed_the_front_is_empty(tmp_path: Path) -> None:
    population = evoft.Population.open(population_of(tmp_path / "none.h5", [None, None]))
    assert front_of(population).individuals == ()
    with pytest.raises(NoResultError, match=r"no trial in .* has ended well: nothing to pick"):
        pick(population, {})


@pytest.mark.parametrize(
    ("limits", "id"),
    [
        ({}, 6),
        ({"latency": 0.010}, 1),
        ({"latency": 0.005}, 3),
        ({"parameters": 6e6}, 6),
        ({"parameters": 6e6, "latency": 0.02}, 3),
        ({"parameters": 1e6}, 0),
    ],
)
def test_the_best_within_limits_is_picked(file: Path, limits: dict[str, float], id: int) -> None:
    assert pick(evoft.Population.open(file), limits).id == id


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"latency": 0.001}, "nobody has latency <= 1ms: the least is 4ms, of individual 0"),
        ({"parameters": 9e5}, r"nobody has parameters <= 900000: the least is 1e\+06"),
    ],
)
def test_where_nobody_keeps_to_the_limits_it_says_how_far(
    file: Path, limits: dict[str, float], words: str
) -> None:
    with pytest.raises(NoResultError, match=words):
        pick(evoft.Population.open(file), limits)


def test_limits_that_nobody_keeps_to_at_once_are_said_to_be_such(tmp_path: Path) -> None:
    measured = [(0.5, 0.001, 9e6), (0.6, 0.009, 1e6)]
    file = population_of(tmp_path / "two.h5", measured, "latency", "parameters")
    with pytest.raises(NoResultError, match=r"parameters <= 2e\+06 at once: raise one of them"):
        pick(evoft.Population.open(file), {"latency": 0.002, "parameters": 2e6})


def test_what_nobody_measured_cannot_be_limited(tmp_path: Path) -> None:
    file = population_of(tmp_path / "plain.h5", [(0.5,), (0.6,)])
    with pytest.raises(SettingsError, match="evolved with `--objective latency`"):
        pick(evoft.Population.open(file), {"latency": 1.0})


def ran(*arguments: str) -> str:
    done = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_show_prints_the_front(file: Path) -> None:
    rows = json.loads(ran("show", "--pareto", str(file), "--format", "json"))
    assert [row["id"] for row in rows] == [6, 1, 3, 0]
    assert rows[1]["latency"] == 0.010
    text = io.StringIO(ran("show", "--pareto", str(file), "--format", "csv"))
    assert [row["parameters"] for row in csv.DictReader(text)] == [
        "5000000.0", "9000000.0", "2000000.0", "1000000.0",
    ]  # fmt: skip
    table = ran("show", "--pareto", str(file))
    assert "accuracy  latency  parameters  differs_from_0" in table


def test_pick_prints_the_individual(file: Path) -> None:
    (row,) = json.loads(
        ran(
            "pick", str(file), "--max-latency", "5ms", "--max-parameters", "10M", "--format", "json"
        )
    )
    assert (row["id"], row["latency"], row["parameters"]) == (3, 0.004, 2e6)
    assert "gene.a" in row
    assert "latency" in ran("pick", str(file), "--max-latency", "5ms")


def test_show_takes_one_view_at_a_time(file: Path) -> None:
    with pytest.raises(SettingsError, match="one of ID, --top, --generations, --pareto and"):
        ran("show", "--pareto", "--top", "3", str(file))
