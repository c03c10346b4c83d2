"""Worker processes that work: results, devices, shared arrays, memory, what they are sent."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from evoft.errors import StorageError, WorkerError
from evoft.outcome import Status
from evoft.shared import SharedArray
from evoft.workers.local import LocalWorkers


def test_parallel_results_are_those_of_one_process(pool: Any, trial: Any, outcomes: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        time.sleep(trial.seed % 3 * 0.01)  # so that they finish in another order
        return float(np.random.default_rng(trial.seed).random() + genome["x"])

    trials = [trial(n, x=float(n)) for n in range(20)]
    with pool(fitness, 3) as workers:
        found = outcomes(workers, trials)
        assert len(workers.pids) == len(set(workers.pids)) == 3
        assert os.getpid() not in workers.pids
    assert {n: o.fitness for n, o in found.items()} == {
        t.individual: fitness(t.genome, t) for t in trials
    }


def test_trials_run_at_the_same_time(pool: Any, trial: Any, outcomes: Any, tmp_path: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        (tmp_path / str(trial.individual)).touch()
        while len(list(tmp_path.iterdir())) < 3:  # none ends before all have begun
            time.sleep(0.01)
        return float(os.getpid())

    with pool(fitness, 3, trial_timeout=60) as workers:
        found = outcomes(workers, [trial(n) for n in range(3)])
    assert len({o.fitness for o in found.values()}) == 3


def test_idle_and_busy_count_slots(pool: Any, trial: Any, tmp_path: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        while not (tmp_path / "go").exists():
            time.sleep(0.01)
        return 1.0

    with pool(fitness, 2) as workers:
        assert (workers.idle, workers.busy) == (2, 0)
        assert workers.collect() == []
        workers.submit(trial(0))
        assert (workers.idle, workers.busy) == (1, 1)
        workers.submit(trial(1))
        with pytest.raises(ValueError, match="no worker is idle"):
            workers.submit(trial(2))
        assert workers.collect(timeout=0.05) == []
        (tmp_path / "go").touch()
        done = workers.collect()
        while workers.busy:
            done += workers.collect()
        assert {t.individual for t, _ in done} == {0, 1}
        assert (workers.idle, workers.busy) == (2, 0)


def test_slots_that_are_no_more_end_their_jobs_and_take_none(
    pool: Any, trial: Any, tmp_path: Any, outcomes: Any
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        while not (tmp_path / "go").exists():
            time.sleep(0.01)
        return float(os.getpid())

    with pool(fitness, 3) as workers:
        for number in range(3):
            workers.submit(trial(number))
        first = workers.pids[0]
        workers.shrink(1)
        assert (workers.idle, workers.busy) == (0, 3)
        assert len(workers.pids) == 3
        (tmp_path / "go").touch()
        found = outcomes(workers, [])
        assert set(found) == {0, 1, 2}
        assert workers.idle == 1
        again = outcomes(workers, [trial(number) for number in range(3, 6)])
        assert {outcome.fitness for outcome in again.values()} == {float(first)}
        assert workers.pids == [first]
        workers.shrink(0)
        assert workers.idle == 1


def test_a_worker_is_used_again(pool: Any, trial: Any, outcomes: Any) -> None:
    calls: list[int] = []

    def fitness(genome: Any, trial: Any) -> float:
        calls.append(trial.individual)
        return float(len(calls))

    with pool(fitness) as workers:
        found = outcomes(workers, [trial(n) for n in range(5)])
    assert [found[n].fitness for n in range(5)] == [1, 2, 3, 4, 5]
    assert calls == []  # all of it happened elsewhere


@pytest.mark.parametrize(
    ("inherited", "first", "second"),
    [
        (None, "0", "1"),
        ("7,5", "7", "5"),
        ("2,3", "2", "3"),
        (" GPU-8f6c , MIG-1", "GPU-8f6c", "MIG-1"),
    ],
)
def test_each_slot_sees_its_own_device(
    inherited: str | None, first: str, second: str, pool: Any, trial: Any, monkeypatch: Any
) -> None:
    if inherited is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", inherited)

    def fitness(genome: Any, trial: Any) -> float:
        trial.report(0, **{f"cuda:{os.environ.get('CUDA_VISIBLE_DEVICES')}": 0})
        return 1.0

    seen = set()
    with pool(fitness, devices=["0", "1", "cpu", "any"]) as workers:
        for number in range(4):
            workers.submit(trial(number))
        while workers.busy:
            for _, outcome in workers.collect():
                seen |= set(outcome.curve[0].metrics)
    assert seen == {f"cuda:{first}", f"cuda:{second}", "cuda:", f"cuda:{inherited}"}


@pytest.mark.parametrize(("left", "count"), [("7", 1), ("7,-1,6", 1), ("-1", 0), ("", 0)])
def test_a_gpu_that_was_taken_away_is_not_used(
    left: str, count: int, pool: Any, trial: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", left)
    with pool(len, devices=["1"]) as workers:
        words = f"GPU 1 is not to be seen, for CUDA_VISIBLE_DEVICES={left} leaves {count}, counted"
        with pytest.raises(WorkerError, match=words):
            workers.submit(trial(0))


def test_a_worker_has_one_thread_for_sums(
    pool: Any, trial: Any, outcomes: Any, monkeypatch: Any
) -> None:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    for name in names:
        monkeypatch.setenv(name, "2")

    def fitness(genome: Any, trial: Any) -> float:
        return float(sum(int(os.environ[name]) for name in names))

    with pool(fitness) as workers:
        assert outcomes(workers, [trial(0)])[0].fitness == 3


def test_shared_arrays_are_seen_by_workers_and_not_changed_by_them(
    pool: Any, trial: Any, outcomes: Any
) -> None:
    class Target:
        images: SharedArray | None = None

        def evaluate(self, trial: Any) -> float:
            assert self.images is not None
            array = self.images.open()
            array[trial.individual] += 100  # a copy of our own
            return float(array.sum())

    target = Target()
    with pool(target, 2) as workers:
        target.images, here = workers.share((4, 1000), "uint8")
        assert here.shape == (4, 1000)
        assert here.dtype == np.uint8
        assert not here.any()
        here[:] = np.arange(4)[:, None]
        workers.retarget(target)
        found = outcomes(workers, [trial(n) for n in range(4)])
        assert {o.fitness for o in found.values()} == {106_000.0}
        assert here.sum() == 6000
        here[0] = 50  # shared, not copied: workers see what is written later
        assert outcomes(workers, [trial(0)])[0].fitness == 156_000.0
        del here


def test_an_empty_array_and_one_that_is_too_large(pool: Any) -> None:
    with pool(len) as workers:
        shared, here = workers.share((0, 5), "float32")
        assert here.shape == shared.open().shape == (0, 5)
        with pytest.raises(StorageError, match="there is no room for 1073741824 MiB of images"):
            workers.share((2**50,), "uint8")


def test_a_target_is_sent_once_and_replaced_when_told(pool: Any, trial: Any, outcomes: Any) -> None:
    class Heavy:
        def __init__(self, answer: float) -> None:
            self.answer = answer

        def __setstate__(self, state: dict[str, float]) -> None:
            self.answer = state["answer"]
            self.arrivals = getattr(self, "arrivals", 0) + 1

        def evaluate(self, trial: Any) -> float:
            self.answer += 0.5  # kept from trial to trial: the same object
            return self.answer

    with pool(Heavy(1.0)) as workers:
        found = outcomes(workers, [trial(n) for n in range(3)])
        assert [found[n].fitness for n in range(3)] == [1.5, 2.0, 2.5]
        (pid,) = workers.pids
        workers.retarget(Heavy(10.0))
        assert outcomes(workers, [trial(3)])[3].fitness == 10.5
        assert workers.pids == [pid]
        workers.retarget(Heavy(20.0), devices=["cpu", "cpu"])
        assert outcomes(workers, [trial(4)])[4].fitness == 20.5
        assert pid not in workers.pids
        assert workers.idle == 2


def test_methods_of_the_target_are_called(pool: Any, trial: Any, outcomes: Any) -> None:
    class Target:
        def evaluate(self, trial: Any) -> float:
            return 1.0

        def double(self, number: int) -> int:
            return 2 * number

        def fail(self) -> None:
            raise LookupError("nothing there")

        def die(self) -> None:
            os._exit(5)

        def be_killed(self) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def lock(self) -> Any:
            return threading.Lock()

    with pool(Target()) as workers:
        assert workers.call("double", 21) == 42
        with pytest.raises(LookupError, match="nothing there"):
            workers.call("fail")
        with pytest.raises(RuntimeError, match="cannot pickle"):
            workers.call("lock")
        with pytest.raises(WorkerError, match="a worker process died again: it exited with code 5"):
            workers.call("die")
        with pytest.raises(WorkerError, match=r"killed by SIGKILL, as .* out of memory: free some"):
            workers.call("be_killed")
        assert outcomes(workers, [trial(0)])[0].status is Status.OK


def test_an_object_that_cannot_be_sent_is_refused_and_leaves_no_process() -> None:
    lock = threading.Lock()
    with pytest.raises(WorkerError, match=r"cannot be sent to a worker process \(cannot pickle"):
        LocalWorkers(lock)


def test_lambdas_closures_and_local_classes_will_do(pool: Any, trial: Any, outcomes: Any) -> None:
    factor = np.arange(3.0)

    class Local:
        def times(self, x: float) -> float:
            return float(x * factor.sum())

    with pool(lambda genome, trial: Local().times(genome["x"])) as workers:
        assert outcomes(workers, [trial(0, x=2.0)])[0].fitness == 6.0


def test_modules_are_imported_once_before_the_workers(pool: Any, trial: Any, outcomes: Any) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        import sys

        return float("wave" in sys.modules)

    with pool(fitness, preload=["wave"]) as workers:
        assert outcomes(workers, [trial(0)])[0].fitness == 1.0
    with pool(fitness) as workers:
        assert outcomes(workers, [trial(0)])[0].fitness == 0.0


def test_a_module_that_cannot_be_imported_is_told(pool: Any, trial: Any) -> None:
    with (
        pool(len, preload=["no_such_module"]) as workers,
        pytest.raises(WorkerError, match="cannot be started: ModuleNotFoundError: No module named"),
    ):
        workers.submit(trial(0))


def test_what_a_fitness_prints_comes_out(
    pool: Any, trial: Any, outcomes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        print(f"here is {trial.individual}")
        return 1.0

    with pool(fitness, 2) as workers:
        outcomes(workers, [trial(n) for n in range(3)])
    assert sorted(capfd.readouterr().out.splitlines()) == ["here is 0", "here is 1", "here is 2"]


def test_lines_of_several_workers_do_not_mix(
    pool: Any,
    trial: Any,
    outcomes: Any,
    capfd: pytest.CaptureFixture[str],
    until: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fitness(genome: Any, trial: Any) -> float:
        (tmp_path / str(trial.individual)).touch()
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        for line in range(500):
            print(f"{trial.individual} is at", line)
        return 1.0

    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    with pool(fitness, 2) as workers:
        outcomes(workers, [trial(0), trial(1)])
    said = [f"{n} is at {line}" for n in range(2) for line in range(500)]
    assert sorted(capfd.readouterr().out.splitlines()) == sorted(said)


def test_memory_returns_to_its_baseline_over_many_trials(
    pool: Any, trial: Any, outcomes: Any, family: Any
) -> None:
    """Two hundred trials of 16 MiB each leave less than 8 MiB in worker, nursery and parent."""

    def fitness(genome: Any, trial: Any) -> float:
        ballast = np.ones(2**21)
        for epoch in range(5):
            trial.report(epoch, loss=float(ballast[epoch]))
        if trial.individual % 3 == 0:
            raise ValueError(f"{ballast.sum()}")
        return float(ballast.sum())

    def resident() -> dict[int, int]:
        return {p.pid: p.memory_info().rss for p in (psutil.Process(), *family())}

    with pool(fitness) as workers:
        outcomes(workers, [trial(n) for n in range(20)])
        before = resident()
        outcomes(workers, [trial(n) for n in range(200)])
        after = resident()
    assert len(before) == 3
    assert before.keys() == after.keys()
    growth = {pid: (after[pid] - before[pid]) / 2**20 for pid in before}
    assert max(growth.values()) < 8, growth


def test_a_worker_that_died_while_idle_is_replaced_for_a_call(pool):
    class Target:
        def evaluate(self, trial):
            return 0.0

        def name(self):
            return os.getpid()

    with pool(Target()) as workers:
        first = workers.call("name")
        os.kill(first, signal.SIGKILL)
        assert workers.call("name") not in (first, os.getpid())
