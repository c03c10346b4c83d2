"""No altered, shortened or foreign file passes for a population file."""

from __future__ import annotations

import random
import re
import zlib
from pathlib import Path

import pytest

from evoft.errors import (
    PopulationDamagedError,
    PopulationFileError,
    PopulationSchemaError,
)
from evoft.lineage import Paths, Population, Store, check, repair
from evoft.lineage.envelope import USERBLOCK, seal, unseal


def flipped(data: bytes, position: int, bit: int) -> bytes:
    altered = bytearray(data)
    altered[position] ^= 1 << bit
    return bytes(altered)


def with_schema(data: bytes, schema: int) -> bytes:
    """Return the file as an evoft of that schema would have written its first 512 bytes."""
    text = re.sub(rb"schema \d+", b"schema %d" % schema, data[: USERBLOCK - 16])
    text = text.ljust(USERBLOCK - 16)[: USERBLOCK - 16]
    return text + b"\ncrc32 %08x\n" % zlib.crc32(text) + data[USERBLOCK:]


def test_every_flipped_bit_of_the_first_bytes_is_noticed() -> None:
    data = seal(b"what HDF5 writes" * 40, 1234)
    assert unseal(data, "digits.h5").journal_bytes == 1234
    for position in range(len(data)):
        for bit in range(8):
            with pytest.raises(PopulationDamagedError):
                unseal(flipped(data, position, bit), "digits.h5")


def test_a_flipped_bit_anywhere_in_a_real_file_is_noticed(population_path: Path) -> None:
    data = population_path.read_bytes()
    chance = random.Random(0)
    places = [(chance.randrange(len(data)), chance.randrange(8)) for _ in range(100)]
    for position, bit in places:
        population_path.write_bytes(flipped(data, position, bit))
        with pytest.raises(PopulationDamagedError, match="evoft fsck"):
            Population.open(population_path)
    with pytest.raises(PopulationDamagedError):
        Store.open(population_path)


def test_a_shortened_or_longer_file_is_noticed(population_path: Path) -> None:
    data = population_path.read_bytes()
    lengths = {*range(0, 1100, 7), *range(1, len(data), 4999), len(data) - 1}
    for length in lengths:
        population_path.write_bytes(data[:length])
        with pytest.raises(PopulationDamagedError, match="evoft fsck"):
            Population.open(population_path)
    population_path.write_bytes(data + b"\0")
    with pytest.raises(PopulationDamagedError, match="bytes of"):
        Population.open(population_path)


def test_a_newer_schema_asks_for_an_upgrade(population_path: Path) -> None:
    population_path.write_bytes(with_schema(population_path.read_bytes(), 5))
    message = r"newer evoft \(schema 5\); this one reads up to 4: .*pip install -U evoft"
    with pytest.raises(PopulationSchemaError, match=message):
        Population.open(population_path)
    with pytest.raises(PopulationSchemaError):
        Store.open(population_path)


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"\x89HDF\r\n\x1a\n" * 99, b"lr,acc\n1,2\n"])
def test_a_foreign_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "digits.h5").write_bytes(data)
    with pytest.raises(PopulationDamagedError, match="not a population file"):
        Population.open(tmp_path / "digits.h5")


def test_a_sealed_file_without_tables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "digits.h5").write_bytes(seal(b"sealed by something else", 0))
    with pytest.raises(PopulationDamagedError, match="tables"):
        Population.open(tmp_path / "digits.h5")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "digits.h5"
    with pytest.raises(PopulationFileError, match=f"there is no population file {missing}"):
        Population.open(missing)
    with pytest.raises(PopulationFileError, match=f"there is no population file {missing}"):
        Store.open(missing)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PopulationFileError, match="is a folder"):
        Population.open(tmp_path)


@pytest.mark.parametrize("name", ["digits", "digits.hdf5"])
def test_a_name_without_its_ending_is_no_second_name(population_path: Path, name: str) -> None:
    before = sorted(population_path.parent.iterdir())
    wrong = population_path.with_name(name)
    words = f"^there is no population file {wrong}, but {population_path}$"
    for open_it in (Population.open, Store.open, repair):
        with pytest.raises(PopulationFileError, match=words):
            open_it(wrong)
    (found,) = check(wrong)
    assert found.what == words[1:-1]
    assert sorted(population_path.parent.iterdir()) == before


def test_the_first_lines_can_be_read_by_people(population_path: Path) -> None:
    data = population_path.read_bytes()
    journal_bytes = population_path.with_suffix(".journal").stat().st_size
    lines = data[:USERBLOCK].decode("ascii").split("\n")
    assert lines[:3] == ["evoft population", "schema 4", f"bytes {len(data)}"]
    assert lines[4] == f"journal-bytes {journal_bytes}"


def test_a_journal_is_not_taken_for_its_population(tmp_path: Path) -> None:
    file, journal = tmp_path / "a.h5", tmp_path / "a.journal"
    journal.touch()
    Paths.of(journal)  # whatever it is: there is no population that it belongs to
    file.touch()
    for read in (Paths.of, Population.open, check):
        with pytest.raises(PopulationFileError, match=rf"journal is the journal of {file}: give"):
            read(journal)
