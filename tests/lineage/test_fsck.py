"""Every damage is found, named and, where one sound copy is left, repaired."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from evoft.errors import (
    PopulationDamagedError,
    PopulationFileError,
    PopulationLockedError,
    PopulationMismatchError,
    PopulationSchemaError,
)
from evoft.genome import Genome
from evoft.header import Header
from evoft.lineage import Finding, Population, Store, check, repair
from evoft.lineage.envelope import USERBLOCK, seal, unseal

Damage = Callable[[Path, Path], object]


def severities(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.severity for finding in findings}


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


def flip_line(journal: Path, number: int) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    flip(journal, sum(map(len, lines[: number - 1])) + len(lines[number - 1]) // 2)


def tear(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes() + b"0000")


def shorten(journal: Path) -> None:
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:4]))


#: What happens to file and journal, the severity of what check says, and words of it.
DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "none": (lambda file, journal: None, "ok", "as it was written"),
    "file altered": (lambda file, journal: flip(file, 5000), "error", "SHA-256"),
    "first bytes altered": (lambda file, journal: flip(file, 40), "error", "first 512 bytes"),
    "file cut": (lambda file, journal: file.write_bytes(file.read_bytes()[:9999]),
                 "error", "9999 bytes of"),
    "file empty": (lambda file, journal: file.write_bytes(b""), "error", "begin"),
    "file missing": (lambda file, journal: file.unlink(), "warning", "no population file"),
    "journal missing": (lambda file, journal: journal.unlink(), "warning", "no journal"),
    "journal empty": (lambda file, journal: journal.write_bytes(b""),
                      "warning", "no journal"),
    "journal torn": (lambda file, journal: tear(journal), "warning", "cut short"),
    "journal cut": (lambda file, journal: shorten(journal), "error", "reach"),
    "journal's header altered": (lambda file, journal: flip_line(journal, 1), "error", "line 1 "),
    "journal altered": (lambda file, journal: flip_line(journal, 6), "error", "line 6 "),
    "journal garbage": (lambda file, journal: journal.write_bytes(b"\xff\n\0" * 99),
                        "error", "line 1 "),
    "left half written": (lambda file, journal: file.with_name("digits.h5.new").touch(),
                          "warning", "half written"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_single_damage_is_found_and_repaired_without_loss(
    population_path: Path, damage: str
) -> None:
    before = Population.open(population_path)
    act, severity, words = DAMAGES[damage]
    act(population_path, population_path.with_suffix(".journal"))
    found = check(population_path)
    assert any(f.severity == severity and words in f.what for f in found), found
    assert all(finding.way_out or finding.severity == "ok" for finding in found)
    repair(population_path)
    assert severities(check(population_path)) == {"ok"}
    same_both_ways(population_path, before)


def test_of_a_damaged_file_alone_nothing_is_promised(population_path: Path) -> None:
    population_path.with_suffix(".journal").unlink()
    flip(population_path, 5000)
    found = check(population_path)
    assert severities(found) == {"error"}
    for finding in found:
        assert "fsck" not in finding.what + finding.way_out  # it would lead back to here
        assert "bring a copy back" in finding.way_out


def same_both_ways(path: Path, before: Population) -> None:
    """Both copies, each alone, say what was said before, and a writer can go on."""
    journal = path.with_suffix(".journal")
    Store.open(path).close()
    aside = path.rename(path.with_suffix(".aside"))
    of_journal = Population.open(path)
    aside.rename(path)
    journal.unlink()
    for population in (of_journal, Population.open(path)):
        assert dict(population.records) == dict(before.records)
        assert (population.header, population.verdicts) == (before.header, before.verdicts)


def migrated(path: Path, search_record: Any) -> tuple[Population, int]:
    """Have a population go on in another space; return it and its withdrawal's line."""
    with Store.open(path) as store:
        store.append(search_record(10))
        store.append(search_record(12, 0.1))  # out of turn: 11 is not judged
        store.migrate({"lr": {"low": 1e-6, "high": 0.1}})
        for id in (11, 12):
            store.append(search_record(id, 0.9, genome=Genome(lr=2e-6, depth=0)))
    lines = path.with_suffix(".journal").read_bytes().splitlines()
    (withdrawal,) = (n for n, line in enumerate(lines, 1) if b'"kind":"withdrawal"' in line)
    return Population.open(path), withdrawal


def test_what_was_taken_back_does_not_return_from_a_damaged_journal(
    population_path: Path, search_record: Any
) -> None:
    """The file is sound, and was written when its journal was, too."""
    before, withdrawal = migrated(population_path, search_record)
    flip_line(population_path.with_suffix(".journal"), withdrawal)
    repair(population_path)
    same_both_ways(population_path, before)


@pytest.mark.parametrize("behind", [-1, 0, 1, 2])
def test_an_earlier_journal_takes_nothing_from_a_sound_file(
    population_path: Path, search_record: Any, behind: int
) -> None:
    before, withdrawal = migrated(population_path, search_record)
    journal = population_path.with_suffix(".journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: withdrawal + behind]))
    repair(population_path)
    same_both_ways(population_path, before)


def test_what_was_damaged_is_kept(population_path: Path) -> None:
    for _ in range(2):
        flip(population_path, 5000)
        altered = population_path.read_bytes()
        repair(population_path)
    kept = sorted(path.name for path in population_path.parent.glob("*.damaged*"))
    assert kept == ["digits.h5.damaged", "digits.h5.damaged-2"]
    assert population_path.with_name("digits.h5.damaged-2").read_bytes() == altered
    with Store.open(population_path) as store:
        store.fold()
    assert population_path.with_name("digits.h5.damaged-2").read_bytes() == altered


def test_of_a_damaged_journal_alone_every_sound_line_is_saved(population_path: Path) -> None:
    journal = population_path.with_suffix(".journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    population_path.unlink()
    flip_line(journal, 6)
    findings = repair(population_path)
    assert any(f.severity == "warning" and "line 6 " in f.what for f in findings)
    assert journal.read_bytes() == b"".join(lines[:5] + lines[6:])
    ids = [individual.id for individual in Population.open(population_path)]
    assert ids == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert severities(check(population_path)) == {"ok"}


def test_both_damaged_is_repaired_from_the_journals_sound_lines(population_path: Path) -> None:
    flip_line(population_path.with_suffix(".journal"), 6)
    flip(population_path, 5000)
    repair(population_path)
    ids = [individual.id for individual in Population.open(population_path)]
    assert ids == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_what_is_not_folded_yet_survives(population_path: Path, search_record: Any) -> None:
    """Also a header that came after the last fold."""
    with Store.open(population_path) as store:
        folded = population_path.read_bytes()
        store.append(search_record(10))
        store.amend_settings({"budget": 999})
    population_path.write_bytes(folded)
    flip_line(population_path.with_suffix(".journal"), 3)
    before = len(Population.open(population_path))
    repair(population_path)
    after = Population.open(population_path)
    assert before == len(after) == 11
    assert after.header.settings == {"budget": 999}


def test_an_old_header_does_not_displace_a_newer_one(population_path: Path) -> None:
    journal = population_path.with_suffix(".journal")
    with Store.open(population_path) as store:
        store.amend_settings({"budget": 999})
    flip_line(journal, len(journal.read_bytes().splitlines()))
    repair(population_path)
    population_path.unlink()
    assert Population.open(population_path).header.settings == {"budget": 999}


def test_a_damaged_file_without_a_journal_is_refused(population_path: Path) -> None:
    """Rather than believed: HDF5's own checksums do not cover everything."""
    population_path.with_suffix(".journal").unlink()
    flip(population_path, 5000)
    with pytest.raises(PopulationDamagedError, match="backup"):
        repair(population_path)
    assert [path.name for path in population_path.parent.iterdir()] == ["digits.h5"]


def test_nothing_sound_is_refused(population_path: Path) -> None:
    journal = population_path.with_suffix(".journal")
    journal.write_bytes(b"nothing\n")
    population_path.write_bytes(b"nothing")
    files = sorted(population_path.parent.iterdir())
    assert severities(check(population_path)) == {"error"}
    with pytest.raises(PopulationDamagedError, match="backup"):
        repair(population_path)
    assert sorted(population_path.parent.iterdir()) == files


def test_two_runs_are_not_mixed(population_path: Path, tmp_path: Path, header: Header) -> None:
    Store.create(tmp_path / "other.h5", Header("decaf", header.created, 1)).close()
    (tmp_path / "other.journal").rename(population_path.with_suffix(".journal"))
    assert any("another run" in finding.what for finding in check(population_path))
    with pytest.raises(PopulationMismatchError):
        repair(population_path)


def test_a_newer_evofts_file_is_left_alone(population_path: Path) -> None:
    data = population_path.read_bytes()
    newer = seal(data[USERBLOCK:], unseal(data, "digits.h5").journal_bytes)
    newer = newer.replace(b"schema 4", b"schema 5", 1)
    text = newer[: USERBLOCK - 16]
    population_path.write_bytes(text + b"\ncrc32 %08x\n" % zlib.crc32(text) + newer[USERBLOCK:])
    assert any("upgrade" in finding.what for finding in check(population_path))
    with pytest.raises(PopulationSchemaError):
        repair(population_path)


def test_what_is_being_written_is_not_touched(population_path: Path) -> None:
    with Store.open(population_path):
        assert severities(check(population_path)) == {"ok"}
        with pytest.raises(PopulationLockedError):
            repair(population_path)


def test_checkpoints_without_an_individual_are_named(population_path: Path) -> None:
    folder = population_path.with_suffix(".checkpoints")
    folder.mkdir()
    for name in ("3.safetensors", "3-final-0.safetensors", "11.safetensors", "notes.txt"):
        save_file({"weight": np.zeros(3)}, folder / name)
    orphans = [Path(f.where).name for f in check(population_path) if f.severity == "warning"]
    assert orphans == ["11.safetensors", "notes.txt"]


def test_checkpoints_that_cannot_be_read_are_named(population_path: Path) -> None:
    folder = population_path.with_suffix(".checkpoints")
    folder.mkdir()
    for name in ("1.safetensors", "2.safetensors", "3.safetensors"):
        save_file({"weight": np.zeros(3)}, folder / name)
    assert severities(check(population_path)) == {"ok"}
    whole = (folder / "2.safetensors").read_bytes()
    (folder / "2.safetensors").write_bytes(whole[:-1])
    (folder / "3.safetensors").write_bytes(b"")
    damaged = [f for f in check(population_path) if f.severity == "warning"]
    assert [Path(f.where).name for f in damaged] == ["2.safetensors", "3.safetensors"]
    for finding in damaged:
        assert finding.what.startswith("it cannot be read (")
        assert finding.way_out == "delete it: its model is trained again where it is wanted"


def test_a_missing_population_is_a_finding(tmp_path: Path) -> None:
    (finding,) = check(tmp_path / "digits.h5")
    assert (finding.severity, "no population file" in finding.what) == ("error", True)
    with pytest.raises(PopulationFileError, match="there is no population file"):
        repair(tmp_path / "digits.h5")
    assert list(tmp_path.iterdir()) == []
