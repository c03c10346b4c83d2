"""Every strategy by the library: one population file, stopped anywhere and gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

import evoft
from evoft import Choice, Float, Genome, Population, SearchSettings, SearchSpace, Trial
from evoft.settings import STRATEGIES

SPACE = SearchSpace(x=Float(0, 1), y=Float(1e-4, 1, log=True), c=Choice(["a", "b"]))


def fitness(genome: Genome, trial: Trial) -> float:
    if genome["c"] == "b" and float(genome["x"]) > 0.8:
        raise ValueError("not there")
    return float(genome["x"]) - (trial.seed % 1000) / 1e4 / (1 + trial.rung)


def lineage(file: Path) -> list[tuple]:
    population = Population.open(file)
    return [
        (i.id, i.generation, i.parents, i.operator, i.genome, i.seed, i.rung, i.score)
        for i in population.individuals
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_stopped_and_resumed_gives_the_same_population(
    strategy: str, tmp_path: Path
) -> None:
    how = SearchSettings(strategy=strategy, epochs=9, lookahead=2, finalists=0)
    arguments = {"generations": 4, "population_size": 5, "seed": 3, "search": how, "workers": 0}
    straight, stopped = tmp_path / "straight.h5", tmp_path / "stopped.h5"
    for _ in evoft.evolve(fitness, SPACE, file=straight, **arguments):
        pass
    for generation in evoft.evolve(fitness, SPACE, file=stopped, **arguments):
        if generation.index == 1:
            break
    assert 0 < len(lineage(stopped)) < len(lineage(straight))
    for _ in evoft.resume(fitness, stopped, workers=0):
        pass
    assert lineage(stopped) == lineage(straight)


@pytest.mark.parametrize("strategy", ["random", "hyperband", "asha"])
def test_a_strategy_gives_one_lineage_on_any_number_of_workers(
    strategy: str, tmp_path: Path
) -> None:
    how = SearchSettings(strategy=strategy, epochs=9, lookahead=3, finalists=0)
    found = []
    for workers in (1, 3):
        file = tmp_path / f"{workers}.h5"
        arguments = {"generations": 2, "population_size": 5, "search": how, "workers": workers}
        for _ in evoft.evolve(fitness, SPACE, file=file, **arguments):
            pass
        found.append(lineage(file))
    assert found[0] == found[1]


def test_a_search_without_a_limit_stops_by_its_budget(tmp_path: Path) -> None:
    """A strategy that needs no outcome must not be asked for ever."""
    how = SearchSettings(strategy="random", finalists=0)
    found = list(evoft.evolve(fitness, SPACE, generations=None, search=how, workers=0, budget=0.5))
    assert found
