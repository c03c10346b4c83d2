"""Who did well in earlier populations, read from their files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import evoft
from evoft.errors import PopulationFileError, SettingsError
from evoft.lineage import elders_of

SPACE = evoft.SearchSpace(lr=evoft.Float(0.0, 1.0), opt=evoft.Choice(["adam", "sgd"]))


def evolved(file: Path, *, hopeless: bool = False) -> evoft.Population:
    def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
        return math.nan if hopeless or trial.individual % 3 == 1 else float(genome["lr"])

    file.parent.mkdir(exist_ok=True)
    list(evoft.evolve(fitness, SPACE, generations=2, population_size=5, workers=0, file=file))
    return evoft.Population.open(file)


def test_the_best_come_first_and_the_failed_do_not_come(tmp_path: Path) -> None:
    population = evolved(tmp_path / "a.h5")
    (genomes,) = elders_of([tmp_path / "a.h5"], ["lr"]).values()
    assert list(genomes) == sorted(
        (i.id for i in population if i.id % 3 != 1), key=lambda id: (-population[id].fitness, id)
    )
    assert all(population[id].genome == genome for id, genome in genomes.items())
    assert list(elders_of([str(tmp_path / "a.h5")], [])) == ["a.h5"]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in "xy":
        evolved(tmp_path / folder / "a.h5")
    evolved(tmp_path / "b.h5")
    files = [tmp_path / "x/a.h5", tmp_path / "b.h5", tmp_path / "y/a.h5"]
    assert list(elders_of(files, [])) == [str(files[0]), "b.h5", str(files[2])]


def test_what_cannot_be_had_is_refused(tmp_path: Path) -> None:
    evolved(tmp_path / "bad.h5", hopeless=True)
    with pytest.raises(SettingsError, match="no trial in it has ended well: leave it out"):
        elders_of([tmp_path / "bad.h5"], [])
    with pytest.raises(PopulationFileError, match="there is no population file"):
        elders_of([tmp_path / "none.h5"], [])
    evolved(tmp_path / "a.h5")
    with pytest.raises(SettingsError, match="twice: name it once"):
        elders_of([tmp_path / "a.h5", tmp_path / "a.h5"], [])
