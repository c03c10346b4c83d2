"""Small populations to write, damage and read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Record, Store
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict

MakeRecord = Callable[..., Record]


def make_search_record(
    id: int,
    fitness: float = 0.5,
    parents: tuple[int, ...] = (),
    genome: Genome | None = None,
    status: Status = Status.OK,
    generation: int | None = None,
    *,
    rung: int = 0,
    number: int | None = None,
    asked: int | None = None,
) -> Record:
    """``number`` and ``asked`` are the trial's; on rung 0, those of one birth after the other."""
    genome = genome or Genome(lr=0.001 * (id + 1), depth=id % 4, opt="adamw", aug=id % 2 == 0)
    generation = id // 4 if generation is None else generation
    birth = Individual(id, generation, parents, "mutation", genome, 1000 + id)
    curve = tuple(
        CurvePoint(float(epoch), {"val_loss": 1.0 / epoch, "val_accuracy": fitness})
        for epoch in (1, 2)
    )
    outcome = Outcome(
        status,
        fitness if status is Status.OK else float("nan"),
        "" if status is Status.OK else "it would not",
        curve,
        {"size": 3.0},
        seconds=1.5,
        peak_memory=1 << 20,
    )
    recipe: dict[str, Any] = {"model": "embedded", **genome}
    trial = Trial(
        id,
        genome,
        1000 + id,
        rung=rung,
        epochs=3.0**rung if rung or number is not None else None,
        number=id if number is None else number,
        generation=generation if asked is None else asked,
    )
    return Record(trial, outcome, birth, recipe, elapsed=2.0 * (id + 1))


def make_final_record(search: Record, repeat: int, fitness: float) -> Record:
    id, seed = search.trial.individual, 5000 + repeat
    trial = Trial(id, search.trial.genome, seed, Stage.FINAL, repeat)
    return Record(trial, Outcome(Status.OK, fitness), None, search.recipe, elapsed=99.0)


def make_verdict(winner: int, default: int = 0) -> Verdict:
    return Verdict(winner, 0, default, 0, both=80, only_winner=9, only_default=4, neither=7)


@pytest.fixture
def search_record() -> MakeRecord:
    return make_search_record


@pytest.fixture
def final_record() -> MakeRecord:
    return make_final_record


@pytest.fixture
def verdict() -> Callable[..., Verdict]:
    return make_verdict


@pytest.fixture
def header() -> Header:
    return Header(
        run_id="c0ffee",
        created="2026-01-02T03:04:05+00:00",
        seed=7,
        settings={"search": {"population_size": 4}, "budget": 100},
        space={"lr": {"low": 1e-5, "high": 0.1}},
        data={"name": "digits", "classes": ["0", "1"]},
        backbones=({"name": "embedded", "layer_groups": 4},),
        environment={"python": "3.11"},
    )


@pytest.fixture
def population_path(tmp_path: Path, header: Header) -> Path:
    """A closed population: ten trials, a final run of number 3, and a verdict for it."""
    path = tmp_path / "digits.h5"
    with Store.create(path, header) as store:
        for id in range(10):
            parents = (id - 1,) if id else ()
            store.append(make_search_record(id, fitness=(id * 7 % 10) / 10, parents=parents))
        store.append(make_final_record(make_search_record(3), 0, 0.8))
        store.append_verdict(make_verdict(3))
    return path
