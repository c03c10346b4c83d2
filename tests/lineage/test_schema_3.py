"""A population that the last evoft of schema 3 wrote is read and gone on with.

schema_3/make.py says how it was made, and how what the old evoft bred from there.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from schema_3.make import bred, fitness, price

import evoft
from evoft.lineage import check

KEPT = Path(__file__).parent / "schema_3"
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
def test_its_space_never_changed(old: Path, gone: str | None) -> None:
    assert schema_of(old) == b"schema 3"
    if gone:
        (old.parent / gone).unlink()
    population = evoft.Population.open(old)
    assert bred(population) == EXPECTED["before"]
    assert population.header.spaces_before == ()
    assert [g.index for g in population.generations] == [0, 1]


def test_resuming_breeds_what_the_old_version_would_have(old: Path) -> None:
    assert [g.index for g in evoft.resume(fitness, old, workers=0, price=price)] == [2, 3]
    assert bred(evoft.Population.open(old)) == EXPECTED["after"]
    assert schema_of(old) == b"schema 4"
    assert {finding.severity for finding in check(old)} == {"ok"}
    old.with_suffix(".journal").unlink()
    assert bred(evoft.Population.open(old)) == EXPECTED["after"]
