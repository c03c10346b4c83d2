"""The examples run as they stand, and are as short as they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

from evoft import Population

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


def test_an_executor_evaluates_the_same_wherever_it_is():
    lines = run("executor.py").splitlines()
    assert [line.split(":")[0] for line in lines] == [f"generation {n}" for n in range(4)]
    best = [float(line.split()[-1]) for line in lines]
    assert max(best) > 0.95


def test_ask_and_tell_goes_on_where_it_stopped(tmp_path):
    first = run("ask_and_tell.py", tmp_path / "mine.h5")
    assert first.startswith("best #")
    assert run("ask_and_tell.py", tmp_path / "mine.h5") == first


@pytest.mark.slow
def test_rungs_continues_its_own_models(tmp_path):
    lines = run("rungs.py", tmp_path / "mine.h5").splitlines()
    assert len(lines) == 3
    assert any(" 0 continued" not in line for line in lines)
    best = float(lines[-1].split()[-1])
    assert best > 0.7
    population = Population.open(tmp_path / "mine.h5")
    judged = [record for record in population.records.values() if record.trial.rung]
    assert judged
    for record in judged:
        # It trained no epoch that the rung below had trained.
        below = population.records[("search", record.trial.individual, record.trial.rung - 1)]
        assert record.outcome.curve[0].epoch == below.outcome.curve[-1].epoch + 1


@pytest.mark.slow
def test_front_trades_accuracy_for_leaves(tmp_path):
    lines = run("front.py", tmp_path / "mine.h5").splitlines()
    accuracies = [float(line.split()[1]) for line in lines]
    leaves = [int(line.split()[3]) for line in lines]
    assert len(lines) > 3
    assert accuracies == sorted(accuracies, reverse=True)
    assert leaves == sorted(set(leaves), reverse=True)


@pytest.mark.slow
def test_prices_lead_to_a_good_network():
    lines = run("prices.py").splitlines()
    assert len(lines) == 3
    assert float(lines[-1].split("best ")[1].split(",")[0]) > 0.8


NAMES = ["own_fitness.py", "ask_and_tell.py", "family_tree.py", "rungs.py", "front.py"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_without_its_file_says_how_to_run_it(name):
    command = [sys.executable, EXAMPLES / name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"python examples/{name} " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_under_forty_lines(name):
    assert len((EXAMPLES / name).read_text().splitlines()) < 40
