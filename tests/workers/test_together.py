"""Several trials as one job: each has its own outcome, and none pays for another twice."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evoft.outcome import CurvePoint, Outcome, Status
from evoft.workers.evaluation import evaluate_all


class Team:
    """Answers trials one by one or together, and tells in its metrics which it did."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def evaluate(self, trial: Any) -> Outcome:
        trial.report(1, loss=0.5)
        self.meet(trial, "alone")
        return Outcome.of_fitness(float(trial.seed), metrics={"together": 1.0, "pid": os.getpid()})

    def evaluate_together(self, trials: Sequence[Any]) -> list[Outcome]:
        for trial in trials:
            trial.report(1, loss=0.5 + trial.individual)
            self.meet(trial, "together")
        metrics = {"together": float(len(trials)), "pid": os.getpid()}
        return [
            Outcome.of_fitness(math.nan if t.genome["x"] == 7 else t.seed, metrics=metrics)
            for t in trials
        ]

    def meet(self, trial: Any, how: str) -> None:
        """Do what the trial's genome says is to happen."""
        match trial.genome["x"]:
            case "raise" if how == "together":
                raise ValueError("not together")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(600)
            case "wait":
                assert self.folder is not None
                (self.folder / f"{trial.individual}-{how}").touch()
                while not (self.folder / "go").exists():
                    time.sleep(0.01)


def all_of(workers: Any) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    while workers.busy:
        for trial, outcome in workers.collect():
            assert trial.individual not in found
            found[trial.individual] = outcome
    return found


def test_a_job_of_several_trials_gives_each_its_own_outcome(pool: Any, trial: Any) -> None:
    with pool(Team(), 2) as workers:
        workers.submit(trial(0), trial(1, x=7), trial(2))
        assert (workers.idle, workers.busy) == (1, 3)
        found = all_of(workers)
        assert (workers.idle, workers.busy) == (2, 0)
    assert {n: o.status for n, o in found.items()} == {
        0: Status.OK, 1: Status.DIVERGED, 2: Status.OK,
    }  # fmt: skip
    assert [found[n].metrics["together"] for n in range(3)] == [3.0] * 3
    assert [found[n].curve for n in range(3)] == [
        (CurvePoint(1.0, {"loss": 0.5 + n}),) for n in range(3)
    ]
    assert len({o.seconds for o in found.values()}) == 1  # its share of the whole
    assert found[0].seconds > 0
    assert found[0].peak_memory > 0


def test_what_cannot_evaluate_together_does_so_in_turn(pool: Any, trial: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        if trial.individual == 1:
            raise ValueError("no good")
        return float(trial.seed)

    with pool(fitness) as workers:
        workers.submit(*(trial(n) for n in range(3)))
        found = all_of(workers)
    assert {n: o.status for n, o in found.items()} == {
        0: Status.OK, 1: Status.FAILED, 2: Status.OK,
    }  # fmt: skip


def test_trials_that_fail_together_are_evaluated_alone(trial: Any) -> None:
    outcomes = evaluate_all(Team(), [trial(0), trial(1, x="raise")], lambda point: None)
    assert [o.status for o in outcomes] == [Status.OK] * 2
    assert [o.metrics["together"] for o in outcomes] == [1.0] * 2
    assert [len(o.curve) for o in outcomes] == [1, 1]  # of the second time alone


def test_a_killed_job_gives_each_of_its_trials_a_second_chance_alone(
    pool: Any, trial: Any, tmp_path: Path, until: Any
) -> None:
    with pool(Team(tmp_path), 2) as workers:
        workers.submit(*(trial(n, x="wait") for n in range(3)))
        assert until((tmp_path / "0-together").exists)
        os.kill(workers.pids[0], signal.SIGKILL)
        assert until(lambda: workers.collect(0.02) == [] and len(list(tmp_path.iterdir())) == 3)
        assert (workers.idle, workers.busy) == (0, 3)
        (tmp_path / "go").touch()
        found = all_of(workers)
        assert workers.idle == 2
    assert {n: o.fitness for n, o in found.items()} == {n: 1000.0 + n for n in range(3)}
    assert [found[n].metrics["together"] for n in range(3)] == [1.0] * 3
    assert [found[n].curve for n in range(3)] == [(CurvePoint(1.0, {"loss": 0.5}),)] * 3


@pytest.mark.parametrize(
    ("way", "status", "options"),
    [
        ("die", Status.LOST, {}),
        pytest.param("hang", Status.TIMED_OUT, {"trial_timeout": 1.5}, marks=pytest.mark.slow),
        ("hang", Status.TIMED_OUT, {"stall_timeout": 1.5}),
    ],
)
def test_only_the_trial_at_fault_pays_for_a_lost_job(
    pool: Any, trial: Any, way: str, status: Status, options: Any
) -> None:
    with pool(Team(), 1, **options) as workers:
        workers.submit(trial(0), trial(1, x=way), trial(2))
        found = all_of(workers)
        assert (workers.idle, workers.busy) == (1, 0)
    assert {n: o.status for n, o in found.items()} == {0: Status.OK, 1: status, 2: Status.OK}


def test_trials_together_may_take_as_long_as_they_may_one_by_one(pool: Any, trial: Any) -> None:
    class Slow(Team):
        def evaluate_together(self, trials: Sequence[Any]) -> list[Outcome]:
            time.sleep(0.8)
            return super().evaluate_together(trials)

    with pool(Slow(), trial_timeout=0.5) as workers:
        workers.submit(*(trial(n) for n in range(4)))
        found = all_of(workers)
    assert [o.metrics["together"] for o in found.values()] == [4.0] * 4


def test_a_job_goes_to_the_idle_worker_that_had_its_kin(pool: Any, trial: Any) -> None:
    with pool(Team(), 3) as workers:
        for number, kin in enumerate("abc"):
            workers.submit(trial(number), kin=kin)
        had = {"abc"[n]: o.metrics["pid"] for n, o in all_of(workers).items()}
        assert len(set(had.values())) == 3
        assert workers.at_hand == {"a", "b", "c"}
        for number, kin in enumerate("bca", start=3):
            workers.submit(trial(number), kin=kin)
        assert workers.at_hand == set()
        again = {"abc"[n % 3 - 2]: o.metrics["pid"] for n, o in all_of(workers).items()}
        assert again == had
        workers.submit(trial(6), kin="a")
        workers.submit(trial(7), kin="a")  # its own is busy: any other will do
        assert len({o.metrics["pid"] for o in all_of(workers).values()}) == 2
