"""The read-only view: generations, the best, the winner, and what it says of an individual."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from evoft.errors import PopulationFileError
from evoft.header import Header
from evoft.lineage import Population
from evoft.outcome import Status


def view(header: Header, *records: Any, verdicts: Any = ()) -> Population:
    return Population.of(header, {record.key: record for record in records}, verdicts)


def test_a_file_is_seen_as_a_whole(population_path: Path, header: Header) -> None:
    population = Population.open(population_path)
    assert population.path == population_path
    assert population.header == header
    assert len(population) == 10
    assert [individual.id for individual in population] == list(range(10))
    assert population[7].outcome is not None
    assert population[7].fitness == 0.9
    assert population[7].parents == (6,)
    assert population.best is population[7]
    assert population.recipe(7) == {"model": "embedded", **population[7].genome}
    assert [run.outcome.fitness for run in population.finals(3)] == [0.8]
    assert population.finals(7) == ()


def test_it_is_printed_in_a_line(population_path: Path, header: Header) -> None:
    population = Population.open(population_path)
    assert repr(population) == (
        f"Population({str(population_path)!r}, individuals: 10, generations: 2, "
        "best: #7 with 0.9000)"
    )
    assert repr(population.generations[1]) == (
        "Generation(1, born: 4, continued: 0, best so far: #7 with 0.9000)"
    )
    assert repr(view(header)) == "Population(individuals: 0, generations: 0, best: none)"


def test_it_can_be_sent_to_another_process(population_path: Path) -> None:
    population = Population.open(population_path)
    there = pickle.loads(pickle.dumps(population))
    assert there.path == population_path
    assert (there.header, there.verdicts) == (population.header, population.verdicts)
    assert (there.records, there.individuals) == (population.records, population.individuals)
    assert there[7] == population[7]


def test_an_individual_is_printed_without_its_learning_curve(population_path: Path) -> None:
    population = Population.open(population_path)
    assert any(record.outcome.curve for record in population.records.values())
    assert "CurvePoint" not in repr(population.individuals)


def test_only_complete_generations_count(population_path: Path) -> None:
    generations = Population.open(population_path).generations
    assert [generation.index for generation in generations] == [0, 1]
    assert [[i.id for i in g.individuals] for g in generations] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [g.best.id for g in generations] == [1, 7]


def test_no_generation_is_complete_before_those_before_it(
    header: Header, search_record: Any
) -> None:
    records = [search_record(id) for id in range(12) if id != 5]
    assert [g.index for g in view(header, *records).generations] == [0]
    assert len(view(header, *records, search_record(5)).generations) == 3


def test_without_a_population_size_generations_are_as_they_are(search_record: Any) -> None:
    records = [search_record(id) for id in range(6)]
    generations = view(Header("a", "b", 0), *records).generations
    assert [len(generation.individuals) for generation in generations] == [4, 2]


def test_failures_are_in_the_population_and_never_best(header: Header, search_record: Any) -> None:
    records = [search_record(0, status=Status.DIVERGED), search_record(1, fitness=0.1)]
    records += [search_record(2, status=Status.LOST), search_record(3, fitness=float("inf"))]
    population = view(header, *records)
    assert population.best is population[1]
    assert population.generations[0].scores == [0.1]
    failed = view(header, *(search_record(id, status=Status.FAILED) for id in range(4)))
    assert failed.best is failed.winner is failed.generations[0].best_so_far is None


def test_the_winner_is_the_last_verdicts(
    header: Header, search_record: Any, final_record: Any, verdict: Any
) -> None:
    searched = [search_record(id, fitness=id / 10) for id in range(4)]
    assert view(header, *searched).winner == view(header, *searched).best
    finals = [
        final_record(searched[2], 0, 0.9),
        final_record(searched[2], 1, 0.1),
        final_record(searched[1], 0, 0.6),
    ]
    assert view(header, *searched, *finals).winner == view(header, *searched)[1]
    judged = view(header, *searched, *finals, verdicts=(verdict(1), verdict(0)))
    assert judged.winner is judged[0]


def test_equal_finalists_are_decided_by_age(
    header: Header, search_record: Any, final_record: Any
) -> None:
    searched = [search_record(id) for id in range(3)]
    finals = [final_record(record, 0, 0.5) for record in reversed(searched)]
    population = view(header, *finals, *searched)
    assert population.winner is population[0]


def test_an_unknown_id_names_those_that_are_there(population_path: Path, header: Header) -> None:
    population = Population.open(population_path)
    message = f"{population_path} has no individual 10: ids go from 0 to 9$"
    for ask in (population.__getitem__, population.recipe, population.finals):
        with pytest.raises(PopulationFileError, match=message):
            ask(10)
    with pytest.raises(PopulationFileError, match="none yet"):
        view(header)[0]
    assert 9 in population
    assert 10 not in population


def test_later_records_do_not_change_a_view(header: Header, search_record: Any) -> None:
    records = {search_record(0).key: search_record(0)}
    population = Population.of(header, records, ())
    records[search_record(1).key] = search_record(1)
    assert len(population.records) == len(population) == 1
