"""Which populations are runs of one thing, and which cannot be compared at all."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evoft.analysis.compare import compare
from evoft.analysis.groups import grouped, notes_on
from evoft.errors import NoResultError, PopulationMismatchError, SettingsError
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record
from evoft.outcome import Outcome
from evoft.settings import SearchSettings, Settings, TrainingSettings
from evoft.trial import Trial

DIGITS = {
    "name": "digits", "source": "digits", "fingerprint": "a1", "classes": ["0", "1"],
    "splits": {"train": 60, "val": 20, "test": 20},
}  # fmt: skip
SPACE = {"lr": {"type": "float", "low": 0.0, "high": 1.0, "log": False}}


def population(
    name: str,
    seed: int = 0,
    *,
    data: dict[str, Any] | None = None,
    space: dict[str, Any] = SPACE,
    training: dict[str, Any] | None = None,
    fitness: float = 0.5,
    **search: Any,
) -> Population:
    settings = Settings(
        seed=seed, search=SearchSettings(**search), training=TrainingSettings(**training or {})
    )
    header = Header(
        run_id=name, created="2026-01-01", seed=seed, settings=settings.to_dict(), space=space,
        data=data or {},
    )  # fmt: skip
    trial = Trial(0, Genome(lr=0.1), 5)
    birth = Individual(0, 0, (), "default", trial.genome, 5)
    record = Record(trial, Outcome.of_fitness(fitness), birth, None, 1.0)
    return Population.of(header, {trial.key: record}, path=Path("runs") / f"{name}.h5")


def labels_of(*populations: Population, labels: Any = ()) -> dict[str, list[str]]:
    groups = grouped(populations, labels)
    return {group.label: [p.header.run_id for p in group.populations] for group in groups}


def test_seeds_of_the_same_settings_are_one_group() -> None:
    runs = [population("a", 0), population("b", 1), population("c", 2)]
    assert labels_of(*runs) == {"a": ["a", "b", "c"]}
    (group,) = grouped(runs)
    assert group.seeds == (0, 1, 2)
    assert notes_on([group]) == []


def test_what_does_not_settle_the_lineage_sets_no_groups_apart() -> None:
    other = population("b", 1, generations=9)
    run = {**other.header.settings, "run": {**other.header.settings["run"], "workers": 7}}
    other = replace(other, header=replace(other.header, settings=run))
    assert labels_of(population("a", 0), other) == {"a": ["a", "b"]}


def test_groups_are_named_by_what_sets_them_apart() -> None:
    runs = [population("a", 0), population("b", 0, cxpb=0.5), population("c", 1, cxpb=0.5)]
    assert labels_of(*runs) == {"cxpb 0.7": ["a"], "cxpb 0.5": ["b", "c"]}
    assert notes_on(grouped(runs)) == []


def test_or_by_their_files_where_that_is_much_and_it_is_said() -> None:
    runs = [population("a"), population("b", cxpb=0.5, mutpb=0.1, sigma=0.3)]
    groups = grouped(runs)
    assert [group.label for group in groups] == ["a", "b"]
    assert notes_on(groups) == [
        "the groups differ in search.cxpb, search.mutpb, search.sigma: all of that is compared "
        "at once"
    ]


def test_spaces_may_differ_and_it_is_said() -> None:
    runs = [population("a"), population("b", space={**SPACE, "drop": SPACE["lr"]})]
    groups = grouped(runs)
    assert [group.label for group in groups] == ["a", "b"]
    assert notes_on(groups) == ["the groups differ in space: all of that is compared at once"]


def test_labels_of_the_users() -> None:
    runs = [population("evo-1"), population("evo-2", 1, cxpb=0.5), population("old"),
            population("older", 1)]  # fmt: skip
    labels = [("new", "runs/evo*"), ("gone", "old.h5")]
    assert labels_of(*runs, labels=labels) == {
        "new": ["evo-1", "evo-2"], "gone": ["old"], "older": ["older"],
    }  # fmt: skip
    assert notes_on(grouped(runs, labels)) == ["the populations of new differ in search.cxpb"]
    with pytest.raises(SettingsError, match="no file that is compared fits the pattern of the la"):
        grouped(runs, [("new", "*.csv")])


def test_a_seed_twice_is_said() -> None:
    groups = grouped([population("a", 3), population("b", 3)])
    assert notes_on(groups) == ["a has a seed twice: runs of one seed are no two measurements"]


def test_one_data_set_split_by_each_seed_in_its_own_way_is_one() -> None:
    runs = [population("a", 0, data=DIGITS),
            population("b", 1, data={**DIGITS, "fingerprint": "b2"})]  # fmt: skip
    assert labels_of(*runs) == {"a": ["a", "b"]}
    moved = {**DIGITS, "name": "copy of digits", "source": "/elsewhere"}
    runs.append(population("c", 2, data=moved, training={"data": "/elsewhere"}))
    assert labels_of(*runs) == {"a": ["a", "b", "c"]}


def test_data_that_are_taken_for_one_set_and_may_be_two_are_noted() -> None:
    def notes(*data: dict[str, Any]) -> list[str]:
        return notes_on(grouped([population("abcd"[i], i, data=one) for i, one in enumerate(data)]))

    content = {**DIGITS, "content": "c1"}
    split_anew = {**content, "fingerprint": "b2"}
    assert notes(DIGITS, DIGITS) == []
    assert notes(content, split_anew, {**split_anew, "fingerprint": "c3"}) == []
    assert notes(content, {**split_anew, "content": "c2"}) == [
        "runs/a.h5 and runs/b.h5 are not of the same images: they are taken for one data set by "
        "their name, digits"
    ]
    renamed = {**split_anew, "content": "c2", "name": "signs"}
    assert notes(content, renamed, renamed) == [
        "runs/a.h5, runs/b.h5 and 1 more are not of the same images: they are taken for one "
        "data set by their number of images, 100"
    ]
    assert notes(content, {**DIGITS, "fingerprint": "b2"}) == [
        "whether runs/a.h5 and runs/b.h5 are of the same images is not in these files: they are "
        "taken for one data set by their name, digits"
    ]


def test_the_same_images_are_one_data_set_whatever_their_name_and_however_many_were_left_out() -> (
    None
):
    one = {**DIGITS, "content": "c1"}
    fewer = {**one, "name": "d", "fingerprint": "b2", "splits": {"train": 9, "val": 20, "test": 20}}
    runs = [population("a", data=one), population("b", data=fewer)]
    assert len(grouped(runs)) == 1
    with pytest.raises(PopulationMismatchError, match="are of different data"):
        grouped([runs[0], population("c", data={**fewer, "content": "c2"})])


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"data": {}}, "one is of fine-tuning, one of a fitness of its own"),
        (
            {"data": {**DIGITS, "name": "signs", "splits": {"train": 9, "val": 1, "test": 1}}},
            "are of different data (digits: 100 images of 2 classes; signs: 11 images of 2 clas",
        ),
        ({"data": {**DIGITS, "classes": ["a", "b", "c"]}}, "compare populations of one data set"),
    ],
)
def test_fitness_of_different_meaning_is_not_compared(others: Any, message: str) -> None:
    with pytest.raises(PopulationMismatchError) as refused:
        grouped([population("a", data=DIGITS), population("b", **others)])
    assert message in str(refused.value)
    assert "runs/a.h5 and runs/b.h5" in str(refused.value)


def test_who_ended_well_on_a_lower_rung_alone_is_a_result() -> None:
    one = population("a", data=DIGITS)
    (record,) = one.records.values()
    above = replace(record.trial, rung=1, number=1)
    fell = replace(record, trial=above, outcome=Outcome.of_fitness(math.nan), elapsed=2.0)
    fallen = Population.of(one.header, {record.key: record, fell.key: fell}, path=one.path)
    assert fallen.best is None
    compared = compare(grouped([fallen, population("b", 1, data=DIGITS)]))
    assert {reading.values for one in compared.readings for reading in one} == {(0.5, 0.5)}


def test_a_population_named_twice_or_without_a_result_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"runs/a.h5 and runs/a.h5 are one population: name"):
        grouped([population("a"), population("a")])
    with pytest.raises(NoResultError, match=r"no trial in runs/b.h5 has ended well yet"):
        grouped([population("a"), population("b", fitness=math.nan)])
