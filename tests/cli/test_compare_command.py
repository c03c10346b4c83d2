"""``evoft compare`` through the installed command."""

from __future__ import annotations

import csv
import io
import json

import pytest
from running import retimed

import evoft

SPACE = evoft.SearchSpace(x=evoft.Float(0.0, 1.0), y=evoft.Float(0.0, 1.0))


def evolve(file, seed, **search):
    first = file.parent / "run" / file.name
    settings = evoft.SearchSettings(strategy="ga", finalists=0, **search)
    list(
        evoft.evolve(lambda genome, trial: float(genome["x"]) * float(genome["y"]), SPACE,
                     generations=4, population_size=6, seed=seed, workers=0, file=first,
                     search=settings)
    )  # fmt: skip
    retimed(first, file)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        evolve(folder / f"a{seed}.h5", seed)
        evolve(folder / f"b{seed}.h5", seed, sigma=0.4)
    return folder


FILES = [f"{name}{seed}.h5" for name in "ab" for seed in range(3)]


def test_a_table_for_people(cli, runs):
    done = cli("compare", *FILES, cwd=runs)
    assert (done.code, done.err, done.modules) == (0, "", "")
    lines = done.out.splitlines()
    assert lines[:2] == [
        "sigma 0.2: 3 runs (a0.h5, a1.h5, a2.h5)", "sigma 0.4: 3 runs (b0.h5, b1.h5, b2.h5)",
    ]  # fmt: skip
    assert "full trainings  sigma 0.2" in done.out
    assert "\nseconds  " in done.out
    assert lines[-2].startswith("At 24 full trainings ")
    assert lines[-1].startswith("At 12 seconds ")
    for line in lines[-2:]:
        assert "is better than" in line or "no significant difference between" in line


def test_json_and_csv_for_programs(cli, runs):
    found = json.loads(cli("compare", *FILES, "--format", "json", cwd=runs).out)
    assert [(g["label"], g["seeds"]) for g in found["groups"]] == [
        ("sigma 0.2", [0, 1, 2]), ("sigma 0.4", [0, 1, 2]),
    ]  # fmt: skip
    best = [row for row in found["best_so_far"] if row["spent"] == 24]
    for row, name in zip(best, "ab", strict=True):
        there = [evoft.Population.open(runs / f"{name}{seed}.h5").best for seed in range(3)]
        assert row["values"] == [individual.fitness for individual in there]
        assert row["interval"]["low"] < row["mean"] < row["interval"]["high"]
    assert len(found["conclusions"]) == 2
    rows = list(csv.DictReader(io.StringIO(
        cli("compare", *FILES, "--format", "csv", cwd=runs).out)))  # fmt: skip
    assert len(rows) == len(found["best_so_far"])
    assert {row["cost"] for row in rows} == {"full trainings", "seconds"}
    assert found["by"] == "fitness" == rows[0]["by"]
    assert float(rows[0]["mean"]) == found["best_so_far"][0]["mean"]


def test_labels_and_a_single_group(cli, runs):
    done = cli("compare", *FILES, "--label", "all=*.h5", cwd=runs)
    assert "all: 6 runs" in done.out
    assert "note: the populations of all differ in search.sigma\n" in done.out
    assert "note: all has a seed twice" in done.out
    assert done.out.endswith("\nThere is one group: nothing to compare it with.\n")
    done = cli("compare", "a0.h5", "b0.h5", cwd=runs)
    assert "which is better cannot be told, for a group has a single run" in done.out


def test_a_plot(cli, runs, tmp_path):
    pytest.importorskip("matplotlib")
    done = cli("compare", *FILES, "--plot", tmp_path / "a.svg", cwd=runs)
    assert done.code == 0, done.err
    assert "sigma 0.4" in (tmp_path / "a.svg").read_text()


def test_several_objectives_are_compared_by_their_fronts(cli, runs, tmp_path):
    def fitness(genome, trial):
        size = float(genome["x"]) + float(genome["y"])
        return evoft.Outcome.of_fitness(float(genome["x"]) * float(genome["y"]),
                                        metrics={"size": size})  # fmt: skip

    search = evoft.SearchSettings(strategy="ga", finalists=0, objectives=("accuracy", "size:min"))
    for seed in range(2):
        list(evoft.evolve(fitness, SPACE, generations=4, population_size=6, seed=seed, workers=0,
                          file=tmp_path / f"m{seed}.h5", search=search))  # fmt: skip
    files = [tmp_path / f"m{seed}.h5" for seed in range(2)]
    done = cli("compare", *files, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "\nBest hypervolume so far: mean of the runs (95 % interval)\n" in done.out
    assert "note: hypervolumes are above accuracy " in done.out
    found = json.loads(cli("compare", *files, "--format", "json", cwd=tmp_path).out)
    assert (found["by"], found["objectives"]) == ("hypervolume", ["accuracy", "size:min"])
    last = [row for row in found["best_so_far"] if row["cost"] == "full trainings"][-1]
    assert all(0 < value <= 1 for value in last["values"])
    fitness_alone = cli("compare", *files, "--by", "fitness", cwd=tmp_path).out
    assert "\nBest fitness so far: mean of" in fitness_alone
    cli("compare", "a0.h5", "--by", "hypervolume", cwd=runs).refused(2, "--by fitness")


def test_mistakes(cli, runs, finished):
    cli("compare", "a0.h5", "none.h5", cwd=runs).refused(5, "there is no population file")
    cli("compare", "a0.h5", finished.file, cwd=runs).refused(5, "a0.h5", "fitness of its own")
    cli("compare", "a0.h5", "a0.h5", cwd=runs).refused(2, "name each once")
    cli("compare", "a0.h5", "--label", "a0", cwd=runs).refused(2, "NAME=PATTERN", "'a0'")
    cli("compare", "a0.h5", "--label", "x=c*", cwd=runs).refused(2, "no file", "'x'")
    cli("compare", "a0.h5", "--plot", "a.pdf", cwd=runs).refused(2, "*.svg", "a.pdf")
    assert cli("compare", cwd=runs).code == 2


def test_a_fine_tuning_run(cli, finished):
    done = cli("compare", finished.file, cwd=finished.folder)
    assert (done.code, done.err) == (0, "")
    assert "\nepochs  pets" in done.out
