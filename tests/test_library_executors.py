"""Evolving on executors: the same lineage as ever, nothing lost when they break."""

from __future__ import annotations

import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running import lineage, run_script

import evoft
from evoft.errors import SettingsError

SPACE = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 1e-1, log=True),
    depth=evoft.Integer(1, 9),
    act=evoft.Choice(["relu", "gelu"]),
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """End out of order, and fail at times."""
    time.sleep(trial.seed % 4 * 0.002)
    trial.report(1, loss=float(genome["lr"]))
    if trial.individual % 7 == 5:
        raise ValueError(f"depth {genome['depth']}")
    noise = trial.seed % 1000 / 1e5
    return -abs(math.log10(float(genome["lr"])) + 3) - abs(int(genome["depth"]) - 4) + noise


def evolve(path: Path, what: Any = fitness, **options: Any) -> evoft.Population:
    for _ in evoft.evolve(
        what, SPACE, **{"generations": 3, "population_size": 6, "file": path, **options}
    ):
        pass
    return evoft.Population.open(path)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> evoft.Population:
    return evolve(tmp_path_factory.mktemp("straight") / "mine.h5", workers=0)


@pytest.mark.parametrize("workers", [None, 1, 7])
def test_threads_give_the_lineage_of_a_seed(
    workers: int | None, straight: evoft.Population, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(3) as executor:
        population = evolve(tmp_path / "mine.h5", executor=executor, workers=workers)
    assert lineage(population) == lineage(straight)


def test_a_population_goes_on_from_one_executor_to_another(
    straight: evoft.Population, tmp_path: Path
) -> None:
    path = tmp_path / "mine.h5"
    with ThreadPoolExecutor(2) as executor:
        evolve(path, executor=executor, generations=1)
    with ThreadPoolExecutor(3) as executor:
        for _ in evoft.resume(fitness, path, executor=executor, generations=3):
            pass
    assert lineage(evoft.Population.open(path)) == lineage(straight)


def test_processes_that_die_break_their_executor_and_lose_nothing(tmp_path: Path) -> None:
    out = run_script(
        """
import os, sys
from concurrent.futures import ProcessPoolExecutor
import evoft

SPACE = evoft.SearchSpace(x=evoft.Float(-1, 1), n=evoft.Integer(1, 9))


def fitness(genome, trial):
    return -genome["x"] ** 2 - abs(genome["n"] - 4)


def deadly(genome, trial):
    if trial.individual == 8:
        os._exit(3)
    return fitness(genome, trial)


if __name__ == "__main__":
    search = {"generations": 3, "population_size": 6}
    with ProcessPoolExecutor(2) as executor:
        try:
            list(evoft.evolve(deadly, SPACE, file="mine.h5", executor=executor, **search))
        except evoft.errors.WorkerError as error:
            print(error)
    before = {individual.id for individual in evoft.Population.open("mine.h5")}
    print(before >= set(range(6)), 8 in before)
    with ProcessPoolExecutor(2) as executor:
        list(evoft.resume(fitness, "mine.h5", executor=executor))
    list(evoft.evolve(fitness, SPACE, file="straight.h5", workers=0, **search))
""",
        tmp_path,
    )
    said, kept = out.splitlines()
    assert said.startswith("the executor is broken (A ")
    assert kept == "True False"
    mended, straight = (evoft.Population.open(tmp_path / f"{n}.h5") for n in ("mine", "straight"))
    assert lineage(mended) == lineage(straight)


def test_final_runs_are_the_executors_too(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        population = evolve(
            tmp_path / "mine.h5",
            executor=executor,
            search=evoft.SearchSettings(finalists=2, repeats=2),
        )
    assert len([key for key in population.records if key[0] == "final"]) in (4, 6)


#: How many trials run now, and the most that ever did; in this process, where threads see it.
NOW, MOST, LOCK = [0], [0], threading.Lock()


def counted(genome: evoft.Genome, trial: evoft.Trial) -> float:
    with LOCK:
        NOW[0] += 1
        MOST[0] = max(MOST[0], NOW[0])
    time.sleep(0.01)
    with LOCK:
        NOW[0] -= 1
    return float(genome["lr"])


@pytest.mark.parametrize(
    ("strategy", "workers", "most"),
    [("evolution", None, 4), ("random", None, 12), ("random", 3, 3)],
)
def test_an_executor_has_as_many_trials_as_are_in_the_open_unless_told(
    strategy: str, workers: int | None, most: int, tmp_path: Path
) -> None:
    NOW[0] = MOST[0] = 0
    with ThreadPoolExecutor(16) as executor:
        evolve(
            tmp_path / "mine.h5",
            counted,
            executor=executor,
            workers=workers,
            strategy=strategy,
            population_size=12,
        )
    assert 1 < MOST[0] <= most


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"executor": 3}, "`executor` must be a concurrent.futures.Executor, but is 3"),
        ({"workers": 0}, "`workers` must be >= 1 with an executor"),
        ({"workers": 1.5}, "`workers` must be a whole number"),
        ({"trial_timeout": "5m"}, "`trial_timeout` must be left out with an executor"),
    ],
)
def test_what_an_executor_cannot_do_is_refused_before_anything_is_made(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.h5"
    with ThreadPoolExecutor(1) as executor, pytest.raises(SettingsError, match=words):
        evolve(path, **{"executor": executor, **options})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # they are dask's own
def test_a_dask_cluster_whose_processes_die_gives_the_same_lineage(
    straight: evoft.Population, tmp_path: Path
) -> None:
    from distributed import Client

    mark = tmp_path / "died"

    def deadly(genome: evoft.Genome, trial: evoft.Trial) -> float:
        if trial.individual == 8 and not mark.exists():
            mark.touch()
            os._exit(3)
        return fitness(genome, trial)

    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        population = evolve(tmp_path / "mine.h5", deadly, executor=client.get_executor())
    assert mark.exists()
    assert lineage(population) == lineage(straight)
