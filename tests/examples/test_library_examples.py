"""The examples run as they stand, and are as short as they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("population") / "mine.h5"


def test_own_fitness_makes_a_population_and_gets_better(population):
    lines = run("own_fitness.py", population).splitlines()
    assert len(lines) == 7
    fitness = [float(line.split()[2]) for line in lines[:6]]
    assert fitness == sorted(fitness)
    assert fitness[-1] > fitness[0]
    assert lines[-1].startswith("48 individuals; best #")


def test_family_tree_draws_that_population(population):
    if not population.exists():
        run("own_fitness.py", population)
    lines = run("family_tree.py", population).splitlines()
    assert lines[0] == "flowchart TD"
    assert any("-->" in line for line in lines)


def test_ask_and_tell_goes_on_where_it_stopped(tmp_path):
    first = run("ask_and_tell.py", tmp_path / "mine.h5")
    assert first.startswith("best #")
    assert run("ask_and_tell.py", tmp_path / "mine.h5") == first


@pytest.mark.parametrize("name", ["own_fitness.py", "ask_and_tell.py", "family_tree.py"])
def test_an_example_is_under_forty_lines(name):
    assert len((EXAMPLES / name).read_text().splitlines()) < 40
