"""The one writer: what it makes, keeps, refuses and puts right."""

from __future__ import annotations

import ast
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evoft.errors import (
    PopulationExistsError,
    PopulationLockedError,
    StorageError,
)
from evoft.header import Header
from evoft.lineage import Paths, Population, Record, Store, appending
from evoft.lineage import store as store_module
from evoft.outcome import Outcome, Status
from evoft.trial import Stage, Trial


def test_create_makes_folders_and_a_whole_file_at_once(tmp_path: Path, header: Header) -> None:
    path = tmp_path / "populations" / "digits.h5"
    with Store.create(path, header) as store:
        assert Population.open(path).header == header == store.header
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["digits.h5", "digits.journal"]


@pytest.mark.parametrize("left", ["both", "file", "journal"])
def test_create_refuses_what_is_there(population_path: Path, header: Header, left: str) -> None:
    journal = population_path.with_suffix(".journal")
    if left == "file":
        journal.unlink()
    if left == "journal":
        population_path.unlink()
    with pytest.raises(PopulationExistsError, match=f"`evoft resume {population_path}`") as error:
        Store.create(population_path, header)
    assert f"`evoft.resume(fitness, {str(population_path)!r})`" in str(error.value)
    assert len(Population.open(population_path)) == 10


@pytest.mark.parametrize("rest", [b"", b"0000", b"\0\0\0"])
def test_create_goes_over_what_a_killed_create_left(
    tmp_path: Path, header: Header, rest: bytes
) -> None:
    (tmp_path / "digits.journal").write_bytes(rest)
    with Store.create(tmp_path / "digits.h5", header):
        assert Population.open(tmp_path / "digits.h5").header == header


def test_a_header_that_is_not_json_leaves_nothing_behind(tmp_path: Path, header: Header) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Store.create(tmp_path / "digits.h5", replace(header, settings={"a": object()}))
    assert list(tmp_path.iterdir()) == []


def test_open_goes_on_where_the_last_writer_stopped(
    population_path: Path, search_record: Any
) -> None:
    with Store.open(population_path) as store:
        assert (len(store.records), len(store.verdicts), store.elapsed) == (11, 1, 99.0)
        store.append(search_record(10))
        assert len(store.records) == 12
    assert len(Population.open(population_path)) == 11


def test_trials_may_be_appended_out_of_order(
    tmp_path: Path, header: Header, search_record: Any
) -> None:
    with Store.create(tmp_path / "digits.h5", header) as store:
        for id in (3, 0, 2, 1):
            store.append(search_record(id))
        assert store.elapsed == search_record(3).elapsed
    individuals = Population.open(tmp_path / "digits.h5").individuals
    assert [individual.id for individual in individuals] == [0, 1, 2, 3]


def test_what_is_appended_is_seen_before_it_is_folded(
    tmp_path: Path, header: Header, search_record: Any, verdict: Any
) -> None:
    path = tmp_path / "digits.h5"
    with Store.create(path, header) as store:
        size = path.stat().st_size
        store.append(search_record(0))
        store.append_verdict(verdict(0))
        store.amend_settings({"population_size": 1})
        population = Population.open(path)
        assert (len(population), len(population.verdicts)) == (1, 1)
        assert population.header.settings == {"population_size": 1} == store.header.settings
        assert path.stat().st_size == size
        store.fold()
        assert path.stat().st_size > size
    again = Population.open(path)
    assert (again.header, dict(again.records)) == (population.header, dict(population.records))


def test_amended_settings_outlive_closing(population_path: Path) -> None:
    with Store.open(population_path) as store:
        store.amend_settings({"population_size": 4, "budget": 200})
    with Store.open(population_path) as store:
        assert store.header.settings["budget"] == 200
        assert store.header.run_id == "c0ffee"


def test_amended_facts_of_backbones_outlive_closing(population_path: Path) -> None:
    with Store.open(population_path) as store:
        before = store.header
        facts = tuple({**facts, "latency": 0.1 + 0.2} for facts in before.backbones)
        assert facts
        store.amend_backbones(facts)
        assert Population.open(population_path).header.backbones == facts
    with Store.open(population_path) as store:
        assert store.header == replace(before, backbones=facts)


def test_a_trial_is_kept_once(population_path: Path, search_record: Any) -> None:
    with Store.open(population_path) as store, pytest.raises(ValueError, match="already"):
        store.append(search_record(3))


def test_several_trials_are_kept_together_and_the_disk_is_waited_for_once(
    tmp_path: Path, header: Header, search_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    sync = os.fsync
    with Store.create(tmp_path / "one.h5", header) as one:
        for id in range(5):
            one.append(search_record(id))
    with Store.create(tmp_path / "all.h5", header) as store:
        with monkeypatch.context() as patch:
            patch.setattr(
                os, "fsync", lambda descriptor: (waits.append(descriptor), sync(descriptor))
            )
            store.append(*(search_record(id) for id in range(5)))
        assert len(waits) == 1
        assert dict(Population.open(tmp_path / "all.h5").records) == dict(store.records)
        assert store.elapsed == search_record(4).elapsed
    journals = [(tmp_path / f"{name}.journal").read_bytes() for name in ("one", "all")]
    assert journals[0] == journals[1]
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "all.h5").read_bytes()


def test_of_several_trials_all_are_kept_or_none(
    population_path: Path, search_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:-40])
        raise OSError(28, "No space left on device")

    birth = search_record(10, rung=1, number=11)
    other = replace(birth, birth=replace(birth.birth, operator="sample"))
    journal = population_path.with_suffix(".journal")
    with Store.open(population_path) as store:
        size = journal.stat().st_size
        with pytest.raises(ValueError, match="already"):
            store.append(search_record(10), search_record(11), search_record(10))
        with pytest.raises(ValueError, match="agree on its birth"):
            store.append(search_record(10), other)
        with monkeypatch.context() as patch:
            patch.setattr(appending, "write_all", failing)
            with pytest.raises(StorageError, match="disk is full"):
                store.append(search_record(10), search_record(11))
        assert journal.stat().st_size == size
        assert len(store.records) == 11
        store.append(search_record(10), birth)
    assert Population.open(population_path)[10].rung == 1


def test_numpy_numbers_are_kept_as_plain_ones(
    tmp_path: Path, header: Header, search_record: Any
) -> None:
    record = search_record(0)
    half: Any = np.float32(0.5)
    outcome = Outcome(Status.OK, half, metrics={"a": half, "b": 3})
    with Store.create(tmp_path / "digits.h5", header) as store:
        store.append(replace(record, outcome=outcome))
        kept = store.records[record.key].outcome
    assert type(kept.fitness) is float
    assert kept == Outcome(Status.OK, 0.5, metrics={"a": 0.5, "b": 3.0})


def contradictory(record: Record) -> dict[str, tuple[Record, str]]:
    trial, birth = record.trial, record.birth
    assert birth is not None
    final = Trial(0, trial.genome, 1, Stage.FINAL)
    return {
        "no birth": (replace(record, birth=None), "birth"),
        "birth of a final run": (replace(record, trial=final), "birth"),
        "repeat": (replace(record, trial=replace(trial, repeat=1)), "repeat 0"),
        "other id": (replace(record, birth=replace(birth, id=5)), "agree"),
        "rung": (replace(record, trial=replace(trial, rung=2**15)), "rung"),
        "epochs": (replace(record, trial=replace(trial, epochs=0.0)), "epochs"),
        "number": (replace(record, trial=replace(trial, number=-1)), "numbers"),
        "asked": (replace(record, trial=replace(trial, generation=-1)), "generation"),
        "rung of a final run": (
            replace(record, birth=None, trial=replace(final, rung=1)),
            "rung, number and generation 0",
        ),
        "step": (replace(record, birth=replace(birth, step=math.nan)), "step"),
        "price": (replace(record, birth=replace(birth, price=0.0)), "price"),
        "parents": (replace(record, birth=replace(birth, parents=(1, 2, 3))), "at most 2"),
        "generation": (replace(record, birth=replace(birth, generation=2**31)), "generation"),
        "seed": (
            replace(record, trial=replace(trial, seed=2**63), birth=replace(birth, seed=2**63)),
            "seeds",
        ),
        "recipe": (replace(record, recipe={"a": object()}), "JSON"),
    }


@pytest.mark.parametrize(
    "fault",
    ["no birth", "birth of a final run", "repeat", "other id", "rung", "epochs", "number", "asked",
     "rung of a final run", "step", "price", "parents", "generation", "seed", "recipe"],
)  # fmt: skip
def test_a_record_that_could_not_be_read_back_is_refused(
    tmp_path: Path, header: Header, search_record: Any, fault: str
) -> None:
    record, message = contradictory(search_record(0))[fault]
    path = tmp_path / "digits.h5"
    with Store.create(path, header) as store:
        with pytest.raises(ValueError, match=message):
            store.append(record)
        store.append(search_record(0))
    assert len(Population.open(path)) == 1


def test_rungs_must_agree_on_the_birth(population_path: Path, search_record: Any) -> None:
    record = search_record(3, rung=1, number=10, parents=(2,))
    assert record.birth is not None
    other = replace(record, birth=replace(record.birth, operator="immigrant"))
    with Store.open(population_path) as store:
        with pytest.raises(ValueError, match="individual 3 on rungs 1 and 0 must agree"):
            store.append(other)
        store.append(record)
        with pytest.raises(ValueError, match="already"):
            store.append(record)
    assert Population.open(population_path)[3].rung == 1


def test_a_missing_journal_is_made_again(population_path: Path, search_record: Any) -> None:
    before = Population.open(population_path)
    journal = population_path.with_suffix(".journal")
    journal.unlink()
    assert dict(Population.open(population_path).records) == dict(before.records)
    with Store.open(population_path) as store:
        assert dict(store.records) == dict(before.records)
        store.append(search_record(10))
    population_path.unlink()
    after = Population.open(population_path)
    assert (len(after), after.verdicts, after.header) == (11, before.verdicts, before.header)


def test_a_missing_file_is_made_again(population_path: Path) -> None:
    before = Population.open(population_path)
    population_path.unlink()
    with Store.open(population_path):
        assert population_path.exists()
    population_path.with_suffix(".journal").unlink()
    assert dict(Population.open(population_path).records) == dict(before.records)


def test_what_a_killed_writer_left_half_written_is_removed(population_path: Path) -> None:
    left = population_path.with_name("digits.h5.new")
    left.write_bytes(b"half")
    Store.open(population_path).close()
    assert not left.exists()


def test_one_writer_at_a_time(population_path: Path) -> None:
    with Store.open(population_path):
        mine = rf"this very process \(pid {os.getpid()}\): close the evolution"
        message = rf"^{population_path} is being written by {mine}"
        with pytest.raises(PopulationLockedError, match=message):
            Store.open(population_path)
        assert len(Population.open(population_path)) == 10
    Store.open(population_path).close()


def test_a_closed_store_says_so(population_path: Path, search_record: Any, verdict: Any) -> None:
    store = Store.open(population_path)
    store.close()
    store.close()
    with pytest.raises(ValueError, match="closed"):
        store.append(search_record(10))
    with pytest.raises(ValueError, match="closed"):
        store.fold()


def test_an_interrupted_append_is_taken_back(
    population_path: Path, search_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:40])
        raise KeyboardInterrupt

    journal = population_path.with_suffix(".journal")
    with Store.open(population_path) as store:
        size = journal.stat().st_size
        with monkeypatch.context() as patch:
            patch.setattr(appending, "write_all", interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.append(search_record(10))
        assert journal.stat().st_size == size
        store.append(search_record(10))
    assert len(Population.open(population_path)) == 11


def test_what_could_not_be_taken_back_is_cut_off_by_the_next_append(
    population_path: Path, search_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with Store.open(population_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            patch.setattr(os, "ftruncate", failing)
            with pytest.raises(StorageError, match="Input/output error"):
                store.append(search_record(10))
        assert len(store.records) == 11
        store.append(search_record(10))
        store.append(search_record(11))
    assert len(Population.open(population_path)) == 12
    assert len(Population.open(population_path).records) == 13


def test_the_first_error_is_the_one_that_is_seen(
    population_path: Path, search_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "replace_whole", failing)

    def go_on(id: int, error: Exception | None) -> None:
        with Store.open(population_path) as store:
            store.append(search_record(id))
            if error:
                raise error

    with pytest.raises(RuntimeError, match="first"):
        go_on(10, RuntimeError("first"))
    with pytest.raises(StorageError, match=f"disk is full .*`evoft resume {population_path}`"):
        go_on(11, None)
    monkeypatch.undo()
    assert len(Population.open(population_path)) == 12


def test_a_link_to_a_population_stays_a_link(population_path: Path, search_record: Any) -> None:
    link = population_path.with_name("latest.h5")
    link.symlink_to(population_path.name)
    with Store.open(link) as store:
        store.append(search_record(10))
    assert link.is_symlink()
    assert len(Population.open(population_path)) == len(Population.open(link)) == 11


def test_the_parts_of_a_population_lie_side_by_side(tmp_path: Path) -> None:
    paths = Paths.of(tmp_path / "a.b.h5")
    assert (paths.journal.name, paths.checkpoints.name) == ("a.b.journal", "a.b.checkpoints")
    assert Paths.of(tmp_path / "digits").journal.name == "digits.journal"


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, header: Header) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"file/digits\.h5"):
        Store.create(tmp_path / "file" / "digits.h5", header)


def test_the_room_imports_only_what_it_may() -> None:
    known = {*sys.stdlib_module_names, "numpy", "h5py"}
    contract = (
        "errors", "genome", "header", "individual", "ladder", "outcome", "places", "seeds",
        "settings", "trial", "verdict",
    )  # fmt: skip
    own = {"evoft.lineage", *(f"evoft.{name}" for name in contract)}
    for file in Path(store_module.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                allowed = name.split(".")[0] in known or ".".join(name.split(".")[:2]) in own
                assert allowed, (file.name, name)
