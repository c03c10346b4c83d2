"""What of the best stands at the end of what was searched."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import evoft
from evoft.analysis.at_bounds import at_bounds, at_bounds_sentences
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record
from evoft.outcome import Outcome
from evoft.settings import Settings
from evoft.trial import Trial

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "drop": {"type": "float", "low": 0.0, "high": 0.6},
    "layer_decay": {"type": "float", "low": 0.65, "high": 1.0, "default": 1.0},
    "batch_size": {"type": "integer", "low": 8, "high": 64, "log": True},
    "freeze_depth": {"type": "integer", "low": 0, "high": 4},
    "opt": {"type": "choice", "values": ["adamw", "sgd"]},
    "momentum": {"type": "float", "low": 0.5, "high": 0.9, "when": {"opt": ["sgd"]}},
}
MIDDLE = {
    "lr": 1e-3, "drop": 0.3, "layer_decay": 0.8, "batch_size": 16, "freeze_depth": 2,
    "opt": "adamw", "momentum": 0.9,
}  # fmt: skip


def population(fine_tuning: bool = True, strategy: str = "evolution", **genes: Any) -> Population:
    genome = Genome({**MIDDLE, **genes})
    trial = Trial(0, genome, 1, number=0)
    birth = Individual(0, 0, (), "default", genome, 1)
    record = Record(trial, Outcome.of_fitness(0.5), birth, None, 1.0)
    settings = Settings.from_dict({"search": {"strategy": strategy}})
    header = Header.new(
        settings, space=SPACE, environment={}, data={"name": "x"} if fine_tuning else {}
    )
    return Population.of(header, {record.key: record})


@pytest.mark.parametrize(
    ("genes", "found"),
    [
        ({}, []),
        ({"lr": 0.0999}, ["lr"]),
        ({"lr": 1e-5, "drop": 0.595}, ["lr", "drop"]),
        ({"lr": 0.05, "drop": 0.57}, []),  # near, as values are anywhere
        ({"drop": 0.0}, []),  # there is no less
        ({"layer_decay": 1.0}, []),  # as whoever made the space would have it
        ({"layer_decay": 0.65}, ["layer_decay"]),
        ({"batch_size": 8}, ["batch_size"]),
        ({"batch_size": 9}, []),
        ({"freeze_depth": 4}, []),  # all there are
        ({"opt": "sgd"}, ["momentum"]),  # which counts now
    ],
)
def test_only_bounds_that_bind_are_found(genes: dict[str, Any], found: list[str]) -> None:
    assert [one.gene for one in at_bounds(population(**genes))] == found


def test_to_a_function_of_ones_own_any_value_may_mean_something() -> None:
    found = at_bounds(population(fine_tuning=False, drop=0.0, layer_decay=0.65))
    assert [(one.gene, one.value, one.low, one.high) for one in found] == [
        ("drop", 0.0, 0.0, 0.6),
        ("layer_decay", 0.65, 0.65, 1.0),
    ]


def test_the_sentence_says_how_to_go_on() -> None:
    (said,) = at_bounds_sentences(population(lr=0.0999, batch_size=8), Path("my runs/p.h5"))
    assert said == (
        "At the end of its range in the best: lr 0.0999 of 1e-05 to 0.1, batch_size 8 of 8 to 64. "
        "What is better may lie beyond: `evoft space 'my runs/p.h5' > wider.toml`, then resume "
        "with --space wider.toml."
    )
    for file, strategy in ((None, "evolution"), (Path("p.h5"), "grid")):
        (said,) = at_bounds_sentences(population(strategy=strategy, lr=0.1), file)
        assert said.endswith("may lie beyond.")
    assert at_bounds_sentences(population(), Path("p.h5")) == []


def test_nobody_that_ended_well_stands_nowhere() -> None:
    empty = Population.of(population().header, {})
    assert at_bounds(empty) == ()


def test_what_is_said_leads_beyond(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A search whose best lies beyond says so, and finds it when it does what is said."""
    path = tmp_path / "mine.h5"
    space = evoft.SearchSpace(x=evoft.Float(0.0, 1.0))

    def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
        return -abs(float(genome["x"]) - 2.0)

    list(evoft.evolve(fitness, space, generations=4, population_size=8, file=path, workers=0))
    assert [one.gene for one in at_bounds(Population.open(path))] == ["x"]
    wider = evoft.SearchSpace(x=evoft.Float(0.0, 4.0))
    with caplog.at_level(logging.ERROR, "evoft"):
        list(evoft.resume(fitness, path, space=wider, generations=8, workers=0))
    found = Population.open(path)
    assert found.best is not None
    assert found.best.fitness > -0.2
    assert at_bounds(found) == ()
