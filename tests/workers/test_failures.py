"""Worker processes that die, hang and lie: it costs their own trial and nothing else."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from evoft.errors import PopulationMismatchError, SettingsError, StorageError, WorkerError
from evoft.outcome import CurvePoint, Status

POINT = CurvePoint(1.0, {"loss": 0.5})


def test_each_failure_is_its_own_status_and_the_others_go_on(
    pool: Any, trial: Any, outcomes: Any
) -> None:
    def fitness(genome: Any, trial: Any) -> Any:
        trial.report(1, loss=0.5)
        match genome["way"]:
            case "raise":
                raise ValueError("no good")
            case "nan":
                return math.nan
            case "inf":
                return math.inf
            case "type":
                return ["a", "list"]
            case "sys.exit":
                sys.exit(3)
            case "memory":
                raise MemoryError("too much")
            case "unpicklable":
                raise type("Homemade", (Exception,), {"__reduce__": lambda self: 1 / 0})("gone")
        return 1.0

    ways = ["raise", "fine", "nan", "inf", "type", "sys.exit", "memory", "unpicklable", "fine"]
    with pool(fitness, 2) as workers:
        found = outcomes(workers, [trial(n, way=way) for n, way in enumerate(ways)])
        pids = workers.pids
        assert found.keys() == set(range(9))
        assert len(pids) == 2
    told = [found[n] for n in range(9)]
    assert [o.status.value for o in told] == [
        "failed", "ok", "diverged", "diverged", "failed", "failed", "out of memory", "failed", "ok",
    ]  # fmt: skip
    assert told[0].reason.startswith("ValueError: no good (test_failures.py, line ")
    assert told[3].reason == "the fitness is inf, not a finite number"
    assert told[4].reason == "the fitness must be a number, but is ['a', 'list']"
    assert told[5].reason.startswith("SystemExit: 3 (test_failures.py, line ")
    assert told[7].reason.startswith("Homemade: gone (test_failures.py, line ")
    assert [o.curve for o in told] == [(POINT,)] * 9
    assert [o.score for o in told if o.status is not Status.OK] == [-math.inf] * 7


def test_an_answer_that_cannot_be_sent_or_read_is_a_failure(
    pool: Any, trial: Any, outcomes: Any
) -> None:
    class Treacherous(float):
        def __reduce__(self) -> Any:
            return (int, ("not a number",))  # raises where it is unpickled

    class Stuck(float):
        def __reduce__(self) -> Any:
            raise TypeError("cannot pickle this")

    class Target:
        def evaluate(self, trial: Any) -> Any:
            from evoft.outcome import Outcome

            answers = (Treacherous(1.0), Stuck(1.0), 2.0, lambda: 1)
            return Outcome(Status.OK, 1.0, metrics={"a": answers[trial.individual]})  # type: ignore[dict-item]

    with pool(Target()) as workers:
        found = outcomes(workers, [trial(n) for n in range(4)])
    statuses = [Status.FAILED, Status.FAILED, Status.OK, Status.FAILED]
    assert [found[n].status for n in range(4)] == statuses
    assert "not a number" in found[0].reason
    assert "pickle" in found[1].reason
    assert found[3].reason.startswith("the metric `a` must be a number, but is <function")


def interrupt() -> None:
    raise KeyboardInterrupt


DEATHS = {
    "exit": (lambda: os._exit(9), "it exited with code 9"),
    "kill": (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL"),
    "crash": (lambda: os.kill(os.getpid(), signal.SIGSEGV), "killed by SIGSEGV"),
    "interrupt": (
        interrupt,
        f"KeyboardInterrupt:  (test_failures.py, line {interrupt.__code__.co_firstlineno + 1})",
    ),
}


@pytest.mark.parametrize("way", DEATHS)
def test_a_worker_that_dies_once_costs_nothing(
    pool: Any, trial: Any, outcomes: Any, tmp_path: Path, way: str
) -> None:
    die, _ = DEATHS[way]

    def fitness(genome: Any, trial: Any) -> float:
        trial.report(1, loss=0.5)
        mark = tmp_path / str(trial.individual)
        if genome["x"] < 0 and not mark.exists():
            mark.touch()
            die()
        return float(genome["x"] + trial.seed)

    trials = [trial(n, x=float(-n % 3 - 1)) for n in range(6)]
    with pool(fitness, 2) as workers:
        found = outcomes(workers, trials)
        assert workers.idle == 2
    assert {n: o.fitness for n, o in found.items()} == {
        t.individual: t.genome["x"] + t.seed for t in trials
    }
    assert [o.curve for o in found.values()] == [(POINT,)] * 6  # of the second run alone


class OddError(BaseException):
    """What no trial is expected to raise."""


def test_a_worker_that_ends_itself_says_why(pool: Any, trial: Any, outcomes: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        if trial.individual == 1:
            raise OddError("not today")
        return 1.0

    with pool(fitness, 2) as workers:
        found = outcomes(workers, [trial(n) for n in range(3)])
    assert [found[n].status for n in range(3)] == [Status.OK, Status.LOST, Status.OK]
    words = "its worker died again: OddError: not today (test_failures.py, line "
    assert found[1].reason.startswith(words)
    assert found[1].reason.count("line") == 1


@pytest.mark.parametrize("way", DEATHS)
def test_a_worker_that_dies_again_has_lost_its_trial_alone(
    pool: Any, trial: Any, outcomes: Any, way: str
) -> None:
    die, words = DEATHS[way]

    def fitness(genome: Any, trial: Any) -> float:
        trial.report(1, loss=0.5)
        if genome["x"] < 0:
            die()
        return float(genome["x"])

    with pool(fitness, 2) as workers:
        found = outcomes(workers, [trial(n, x=-1.0 if n == 1 else 1.0) for n in range(4)])
    lost = found.pop(1)
    assert (lost.status, lost.reason) == (Status.LOST, f"its worker died again: {words}")
    assert lost.curve == (POINT,)
    assert lost.seconds > 0
    assert {o.status for o in found.values()} == {Status.OK}


def test_a_worker_killed_from_outside_is_replaced(
    pool: Any, trial: Any, outcomes: Any, tmp_path: Path, until: Any
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        (tmp_path / f"{trial.individual}-{os.getpid()}").touch()
        while not (tmp_path / "go").exists():
            time.sleep(0.01)
        return float(trial.seed)

    with pool(fitness, 2) as workers:
        for number in range(2):
            workers.submit(trial(number))
        assert until(lambda: len(list(tmp_path.iterdir())) == 2)
        victim = workers.pids[0]
        os.kill(victim, signal.SIGKILL)
        assert until(lambda: workers.collect(0.02) == [] and len(list(tmp_path.iterdir())) == 3)
        assert workers.busy == 2
        (tmp_path / "go").touch()
        done = {}
        while workers.busy:
            done |= {t.individual: o for t, o in workers.collect()}
        assert victim not in workers.pids
        assert len(workers.pids) == 2
    assert {n: o.fitness for n, o in done.items()} == {0: 1000.0, 1: 1001.0}


def test_an_idle_worker_that_was_killed_costs_nothing(pool: Any, trial: Any, outcomes: Any) -> None:
    with pool(lambda genome, trial: 1.0) as workers:
        outcomes(workers, [trial(0)])
        (pid,) = workers.pids
        os.kill(pid, signal.SIGKILL)
        assert outcomes(workers, [trial(1)])[1].status is Status.OK


def test_a_trial_over_its_limit_is_ended(pool: Any, trial: Any, outcomes: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        if genome["x"] < 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            trial.report(1, loss=0.5)
            time.sleep(1000)
        return 1.0

    with pool(fitness, 2, trial_timeout=1.0) as workers:
        found = outcomes(workers, [trial(n, x=-1.0 if n == 1 else 1.0) for n in range(5)])
    hung = found.pop(1)
    assert (hung.status, hung.curve) == (Status.TIMED_OUT, (POINT,))
    assert hung.reason == "it took longer than the limit of 1 s"
    assert {o.status for o in found.values()} == {Status.OK}


def test_of_a_training_that_was_begun_anew_and_cut_off_the_curve_is_that_of_the_second(
    pool: Any, trial: Any, outcomes: Any
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        for epoch in (1, 2):
            trial.report(epoch, loss=2.0)
        trial.begin_anew()
        trial.report(1, loss=0.5)
        time.sleep(1000)
        return 1.0

    with pool(fitness, trial_timeout=1.0) as workers:
        outcome = outcomes(workers, [trial(0)])[0]
    assert (outcome.status, outcome.curve) == (Status.TIMED_OUT, (POINT,))


def test_a_trial_that_reports_without_end_is_ended_too(
    pool: Any, trial: Any, outcomes: Any
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        while True:
            trial.report(1, loss=0.5)

    with pool(fitness, trial_timeout=0.3) as workers:
        assert outcomes(workers, [trial(0)])[0].status is Status.TIMED_OUT


def test_a_silent_trial_is_ended_and_one_that_tells_is_not(
    pool: Any, trial: Any, outcomes: Any
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        trial.report(1, loss=0.5)
        if genome["x"] < 0:
            time.sleep(1000)
        for _ in range(10):
            time.sleep(0.2)
            trial.report(1)  # no point of the curve: a mere sign of life
        return 1.0

    with pool(fitness, 2, stall_timeout=2.5) as workers:
        found = outcomes(workers, [trial(0, x=-1.0), trial(1, x=1.0)])
    assert found[0].status is Status.TIMED_OUT
    assert found[0].reason == "it gave no sign of life for 2.5 s"
    assert found[0].curve == found[1].curve == (POINT,)
    assert found[1].status is Status.OK


def test_a_trial_that_ended_in_time_is_not_ended_late(
    pool: Any, trial: Any, until: Any, tmp_path: Path
) -> None:
    """The parent may be busy with other things when the limit passes."""

    def fitness(genome: Any, trial: Any) -> float:
        for epoch in range(50):
            trial.report(epoch, loss=0.5)
        (tmp_path / "done").touch()
        return 1.0

    with pool(fitness, trial_timeout=0.5, stall_timeout=0.5) as workers:
        workers.submit(trial(0))
        assert until((tmp_path / "done").exists)
        time.sleep(0.7)
        ((_, outcome),) = workers.collect()
    assert outcome.status is Status.OK
    assert len(outcome.curve) == 50


@pytest.mark.slow
def test_a_worker_that_cuts_its_connection_and_lives_on_is_killed(
    pool: Any, trial: Any, outcomes: Any, family: Any
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        os.closerange(3, 100)
        time.sleep(1000)
        return 1.0

    with pool(fitness) as workers:
        lost = outcomes(workers, [trial(0)])[0]
        assert workers.pids == []
        (nursery,) = family()
        assert nursery.ppid() == os.getpid()
    assert (lost.status, lost.reason) == (
        Status.LOST, "its worker died again: it closed its connection",
    )  # fmt: skip


class Asserting:
    """A target whose process is of no use once a trial has broken its GPU."""

    broken = False

    def __init__(self, marks: Path) -> None:
        self.marks = marks

    def evaluate(self, trial: Any) -> float:
        way, mark = trial.genome.get("way"), self.marks / str(trial.individual)
        if way == "always" or (way == "once" and not mark.exists()):
            mark.touch()
            self.broken = True
        if self.broken:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return 1.0

    def evaluate_together(self, trials: Any) -> list[float]:
        return [self.evaluate(trial) for trial in trials]


def test_a_broken_gpu_costs_its_own_trial_alone(
    pool: Any, trial: Any, outcomes: Any, tmp_path: Path
) -> None:
    ways = ["fine", "always", "fine", "once", "fine"]
    with pool(Asserting(tmp_path)) as workers:
        found = outcomes(workers, [trial(n, way=way) for n, way in enumerate(ways)])
    assert [found[n].status.value for n in range(5)] == ["ok", "lost", "ok", "ok", "ok"]
    words = "its worker died again: RuntimeError: CUDA error: device-side assert triggered (test_"
    assert found[1].reason.startswith(words)


def test_a_method_that_a_gpu_fails_is_called_again_in_another_process(
    pool: Any, trial: Any, outcomes: Any, tmp_path: Path
) -> None:
    class Target:
        def evaluate(self, trial: Any) -> float:
            return 1.0

        def judge(self, broken: int) -> int:
            (tmp_path / f"{broken}-{os.getpid()}").touch()
            if len(list(tmp_path.glob(f"{broken}-*"))) <= broken:
                raise RuntimeError("CUDA error: device-side assert triggered")
            return os.getpid()

        def refuse(self) -> None:
            try:
                raise RuntimeError("CUDA error: device-side assert triggered")
            except RuntimeError as error:
                raise SettingsError("GPU 0 cannot be used") from error

    with pool(Target()) as workers:
        assert workers.call("judge", 1) in workers.pids
        assert len(list(tmp_path.glob("1-*"))) == 2
        words = r"a worker process died again: RuntimeError: CUDA error: device-side .*\(test_fail"
        with pytest.raises(WorkerError, match=words):
            workers.call("judge", 5)
        with pytest.raises(SettingsError, match="GPU 0 cannot be used"):
            workers.call("refuse")
        assert outcomes(workers, [trial(0)])[0].status is Status.OK


def test_a_gpu_that_trials_broke_together_costs_the_one_whose_fault_it_was(
    pool: Any, trial: Any, outcomes: Any, tmp_path: Path
) -> None:
    ways = ["fine", "always", "fine"]
    with pool(Asserting(tmp_path)) as workers:
        workers.submit(*(trial(n, way=way) for n, way in enumerate(ways)))
        found = outcomes(workers, [])
    assert [found[n].status.value for n in range(3)] == ["ok", "lost", "ok"]


def test_close_ends_trials_that_run(pool: Any, trial: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
        return 1.0

    with pool(fitness, 3) as workers:
        for number in range(3):
            workers.submit(trial(number))
        pids = workers.pids
        assert len(pids) == 3
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_a_dead_nursery_is_told(
    pool: Any, trial: Any, outcomes: Any, until: Any, family: Any
) -> None:
    with pool(lambda genome, trial: 1.0) as workers:
        outcomes(workers, [trial(0)])
        (nursery,) = (process for process in family() if process.ppid() == os.getpid())
        nursery.kill()
        assert until(lambda: nursery.status() == psutil.STATUS_ZOMBIE)
        assert until(lambda: not any(psutil.pid_exists(pid) for pid in workers.pids))
        with pytest.raises(
            WorkerError, match=r"the process that starts workers died \(exit code -"
        ):
            outcomes(workers, [trial(1)])


PARENT = """
import signal, sys, time
from evoft.genome import Genome
from evoft.trial import Trial
from evoft.workers.evaluation import FitnessTarget
from evoft.workers.local import LocalWorkers

def fitness(genome, trial):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)

workers = LocalWorkers(FitnessTarget(fitness), devices=["any"] * 3)
for number in range(3):
    workers.submit(Trial(number, Genome(x=1.0), 0))
print("begun", *workers.pids, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nursery_and_workers_die_with_their_parent(how: signal.Signals, until: Any) -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        words = parent.stdout.readline().split()
        assert words[0] == "begun"
        family = [p.pid for p in psutil.Process(parent.pid).children(recursive=True)]
        assert len(family) == 4
        assert {int(pid) for pid in words[1:]} < set(family)
        parent.send_signal(how)
        parent.wait()
        assert until(lambda: not any(psutil.pid_exists(pid) for pid in family))


def test_ctrl_c_reaches_the_parent_alone(pool: Any, trial: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        return float(
            signal.getsignal(signal.SIGINT) is signal.SIG_IGN and os.getsid(0) != os.getppid() - 1
        )

    with pool(fitness) as workers:
        workers.submit(trial(0))
        ((_, outcome),) = workers.collect()
        assert {os.getsid(pid) for pid in workers.pids}.isdisjoint({os.getsid(0)})
    assert outcome.fitness == 1.0


def test_a_folder_full_of_modules_named_like_pythons_own_harms_nobody(tmp_path: Path) -> None:
    for name in ("signal", "socket", "json", "ctypes", "contextlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not me')")
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "import evoft\n"
        "space = evoft.SearchSpace(x=evoft.Float(0, 1))\n"
        "fitness = lambda genome, trial: genome['x']\n"
        "for generation in evoft.evolve(fitness, space, generations=1, population_size=2):\n"
        "    print(generation.best.status)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


class TestRunEnds:
    """What is no single trial's fault reaches the parent instead of failing trial after trial."""

    @pytest.mark.parametrize("kind", [StorageError, PopulationMismatchError])
    def test_the_error_is_raised_where_outcomes_are_collected(self, pool, trial, kind):
        def fitness(genome, trial):
            raise kind("the disk is full")

        with pool(fitness) as workers:
            workers.submit(trial(0))
            with pytest.raises(kind, match="the disk is full"):
                workers.collect()

    def test_other_errors_of_evofts_are_the_trials_own(self, pool, trial, outcomes):
        def fitness(genome, trial):
            raise SettingsError("no such schedule")

        with pool(fitness) as workers:
            assert outcomes(workers, [trial(0)])[0].status is Status.FAILED
