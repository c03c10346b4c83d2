"""What commands print of a fine-tuning population for people, and what they know of its size."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import evoft
from evoft.cli.main import group
from evoft.header import Header
from evoft.lineage import Record, Store
from evoft.outcome import Outcome
from evoft.settings import Settings, TrainingSettings
from evoft.trial import Trial
from evoft.verdict import Verdict

#: Individual, fitness, backbone.
BORN = [(0, 0.7, "small"), (1, 0.9, "large"), (2, 0.8, "small")]
BACKBONES = ({"model": "small", "parameters": 4_000}, {"model": "large", "parameters": 9_000})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A population of two backbones that was bred for accuracy alone."""
    path = tmp_path / "two.h5"
    data = {"name": "pets", "splits": {"train": 9, "val": 9, "test": 9}, "fingerprint": "f00d"}
    header = Header("run", "now", 0, Settings().to_dict(), {}, data, BACKBONES)
    with Store.create(path, header) as store:
        for id, fitness, model in BORN:
            genome = evoft.Genome(model=model)
            birth = evoft.Individual(id, 0, (), "sample", genome, id)
            outcome = Outcome.of_fitness(fitness, peak_memory=3 * 2**29)
            trial = Trial(id, genome, id, number=id)
            store.append(Record(trial, outcome, birth, {"model": model}, 1.0))
    return path


def ran(*arguments: object) -> Result:
    return CliRunner().invoke(group, list(map(str, arguments)))


def test_the_size_of_a_backbone_can_be_limited_whatever_was_bred_for(file: Path) -> None:
    picked = ran("pick", file, "--max-parameters", "5k", "--format", "json")
    assert [row["id"] for row in json.loads(picked.output)] == [2]
    assert json.loads(ran("pick", file, "--format", "json").output)[0]["id"] == 1
    refused = ran("pick", file, "--max-parameters", "300")
    assert str(refused.exception) == (
        "nobody has parameters <= 300: the least is 4000, of individual 0"
    )


def test_memory_is_told_in_gigabytes_to_people_and_in_bytes_to_programs(file: Path) -> None:
    for command in (("show", file, 1), ("pick", file)):
        assert ["peak_memory", "1.5G"] in [
            line.split() for line in ran(*command).output.splitlines()
        ]
        told = json.loads(ran(*command, "--format", "json").output)
        row = told[0] if isinstance(told, list) else told
        assert row["peak_memory"] == 3 * 2**29


def test_who_was_better_in_the_final_runs_is_named_beside_whom_is_picked(file: Path) -> None:
    assert "final runs" not in ran("pick", file).output
    with Store.open(file) as store:
        store.append_verdict(Verdict(2, 0, 0, 0, 5, 2, 1, 1))
    words = "In the final runs #2 was better, and it keeps to the limits too."
    both = f"Its model: evoft export {file} 1 DIR, or that of the better: evoft export {file} 2 DIR"
    assert words in (told := ran("pick", file).output)
    assert both in told
    assert words in ran("pick", file, "--max-parameters", "9k").output
    assert "final runs" not in ran("pick", file, "--max-parameters", "5k").output  # it is picked
    with Store.open(file) as store:
        store.append_verdict(Verdict(1, 0, 0, 0, 5, 2, 1, 1))
    assert "final runs" not in ran("pick", file, "--max-parameters", "5k").output  # it is too large


def test_a_freeze_depth_is_told_as_the_flag_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "depths.h5"
    with Store.create(path, Header("run", "now", 0, {}, {}, {})) as store:
        for id, depth in enumerate((0.0, 1.0, 1, 0.5)):
            genome = evoft.Genome(freeze_depth=depth)
            parents = (id - 1,) if id else ()
            birth = evoft.Individual(id, id, parents, "mutation", genome, id)
            trial = Trial(id, genome, id, number=id)
            store.append(Record(trial, Outcome.of_fitness(0.5), birth, {}, 1.0))
    told = ran("show", path).output
    assert re.findall(r"freeze_depth (\S+)", told) == ["1.0", "1", "0.5"]
    changes = ran("lineage", path, 3).output
    for change in ("0.0 -> 1.0", "1.0 -> 1", "1 -> 0.5"):
        assert f"freeze_depth {change}" in changes


def test_size_and_latency_are_told_as_their_limits_are_given(file: Path, tmp_path: Path) -> None:
    search = evoft.SearchSettings(
        strategy="ga", finalists=0, objectives=("accuracy", "latency", "parameters")
    )
    path, space = tmp_path / "measured.h5", evoft.SearchSpace(x=evoft.Float(0.0, 1.0))
    with evoft.new(space, population_size=2, generations=1, file=path, search=search) as evolution:
        for metrics in (
            {"latency": 0.0041, "parameters": 372_934.0},
            {"latency": 1.5e-4, "parameters": 25.56e6},
        ):
            evolution.tell(evolution.ask(), Outcome.of_fitness(0.5, metrics=metrics))
    front = ran("show", path, "--pareto").output
    for words in ("4.1ms", "372.9k", "150us", "25.56M"):
        assert f" {words} " in front
    assert front.startswith("2 individuals, 1 complete generation, ")
    picked = ran("pick", path, "--max-latency", "4.1ms", "--max-parameters", "372934").output
    assert ["latency", "4.1ms"] in [line.split() for line in picked.splitlines()]


def test_fsck_tells_people_one_finding_below_the_other(file: Path) -> None:
    file.with_suffix(".journal").unlink()
    lines = ran("fsck", file).output.splitlines()
    assert lines[0] == f"ok       {file}: every byte is as it was written: 3 trials, 0 verdicts"
    assert lines[1].startswith(f"warning  {file.with_suffix('.journal')}: there is no journal")
    assert lines[2].startswith("         repair it with `evoft fsck --repair")
    assert len(json.loads(ran("fsck", file, "--format", "json").output)) == 2


@pytest.mark.parametrize("called", ["balanced_accuracy", "accuracy"])
def test_the_fitness_goes_by_the_name_of_its_metric(tmp_path: Path, called: str) -> None:
    """Also in a file of an earlier evoft, in which it was called accuracy under any metric."""
    search = evoft.SearchSettings(objectives=(called, "parameters"))
    training = TrainingSettings(metric="balanced_accuracy")
    settings = Settings(search=search, training=training).to_dict()
    data = {
        "name": "pets", "splits": {"train": 9, "val": 9, "test": 9}, "fingerprint": "f00d",
        "classes": ["cat", "dog"],
    }  # fmt: skip
    path = tmp_path / "p.h5"
    with Store.create(path, Header("run", "now", 0, settings, {}, data, BACKBONES)) as store:
        genome = evoft.Genome(model="small")
        birth = evoft.Individual(0, 0, (), "sample", genome, 0)
        outcome = Outcome.of_fitness(0.75, metrics={"parameters": 4_000.0})
        store.append(Record(Trial(0, genome, 0, number=0), outcome, birth, {}, 1.0))
    (row,) = json.loads(ran("show", path, "--pareto", "--format", "json").output)
    assert (row["balanced_accuracy"], row["parameters"]) == (0.75, 4_000.0)
    assert "accuracy" not in row
