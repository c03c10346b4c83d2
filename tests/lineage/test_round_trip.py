"""Whatever is written is read back as it was, to the bit."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record, Store
from evoft.lineage.columns import link, unlink
from evoft.lineage.journal import Reader, read_line, scan, to_line, whole_journal
from evoft.lineage.layout import build
from evoft.lineage.plain import plain_header, plain_record, reads_back_as_it_is, record_of
from evoft.lineage.record import Contents
from evoft.lineage.unpack import unpack
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict

floats = st.floats(allow_nan=True, allow_infinity=True)
whole = st.integers(0, 2**63 - 1)
# Zero bytes, slashes, dots, our own escape, half surrogate pairs: all that HDF5 finds hard.
texts = st.text(max_size=8) | st.text("\0/.\u241b\udc80\n é", max_size=4)
json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
objects = st.dictionaries(texts, json_data, max_size=3)
genomes = st.dictionaries(
    texts, st.booleans() | st.integers() | st.floats(allow_nan=False) | texts, max_size=5
).map(Genome)
metrics = st.dictionaries(texts, floats, max_size=3)
outcomes = st.builds(
    Outcome,
    status=st.sampled_from(Status),
    fitness=floats,
    reason=texts,
    curve=st.lists(st.builds(CurvePoint, floats, metrics), max_size=3).map(tuple),
    metrics=metrics,
    seconds=floats,
    peak_memory=whole,
)
headers = st.builds(
    Header,
    run_id=texts,
    created=texts,
    seed=st.integers(),
    settings=objects.filter(lambda settings: "population_size" not in settings),
    space=objects,
    data=objects,
    backbones=st.lists(objects, max_size=2).map(tuple),
    environment=objects,
)
small = st.integers(0, 200)
counts = st.lists(st.tuples(*[small] * 4), max_size=3).map(tuple)
verdicts = st.builds(Verdict, *[small] * 8, counts)


generations = st.integers(0, 2**31 - 1)
positive = st.floats(0, exclude_min=True, allow_infinity=False)


@st.composite
def families(draw: st.DrawFn) -> list[Record]:
    """All records of one individual in the search, not necessarily on every rung."""
    genome, seed, id = draw(genomes), draw(whole), draw(whole)
    parents = tuple(draw(st.lists(whole, max_size=2)))
    birth = Individual(
        id, draw(generations), parents, draw(texts), genome, seed,
        step=draw(st.just(0.0) | positive), price=draw(st.just(1.0) | positive),
    )  # fmt: skip
    recipe = draw(st.none() | objects)
    return [
        Record(
            Trial(
                id, genome, seed, rung=rung, epochs=draw(st.none() | positive),
                number=draw(whole), generation=draw(generations),
            ),
            draw(outcomes),
            birth,
            draw(st.just(recipe) | st.none() | objects),
            draw(floats),
        )
        for rung in draw(st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True))
    ]  # fmt: skip


@st.composite
def finals(draw: st.DrawFn) -> Record:
    epochs = draw(st.none() | positive)
    trial = Trial(draw(whole), draw(genomes), draw(whole), Stage.FINAL, draw(whole), epochs=epochs)
    return Record(trial, draw(outcomes), None, draw(st.none() | objects), draw(floats))


@st.composite
def all_contents(draw: st.DrawFn) -> Contents:
    searched = st.lists(
        families(), max_size=3, unique_by=lambda records: records[0].trial.individual
    )
    drawn = [record for records in draw(searched) for record in records]
    drawn += draw(st.lists(finals(), max_size=2))
    kept = {record.key: record for record in draw(st.permutations(drawn))}
    return Contents(draw(headers), kept, tuple(draw(st.lists(verdicts, max_size=2))))


def said(contents: Contents | Population | Store) -> tuple[Any, ...]:
    """Return all that a population says, in a form in which NaN equals NaN."""
    trials = {
        key: (
            json.dumps(plain_record(record), sort_keys=True),
            list(record.trial.genome),
            [type(value) for value in record.trial.genome.values()],
            record.birth,
        )
        for key, record in contents.records.items()
    }
    return json.dumps(plain_header(contents.header), sort_keys=True), trials, contents.verdicts


@given(all_contents())
@settings(max_examples=120, deadline=None)
def test_the_file_says_what_was_written(contents: Contents) -> None:
    assert said(unpack(build(contents, 0))) == said(contents)


@given(all_contents())
@settings(max_examples=200, deadline=None)
def test_the_journal_says_what_was_written(contents: Contents) -> None:
    taken = scan(whole_journal(contents))
    reader = Reader("digits.h5")
    reader.read(taken.lines)
    read = reader.contents()
    assert taken.torn == 0
    assert read is not None
    assert said(read) == said(contents)


@given(all_contents())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_file_and_journal_each_say_what_the_store_says(
    tmp_path_factory: pytest.TempPathFactory, contents: Contents
) -> None:
    path = tmp_path_factory.mktemp("population") / "digits.h5"
    with Store.create(path, contents.header) as store:
        for record in contents.records.values():
            store.append(record)
        for verdict in contents.verdicts:
            store.append_verdict(verdict)
        expected = said(store)
        before_fold = said(Population.open(path))
    assert expected == said(contents) == before_fold == said(Population.open(path))
    journal = path.with_suffix(".journal")
    aside = journal.rename(path.with_suffix(".aside"))
    assert said(Population.open(path)) == expected
    aside.rename(journal)
    path.unlink()
    assert said(Population.open(path)) == expected


@given(all_contents(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_equal_records_give_equal_bytes(contents: Contents, chance: random.Random) -> None:
    """In whatever order they came, and when they were read back."""
    built, journal = build(contents, 512), whole_journal(contents)
    items = list(contents.records.items())
    chance.shuffle(items)
    shuffled = replace(contents, records=dict(items))
    assert build(shuffled, 512) == build(unpack(build(contents, 0)), 512) == built
    assert whole_journal(shuffled) == journal


@given(texts)
def test_any_text_can_name_a_column(text: str) -> None:
    name = link(text)
    assert unlink(name) == text
    assert name
    assert name != "."
    assert not {"/", "\0"} & set(name)
    name.encode()


def test_a_metric_not_reported_differs_from_one_that_is_nan(header: Header) -> None:
    curve = (CurvePoint(1.0, {"a": math.nan}), CurvePoint(2.0, {"b": 1.0}), CurvePoint(3.0, {}))
    trial = Trial(0, Genome(), 1, Stage.FINAL)
    record = Record(trial, Outcome(Status.OK, 1.0, curve=curve), None, None, 0.0)
    read = unpack(build(Contents(header, {record.key: record}, ()), 0))
    points = read.records[record.key].outcome.curve
    assert [set(point.metrics) for point in points] == [{"a"}, {"b"}, set()]


def test_an_empty_population_can_be_read(tmp_path: Path, header: Header) -> None:
    Store.create(tmp_path / "digits.h5", header).close()
    population = Population.open(tmp_path / "digits.h5")
    assert (len(population), population.best, population.winner) == (0, None, None)
    assert population.header == header


def test_the_store_keeps_a_record_as_it_will_be_read(
    tmp_path: Path, header: Header, search_record: Any
) -> None:
    given_record = search_record(0)
    record = Record(
        given_record.trial, given_record.outcome, given_record.birth, {"crop": (1, 2)}, 1.0
    )
    with Store.create(tmp_path / "digits.h5", header) as store:
        store.append(record)
        assert store.records[record.key].recipe == {"crop": [1, 2]}


def bare(record: Record) -> Record:
    """The record of a fitness function that reports nothing but a number."""
    outcome = replace(record.outcome, curve=(), metrics={})
    return replace(record, outcome=outcome, recipe=None)


@given(families(), st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_kept_without_being_read_back_would_be_read_back_as_it_is(
    family: list[Record], data: st.DataObject
) -> None:
    for record in family:
        plain = bare(record)
        assert reads_back_as_it_is(plain)
        odd = data.draw(st.sampled_from(ODD))(plain)
        for one in (plain, record, odd):
            read = record_of(read_line(to_line(plain_record(one))))
            assert repr(read) == repr(one) or not reads_back_as_it_is(one)


#: What JSON takes and gives back as something else, or in another's keeping.
ODD = [
    lambda r: replace(r, elapsed=np.float64(1.5)),
    lambda r: replace(r, elapsed=2),
    lambda r: replace(r, trial=replace(r.trial, epochs=3)),
    lambda r: replace(r, trial=replace(r.trial, number=True)),
    lambda r: replace(r, trial=replace(r.trial, report=print)),
    lambda r: replace(r, birth=replace(r.birth, step=0)),
    lambda r: replace(r, birth=replace(r.birth, price=2)),
    lambda r: replace(r, birth=replace(r.birth, parents=[1, 2])),
    lambda r: replace(r, birth=r.birth.judged(r.outcome)),
    lambda r: replace(r, outcome=replace(r.outcome, fitness=np.float64(0.5))),
    lambda r: replace(r, outcome=replace(r.outcome, seconds=1)),
    lambda r: replace(r, outcome=replace(r.outcome, metrics={"a": 1})),
    lambda r: replace(r, outcome=replace(r.outcome, reason=np.str_("none"))),
    lambda r: in_genome(r, lr=np.float64(0.1)),
    lambda r: in_genome(r, lr=Stage.SEARCH),
]


def in_genome(record: Record, **genes: Any) -> Record:
    assert record.birth is not None
    genome = record.trial.genome.replace(**genes)
    return replace(
        record,
        trial=replace(record.trial, genome=genome),
        birth=replace(record.birth, genome=genome),
    )


@pytest.mark.parametrize("change", ODD)
def test_the_store_keeps_nothing_that_json_does_not_have(
    tmp_path: Path, header: Header, search_record: Any, change: Any
) -> None:
    record = change(bare(search_record(0)))
    with Store.create(tmp_path / "digits.h5", header) as store:
        store.append(record)
        kept = store.records[record.key]
        assert repr(kept) == repr(record_of(read_line(to_line(plain_record(record)))))
        assert kept.trial.report is not print
