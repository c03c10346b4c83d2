"""Who came from whom, what changed, and what it gained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from evoft.errors import PopulationFileError
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Change, Population, Record, ancestors, changes_between
from evoft.outcome import Outcome, Status
from evoft.trial import Stage, Trial


@pytest.fixture
def family(header: Header, search_record: Any) -> Population:
    """Founders 0, 1, 2; 3 from 0 and 1; 4 from 3; 5 from 3 and 4; 6 from 2, which failed."""

    def born(id: int, fitness: float, parents: tuple[int, ...], **genes: Any) -> Any:
        return search_record(id, fitness, parents, Genome(**genes))

    records = [
        born(0, 0.2, (), lr=0.1, depth=1),
        born(1, 0.5, (), lr=0.3, depth=2),
        search_record(2, status=Status.DIVERGED, genome=Genome(lr=9.0, depth=1)),
        born(3, 0.6, (0, 1), lr=0.1, depth=2),
        born(4, 0.4, (3,), lr=0.2, depth=2),
        born(5, 0.7, (3, 4), lr=0.2, depth=3),
        born(6, 0.1, (2,), lr=8.0, depth=1),
    ]
    return Population.of(header, {record.key: record for record in records})


def test_every_ancestor_comes_once_in_order_of_birth(family: Population) -> None:
    steps = ancestors(family, 5)
    assert [step.individual.id for step in steps] == [0, 1, 3, 4, 5]
    assert [tuple(p.id for p in step.parents) for step in steps] == [(), (), (0, 1), (3,), (3, 4)]
    assert steps[-1].individual is family[5]


def test_a_founder_is_its_own_ancestry(family: Population) -> None:
    (step,) = ancestors(family, 1)
    assert (step.individual.id, step.parents, step.compared_with, step.changes) == (1, (), None, ())
    assert math.isnan(step.gain)


def test_a_child_is_compared_with_the_nearer_parent(family: Population) -> None:
    step = ancestors(family, 5)[-1]
    assert step.compared_with == 4
    assert step.changes == (Change("depth", 2, 3),)
    assert step.gain == pytest.approx(0.3)


def test_of_equally_near_parents_the_better_counts(family: Population) -> None:
    step = ancestors(family, 3)[-1]
    assert step.compared_with == 1
    assert step.changes == (Change("lr", 0.3, 0.1),)
    assert step.gain == pytest.approx(0.1)


def test_the_gain_over_a_failed_parent_is_unknown(family: Population) -> None:
    step = ancestors(family, 6)[-1]
    assert step.compared_with == 2
    assert math.isnan(step.gain)


def test_a_parent_that_was_lost_is_left_out(header: Header, search_record: Any) -> None:
    record = search_record(4, parents=(2, 3))
    (step,) = ancestors(Population.of(header, {record.key: record}), 4)
    assert (step.parents, step.compared_with) == ((), None)


def test_an_unknown_individual_is_refused(family: Population) -> None:
    with pytest.raises(PopulationFileError, match="no individual 77"):
        ancestors(family, 77)


def test_changes_tell_types_and_missing_genes_apart() -> None:
    before, after = Genome(a=1, b=2, c="x"), Genome(a=1.0, b=2, d=False)
    assert changes_between(before, after) == (
        Change("a", 1, 1.0),
        Change("d", None, False),
        Change("c", "x", None),
    )


def test_the_default_ancestry_of_a_file(population_path: Path) -> None:
    steps = ancestors(Population.open(population_path), 9)
    assert [step.individual.id for step in steps] == list(range(10))


def test_a_gene_that_does_not_count_is_no_change() -> None:
    space = {
        "opt": {"type": "choice", "values": ["sgd", "adam"]},
        "momentum": {"type": "float", "low": 0.0, "high": 1.0, "when": {"opt": ["sgd"]}},
    }
    genomes = [
        Genome(opt="adam", momentum=0.9),
        Genome(opt="adam", momentum=0.1),
        Genome(opt="sgd", momentum=0.1),
    ]
    header = Header("run", "now", 0, space=space)
    births = [
        Individual(i, i, (i - 1,) if i else (), "mutation", genome, i)
        for i, genome in enumerate(genomes)
    ]
    records = {
        (Stage.SEARCH, b.id, 0): Record(
            Trial(b.id, b.genome, b.seed), Outcome(Status.OK, 0.5), b, None, 0.0
        )
        for b in births
    }
    steps = ancestors(Population.of(header, records), 2)
    assert steps[1].changes == ()
    assert steps[2].changes == (Change("opt", "adam", "sgd"), Change("momentum", None, 0.1))


def test_gains_are_measured_on_the_highest_common_rung(header: Header, search_record: Any) -> None:
    def on(rung: int, id: int, fitness: float, parents: tuple[int, ...] = ()) -> Record:
        record: Record = search_record(id, fitness, parents, Genome(lr=id), rung=rung, number=9)
        return record

    records = [
        on(0, 0, 0.5), on(1, 0, 0.1), on(0, 1, 0.4), on(1, 1, 0.9), on(2, 1, 0.95),
        on(0, 2, 0.7, (0, 1)), on(1, 2, 0.8, (0, 1)), on(0, 3, 0.6, (0, 1)),
    ]  # fmt: skip
    population = Population.of(header, {record.key: record for record in records})
    # Parents are set side by side on rung 1, where 1 is the better, though 0 was on rung 0.
    child = ancestors(population, 2)[-1]
    assert (child.compared_with, child.gain) == (1, pytest.approx(0.8 - 0.9))
    child = ancestors(population, 3)[-1]
    assert (child.compared_with, child.gain) == (1, pytest.approx(0.6 - 0.4))
