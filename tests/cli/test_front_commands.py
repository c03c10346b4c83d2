"""Several objectives through the installed command: a run, its resume, its front, a pick."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import evoft
from evoft.lineage import Paths, Store

SHORT = ("--model", "embedded,test_efficientnet",
         "--population-size", 3, "--epochs", 3, "--finalists", 1, "--repeats", 1, "--img-size", 24,
         "--devices", "cpu", "--seed", 5, "--no-pretrained")  # fmt: skip
RUN = ("--objective", "accuracy", "--objective", "parameters", "--workers", 1, *SHORT)
TIMED = ("--objective", "accuracy", "--objective", "latency", *SHORT)


@pytest.mark.slow
def test_a_search_for_a_front_is_run_resumed_shown_and_picked_from(
    cli: Any, pets: Path, tmp_path: Path, lineage_of: Any, stop: Any
) -> None:
    command = ("evolve", pets, *RUN, "--generations", 2)
    whole = cli(*command, "--file", "whole.h5", cwd=tmp_path)
    assert whole.code == 0, whole.err
    file = tmp_path / "killed.h5"
    stop(signal.SIGKILL, (*command, "--file", file), file, tmp_path, 4)
    resumed = cli("resume", file, cwd=tmp_path)
    assert resumed.code == 0, resumed.err
    assert lineage_of(file)["individuals"] == lineage_of(tmp_path / "whole.h5")["individuals"]
    population = evoft.Population.open(tmp_path / "whole.h5")
    assert len({i.outcome.metrics["parameters"] for i in population if i.outcome}) == 2

    assert "\n  evoft show whole.h5 --pareto\n" in whole.out

    shown = cli("show", "whole.h5", "--pareto", "--format", "json", cwd=tmp_path)
    assert shown.code == 0, shown.err
    front = json.loads(shown.out)
    sizes = [row["parameters"] for row in front]
    assert 1 <= len(front) <= 2
    assert sizes == sorted(sizes, reverse=True)
    least = min(i.outcome.metrics["parameters"] for i in population if i.outcome)
    picked = cli(
        "pick", "whole.h5", "--max-parameters", int(least), "--format", "json", cwd=tmp_path
    )
    assert picked.code == 0, picked.err
    assert json.loads(picked.out)[0]["id"] == front[-1]["id"]


def copied(file: Path, there: Path) -> Path:
    """Copy all of a population into a new folder."""
    there.mkdir()
    for path in (file, Paths.of(file).journal):
        shutil.copy(path, there)
    shutil.copytree(Paths.of(file).checkpoints, there / Paths.of(file).checkpoints.name)
    return there / file.name


def latencies(file: Path) -> list[tuple[Any, Any, float]]:
    """Return what each trial says of its model's latency, to the last bit."""
    population = evoft.Population.open(file)
    return [
        (key, (population.recipe(key[1]) or {})["model"], record.outcome.metrics["latency"])
        for key, record in sorted(population.records.items())
    ]


@pytest.mark.slow
def test_latency_is_measured_once_in_the_life_of_a_population(
    cli: Any, pets: Path, tmp_path: Path, lineage_of: Any, stop: Any
) -> None:
    file = tmp_path / "pets.h5"
    command = ("evolve", pets, *TIMED, "--generations", 2, "--workers", 2, "--file", file)
    stop(signal.SIGKILL, command, file, tmp_path, 2)
    lone, pair = (copied(file, tmp_path / name) for name in ("lone", "pair"))
    for one, workers in ((lone, 1), (pair, 2)):
        done = cli("resume", one, "--workers", workers, cwd=tmp_path)
        assert done.code == 0, done.err
    assert lineage_of(pair) == lineage_of(lone)
    assert latencies(pair) == latencies(lone)
    backbones = evoft.Population.open(lone).header.backbones
    measured = {facts["model"]: facts["latency"] for facts in backbones}
    assert {(model, latency) for _, model, latency in latencies(lone)} == set(measured.items())
    assert backbones == evoft.Population.open(file).header.backbones

    shown = cli("show", lone, "--pareto", "--format", "json", cwd=tmp_path)
    assert {row["latency"] for row in json.loads(shown.out)} <= set(measured.values())


@pytest.mark.slow
def test_a_population_from_before_is_measured_when_it_is_resumed(
    cli: Any, pets: Path, tmp_path: Path, stop: Any
) -> None:
    file = tmp_path / "pets.h5"
    command = ("evolve", pets, *TIMED, "--generations", 1, "--workers", 1, "--file", file)
    stop(signal.SIGKILL, command, file, tmp_path, 2)
    with Store.open(file) as store:
        known = [dict(facts) for facts in store.header.backbones]
        was = {facts["model"]: facts.pop("latency") for facts in known}
        store.amend_backbones(tuple(known))
        before = set(store.records)
    found = []
    for generations in (2, 3):  # at the first resume it is measured, and at the second no more
        done = cli("resume", file, "--generations", generations, "--workers", 2, cwd=tmp_path)
        assert done.code == 0, done.err
        header = evoft.Population.open(file).header
        found.append({facts["model"]: facts["latency"] for facts in header.backbones})
    now = found[0]
    assert found == [now, now]
    assert all(now[model] != was[model] for model in was)
    told = {True: was, False: now}
    assert all(seconds == told[key in before][model] for key, model, seconds in latencies(file))
    assert [{**facts, "latency": now[facts["model"]]} for facts in known] == list(header.backbones)
