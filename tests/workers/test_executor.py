"""Trials on executors of the caller's: what they answer, what is lost, and what stops the run."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest
from conftest import make_trial, outcomes_of

from evoft.errors import StorageError, WorkerError
from evoft.outcome import CurvePoint, Status
from evoft.workers.evaluation import FitnessTarget
from evoft.workers.executor import ExecutorWorkers


def pool(fitness: Any, executor: Executor, most: int = 2) -> ExecutorWorkers:
    return ExecutorWorkers(FitnessTarget(fitness), executor, most)


#: Lets ``held`` end, and counts its beginnings.
GO, BEGUN = threading.Event(), threading.Semaphore(0)


def held(genome: Any, trial: Any) -> float:
    """Wait for a word of the test, which in a thread of its process can be heard."""
    BEGUN.release()
    GO.wait(60)
    return 1.0


GONE = ConnectionError("the machine is gone")


class Losing(ThreadPoolExecutor):
    """Gives up what it is given, so many times, as a cluster does whose machines die."""

    def __init__(self, times: int, why: Exception = GONE) -> None:
        super().__init__(1)
        self.times = times
        self.why = why

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.times:
            self.times -= 1
            return super().submit(self.lose)
        return super().submit(fn, *args, **kwargs)

    def lose(self) -> None:
        raise self.why


def test_each_trial_is_answered_with_its_curve_and_its_own_failure() -> None:
    def fitness(genome: Any, trial: Any) -> Any:
        trial.report(1, loss=0.5)
        match genome["way"]:
            case "raise":
                raise ValueError("no good")
            case "nan":
                return math.nan
            case "sys.exit":
                raise SystemExit(3)
            case "memory":
                raise MemoryError("too much")
        return float(trial.seed)

    ways = ["raise", "fine", "nan", "sys.exit", "memory", "fine"]
    with ThreadPoolExecutor(2) as executor:
        workers = pool(fitness, executor)
        found = outcomes_of(workers, [make_trial(n, way=way) for n, way in enumerate(ways)])
    told = [found[n] for n in range(6)]
    assert [o.status.value for o in told] == [
        "failed", "ok", "diverged", "failed", "out of memory", "ok",
    ]  # fmt: skip
    assert told[0].reason.startswith("ValueError: no good (test_executor.py, line ")
    assert [told[1].fitness, told[5].fitness] == [1001.0, 1005.0]
    assert all(outcome.curve == (CurvePoint(1.0, {"loss": 0.5}),) for outcome in told)
    assert all(outcome.seconds > 0 for outcome in told)


def test_no_more_are_given_at_a_time_than_it_may_have() -> None:
    GO.clear()
    with ThreadPoolExecutor(8) as executor:
        workers = pool(held, executor, most=3)
        for number in range(3):
            assert workers.idle == 3 - number
            workers.submit(make_trial(number))
        assert (workers.idle, workers.busy) == (0, 3)
        assert workers.collect(timeout=0.01) == []
        GO.set()
        assert len(outcomes_of(workers, [])) == 3
        assert (workers.idle, workers.busy) == (3, 0)


def test_a_trial_that_is_given_up_has_a_second_chance() -> None:
    with Losing(1) as executor:
        found = outcomes_of(pool(lambda genome, trial: 2.0, executor), [make_trial(0)])
    assert (found[0].status, found[0].fitness) == (Status.OK, 2.0)


def test_a_trial_that_is_given_up_again_is_lost_and_the_next_is_not() -> None:
    with Losing(2) as executor:
        workers = pool(lambda genome, trial: 2.0, executor, most=1)
        found = outcomes_of(workers, [make_trial(0), make_trial(1)])
    assert found[0].status is Status.LOST
    assert found[0].reason == (
        "the executor gave it up again: ConnectionError: the machine is gone"
    )
    assert found[1].fitness == 2.0


def test_a_cancelled_trial_counts_as_given_up() -> None:
    GO.clear()
    with ThreadPoolExecutor(1) as executor:
        workers = pool(held, executor)
        workers.submit(make_trial(0))
        workers.submit(make_trial(1))
        waiting = [future for future in workers._futures if future.cancel()]
        assert len(waiting) == 1
        GO.set()
        assert {o.status for o in outcomes_of(workers, []).values()} == {Status.OK}


def test_a_broken_executor_stops_the_run_after_what_ended_before() -> None:
    with Losing(1, BrokenExecutor("a process died")) as executor:
        workers = pool(lambda genome, trial: 2.0, executor)
        workers.submit(make_trial(0))
        workers.submit(make_trial(1))
        executor.submit(int).result()  # both have ended
        assert [trial.individual for trial, _ in workers.collect()] == [1]
        with pytest.raises(WorkerError, match=r"broken \(a process died\); .*`evoft\.resume`"):
            workers.collect()


def test_an_executor_that_was_shut_down_says_so() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(WorkerError, match="takes no more trials"):
        pool(lambda genome, trial: 1.0, executor).submit(make_trial(0))


def test_what_no_trial_survives_is_raised_when_the_others_have_been_taken() -> None:
    def fitness(genome: Any, trial: Any) -> float:
        if genome["x"] < 0:
            raise StorageError("the disk is full")
        return 1.0

    with ThreadPoolExecutor(1) as executor:
        workers = pool(fitness, executor)
        workers.submit(make_trial(0, x=-1.0))
        workers.submit(make_trial(1, x=1.0))
        executor.submit(int).result()  # both have ended
        assert [trial.individual for trial, _ in workers.collect()] == [1]
        with pytest.raises(StorageError, match="the disk is full"):
            workers.collect()


def test_a_fitness_that_cannot_be_unpacked_there_fails_with_the_reason() -> None:
    class Elsewhere:
        def __reduce__(self) -> Any:
            return __import__, ("a_module_of_this_machine_alone",)

        def __call__(self, genome: Any, trial: Any) -> float:
            return 1.0

    with ThreadPoolExecutor(1) as executor:
        found = outcomes_of(pool(Elsewhere(), executor), [make_trial(0)])
    assert found[0].status is Status.FAILED
    assert "cannot be unpacked by the executor: ModuleNotFoundError" in found[0].reason
    assert "a_module_of_this_machine_alone" in found[0].reason


def test_a_fitness_that_cannot_be_packed_is_refused() -> None:
    lock = threading.Lock()
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(WorkerError, match="cannot be sent to a worker process"),
    ):
        pool(lambda genome, trial: float(lock.locked()), executor)


def test_closing_takes_back_what_has_not_begun_and_leaves_the_executor_to_its_owner() -> None:
    GO.clear()
    while BEGUN.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(1) as executor:
        workers = pool(held, executor, most=5)
        for number in range(5):
            workers.submit(make_trial(number))
        assert BEGUN.acquire(timeout=60)
        workers.close()
        GO.set()
        assert executor.submit(int).result() == 0
        assert not BEGUN.acquire(blocking=False)
