"""The HDF5 part as others see it: plain columns under checksums, the same bytes every time."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import pytest

from evoft.genome import Genome
from evoft.header import Header
from evoft.lineage import Population, Store
from evoft.lineage.layout import build
from evoft.lineage.record import Contents
from evoft.outcome import Outcome, Status

DOCUMENT = Path(__file__).parents[2] / "docs" / "population-file.md"


def frame(group: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: column.asstr()[:] if column.dtype.kind == "S" else column[:]
            for name, column in group.items()
            if isinstance(column, h5py.Dataset)
        }
    )


def datasets(group: Any) -> Iterator[Any]:
    for item in group.values():
        if isinstance(item, h5py.Dataset):
            yield item
        else:
            yield from datasets(item)


def contents_of(path: Path) -> Contents:
    population = Population.open(path)
    return Contents(population.header, population.records, population.verdicts)


def test_pandas_reads_every_table(population_path: Path) -> None:
    with h5py.File(population_path) as file:
        individuals, trials = frame(file["individuals"]), frame(file["trials"])
        curves, generations = frame(file["curves"]), frame(file["generations"])
        verdicts, losses = frame(file["verdicts"]), file["curves/metrics/val_loss"][:]
    assert individuals["id"].tolist() == list(range(10))
    assert individuals["parent_1"].tolist() == [-1, *range(9)]
    assert individuals["parent_2"].tolist() == [-1] * 10
    assert json.loads(individuals["recipe"][0])["model"] == "embedded"
    assert trials["stage"].tolist() == ["search"] * 10 + ["final"]
    assert trials["fitness"].tolist()[-2:] == [0.3, 0.8]
    assert set(trials["status"]) == {"ok"}
    assert json.loads(trials["metrics"][0]) == {"size": 3.0}
    assert curves["epoch"].tolist() == [1.0, 2.0] * 10
    assert losses.tolist() == [1.0, 0.5] * 10
    assert generations["best_id"].tolist() == [1, 7]
    assert generations["ended_well"].tolist() == [4, 4]
    assert generations["mean_fitness"].tolist() == pytest.approx([0.3, 0.6])
    assert generations["median_fitness"].tolist() == pytest.approx([0.25, 0.65])
    assert generations["std_fitness"][0] == pytest.approx(np.std([0.0, 0.7, 0.4, 0.1]))
    assert verdicts["winner"].tolist() == [3]


def test_the_root_says_what_it_is(population_path: Path) -> None:
    with h5py.File(population_path) as file:
        said = {name: file.attrs[name] for name in ("format", "schema", "run_id", "seed")}
        settings = json.loads(file["header/settings"].asstr()[0])
    expected = {"format": "evoft-population", "schema": 4, "run_id": "c0ffee", "seed": 7}
    assert said == expected
    assert settings == {"search": {"population_size": 4}, "budget": 100}


def test_every_column_has_a_checksum_that_covers_it(population_path: Path) -> None:
    with h5py.File(population_path) as file:
        columns = list(datasets(file))
        assert len(columns) > 50
        for column in columns:
            assert column.fletcher32, column.name
            assert column.ndim == 1
            assert column.dtype.kind in "ifS", column.name  # no text of variable length


def test_genes_have_columns_of_their_type(header: Header, search_record: Any) -> None:
    odd = {"a/b": 1, ".": 2, "": 3}
    genomes = [
        Genome(odd, whole=1, real=0.5, flag=True, word="a", mixed=1, sometimes=3, huge=2**70),
        Genome(odd, whole=-2, real=1.5, flag=False, word="é", mixed=0.5, huge=1),
    ]
    records = [search_record(id, genome=genome) for id, genome in enumerate(genomes)]
    contents = Contents(header, {record.key: record for record in records}, ())
    with h5py.File(io.BytesIO(build(contents, 0))) as file:
        genes = file["individuals/genes"]
        assert (genes["whole"].dtype, genes["whole"][:].tolist()) == (np.int64, [1, -2])
        assert (genes["real"].dtype, genes["real"][:].tolist()) == (np.float64, [0.5, 1.5])
        assert (genes["flag"].dtype, genes["flag"][:].tolist()) == (np.int8, [1, 0])
        assert genes["word"].asstr()[:].tolist() == ["a", "é"]
        assert genes["mixed"][:].tolist() == [1.0, 0.5]
        assert np.isnan(genes["sometimes"][1])
        assert genes["huge"][:].tolist() == [2.0**70, 1.0]
        assert len(genes) == 10


def test_the_same_records_give_the_same_bytes(population_path: Path) -> None:
    contents = contents_of(population_path)
    shuffled = dict(reversed(list(contents.records.items())))
    assert build(contents, 512) == build(replace(contents, records=shuffled), 512)


def test_two_trials_of_one_number_give_the_same_bytes_in_either_order(
    header: Header, search_record: Any
) -> None:
    """No search makes them; a file put together by hand may have them."""
    twins = []
    for id in (0, 1):
        record = search_record(id)
        twins.append(replace(record, trial=replace(record.trial, number=0)))
    first, other = (
        Contents(replace(header, settings={}), {record.key: record for record in order}, ())
        for order in (twins, twins[::-1])
    )
    assert build(first, 512) == build(other, 512)


def test_one_long_reason_does_not_swell_the_file(header: Header, search_record: Any) -> None:
    records = {search_record(id).key: search_record(id) for id in range(300)}
    size = len(build(Contents(header, records, ()), 512))
    key = search_record(7).key
    outcome = Outcome(Status.FAILED, reason=os.urandom(10_000).hex())
    records[key] = replace(records[key], outcome=outcome)
    assert len(build(Contents(header, records, ()), 512)) < size + 60_000


@pytest.mark.parametrize("number", range(3))
def test_the_document_shows_what_works(
    population_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """The programs in the document run as they stand."""
    monkeypatch.chdir(tmp_path_factory.mktemp("home"))
    Path("populations").symlink_to(population_path.parent)
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 3
    exec(compile(blocks[number], str(DOCUMENT), "exec"), {})


def test_the_document_names_every_column(population_path: Path) -> None:
    text = DOCUMENT.read_text()
    with h5py.File(population_path) as file:
        for column in datasets(file):
            group, name = column.name.rsplit("/", 1)
            if group not in ("/individuals/genes", "/curves/metrics"):
                assert f"`{name}`" in text, column.name


def test_trials_and_curves_tell_the_rungs_apart(
    tmp_path: Path, header: Header, search_record: Any, final_record: Any
) -> None:
    low = search_record(0, 0.4, number=0)
    high = search_record(0, 0.6, rung=1, number=2, asked=1)
    path = tmp_path / "digits.h5"
    with Store.create(path, header) as store:
        for record in (low, search_record(1, 0.5, number=1), high, final_record(low, 0, 0.8)):
            store.append(record)
    with h5py.File(path) as file:
        individuals, trials, curves = (frame(file[n]) for n in ("individuals", "trials", "curves"))
    assert individuals["rung"].tolist() == [1, 0]
    assert individuals["fitness"].tolist() == [0.6, 0.5]
    assert trials["rung"].tolist() == [0, 1, 0, 0]
    assert trials["number"].tolist() == [0, 2, 1, 0]
    assert trials["generation"].tolist() == [0, 1, 0, 0]
    assert trials["epochs"].tolist()[:3] == [1.0, 3.0, 1.0]
    assert np.isnan(trials["epochs"][3])
    assert curves["rung"].tolist() == [0, 0, 1, 1, 0, 0]
