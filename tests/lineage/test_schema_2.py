"""A population that the last evoft of schema 2 wrote, without prices, is read and gone on with.

schema_2/make.py says how it was made, and how what the old evoft bred from there.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from schema_2.make import bred, fitness

import evoft
from evoft.lineage import Store, check

KEPT = Path(__file__).parent / "schema_2"
EXPECTED = json.loads((KEPT / "expected.json").read_text())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The population as its writer left it when it died."""
    path = tmp_path / "population.h5"
    path.write_bytes(gzip.decompress((KEPT / "population.h5.gz").read_bytes()))
    shutil.copy(KEPT / "population.journal", tmp_path)
    return path


def schema_of(path: Path) -> bytes:
    return path.read_bytes().split(b"\n")[1]


@pytest.mark.parametrize("gone", [None, "population.h5"])
def test_whoever_was_born_without_a_price_has_that_of_the_default(
    old: Path, gone: str | None
) -> None:
    assert schema_of(old) == b"schema 2"
    if gone:
        (old.parent / gone).unlink()
    population = evoft.Population.open(old)
    assert bred(population) == EXPECTED["before"]
    assert {individual.price for individual in population} == {1.0}
    assert [g.index for g in population.generations] == [0, 1]


def test_resuming_breeds_what_the_old_version_would_have(old: Path) -> None:
    assert [g.index for g in evoft.resume(fitness, old, workers=0)] == [2, 3]
    assert bred(evoft.Population.open(old)) == EXPECTED["after"]
    assert schema_of(old) == b"schema 4"
    old.with_suffix(".journal").unlink()
    assert bred(evoft.Population.open(old)) == EXPECTED["after"]
    with Store.open(old) as store:
        assert {r.birth.price for r in store.records.values() if r.birth} == {1.0}
    assert {finding.severity for finding in check(old)} == {"ok"}
