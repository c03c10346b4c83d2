"""A torn last line is dropped, an altered line is noticed, wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evoft.errors import (
    PopulationDamagedError,
    PopulationMismatchError,
    PopulationSchemaError,
)
from evoft.header import Header
from evoft.lineage import Population, Store
from evoft.lineage.journal import scan, to_line
from evoft.lineage.plain import SCHEMA, plain_header

LINES = [to_line({"kind": "trial", "number": number, "loss": 0.1}) for number in range(3)]
JOURNAL = b"".join(LINES)


@pytest.mark.parametrize("zeros", [0, 5])
def test_a_line_cut_short_at_any_byte_is_dropped(zeros: int) -> None:
    two = len(LINES[0]) + len(LINES[1])
    for length in range(two, len(JOURNAL)):
        taken = scan(JOURNAL[:length] + b"\0" * zeros)
        assert (len(taken.lines), taken.bad, taken.end) == (2, (), two)
        assert taken.torn == length - two + zeros


def test_every_flipped_bit_is_noticed() -> None:
    """Also in the last line: what was altered never passes for what was cut short."""
    for position in range(len(JOURNAL)):
        for bit in range(8):
            altered = bytearray(JOURNAL)
            altered[position] ^= 1 << bit
            taken = scan(bytes(altered))
            assert taken.bad, (position, bit)
            assert taken.torn == 0


def unfolded(path: Path, header: Header, search_record: Any) -> bytes:
    """Leave a population whose five trials are in the journal alone; return the journal."""
    with Store.create(path, header) as store:
        for id in range(5):
            store.append(search_record(id))
        kept = path.read_bytes()
    path.write_bytes(kept)
    return path.with_suffix(".journal").read_bytes()


def test_readers_drop_a_torn_line_and_the_next_writer_cuts_it_off(
    tmp_path: Path, header: Header, search_record: Any
) -> None:
    path, journal = tmp_path / "digits.h5", tmp_path / "digits.journal"
    whole = unfolded(path, header, search_record)
    before_last = whole[:-1].rindex(b"\n") + 1
    for length in (before_last + 1, before_last + 30, len(whole) - 1):
        journal.write_bytes(whole[:length])
        assert len(Population.open(path)) == 4
        assert journal.stat().st_size == length
    with Store.open(path) as store:
        assert journal.read_bytes() == whole[:before_last]
        store.append(search_record(4))
        assert journal.read_bytes() == whole
    assert len(Population.open(path)) == 5


def test_an_altered_line_is_named(tmp_path: Path, header: Header, search_record: Any) -> None:
    path, journal = tmp_path / "digits.h5", tmp_path / "digits.journal"
    whole = bytearray(unfolded(path, header, search_record))
    whole[whole.index(b'"individual":2')] ^= 1
    journal.write_bytes(whole)
    for opener in (Population.open, Store.open):
        with pytest.raises(PopulationDamagedError, match=f"line 4 .*`evoft fsck {path}`"):
            opener(path)


def test_damage_in_what_is_folded_stops_the_writer_and_not_the_reader(
    population_path: Path,
) -> None:
    journal = population_path.with_suffix(".journal")
    altered = bytearray(journal.read_bytes())
    altered[len(altered) // 2] ^= 1
    journal.write_bytes(altered)
    assert len(Population.open(population_path)) == 10
    with pytest.raises(PopulationDamagedError, match="line"):
        Store.open(population_path)


def test_a_journal_that_lost_folded_lines_is_noticed(population_path: Path) -> None:
    journal = population_path.with_suffix(".journal")
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:4]))
    for opener in (Population.open, Store.open):
        with pytest.raises(PopulationDamagedError, match="journal"):
            opener(population_path)


def test_the_journal_of_another_run_is_refused(
    population_path: Path, tmp_path: Path, header: Header
) -> None:
    other = Header("decaf", header.created, header.seed)
    Store.create(tmp_path / "other.h5", other).close()
    (tmp_path / "other.journal").rename(population_path.with_suffix(".journal"))
    for opener in (Population.open, Store.open):
        with pytest.raises(PopulationMismatchError, match=r"decaf.*c0ffee"):
            opener(population_path)


def test_the_journal_of_a_newer_evoft_asks_for_an_upgrade(tmp_path: Path, header: Header) -> None:
    newer = {**plain_header(header), "schema": SCHEMA + 1}
    (tmp_path / "digits.journal").write_bytes(to_line(newer))
    with pytest.raises(PopulationSchemaError, match=f"schema {SCHEMA + 1}"):
        Population.open(tmp_path / "digits.h5")


def test_a_sound_line_without_sense_is_damage(population_path: Path) -> None:
    with population_path.with_suffix(".journal").open("ab") as journal:
        journal.write(to_line({"kind": "song"}))
    with pytest.raises(PopulationDamagedError, match="line 14"):
        Population.open(population_path)
