"""Evaluation by an executor of the caller's: threads, processes, or a cluster of many machines.

What Python's ``concurrent.futures`` calls an executor is what engines for clusters offer, too:
dask's ``client.get_executor()``, mpi4py's ``MPIPoolExecutor``, ipyparallel's ``view.executor``.
"""

from __future__ import annotations

import time
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from functools import lru_cache

import cloudpickle

from evoft.errors import EvoftError, WorkerError, words_of
from evoft.outcome import Outcome, Status
from evoft.trial import Trial, TrialKey
from evoft.workers.evaluation import Target, evaluate, tell
from evoft.workers.sending import packed

_RESUME = "what has ended is kept: go on by `evoft.resume` with another executor"


class ExecutorWorkers:
    """Hands trials to an executor, which is neither made nor ended here.

    Nobody can be killed: a trial takes as long as it takes.  One that the executor gives up, as
    when the machine under it died, is given to it once more, and then counts as lost.

    Args:
        target: Answers the trials; sent with each, so that any machine can take any.
        executor: Who evaluates them.
        most: How many trials it has at a time at most.

    Raises:
        WorkerError: The target cannot be pickled.
    """

    def __init__(self, target: Target, executor: Executor, most: int) -> None:
        self._blob = packed(target)
        self._executor = executor
        self._most = most
        self._futures: dict[Future[Outcome], Trial] = {}
        self._given_up: set[TrialKey] = set()

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now."""
        return max(0, self._most - len(self._futures))

    @property
    def busy(self) -> int:
        """How many submitted trials have not been collected."""
        return len(self._futures)

    def submit(self, trial: Trial) -> None:
        """Give a trial to the executor.

        Raises:
            WorkerError: It takes none any more.
        """
        try:
            future = self._executor.submit(answer, self._blob, trial)
        except BrokenExecutor as error:
            raise _broken(error) from error
        except RuntimeError as error:
            raise WorkerError(f"the executor takes no more trials ({error}); {_RESUME}") from error
        self._futures[future] = trial

    def collect(self, timeout: float | None = None) -> list[tuple[Trial, Outcome]]:
        """Wait until a trial ends or ``timeout`` seconds have passed; return those that ended.

        Raises:
            WorkerError: The executor is broken, and can evaluate nothing more.
            EvoftError: A trial raised one that stops the run, such as StorageError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        done: list[tuple[Trial, Outcome]] = []
        while not done and self._futures:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ended = wait(self._futures, left, FIRST_COMPLETED).done
            if not ended:
                break
            # What stops the run is raised when the others' outcomes have been taken.
            good = [future for future in ended if _failure(future) is None]
            for future in good or ended:
                done += self._heard(future)
        return done

    def close(self) -> None:
        """Take back the trials that have not begun; nobody hears of those that have."""
        for future in self._futures:
            future.cancel()

    def _heard(self, future: Future[Outcome]) -> list[tuple[Trial, Outcome]]:
        trial, error = self._futures[future], _failure(future)
        if isinstance(error, EvoftError):
            raise error
        if isinstance(error, BrokenExecutor):
            raise _broken(error) from error
        del self._futures[future]
        if error is None:
            return [(trial, future.result())]
        if trial.key not in self._given_up:
            self._given_up.add(trial.key)
            self.submit(trial)
            return []
        reason = f"the executor gave it up again: {type(error).__name__}: {words_of(error):.300}"
        return [(trial, Outcome(Status.LOST, reason=reason))]


def answer(blob: bytes, trial: Trial) -> Outcome:
    """Return the outcome of a trial, wherever this is called.

    Args:
        blob: The target, packed.
        trial: The question.

    Raises:
        StorageError: The disk did not take what the trial must keep.
        PopulationFileError: What the trial stands on is not what the population was made with.
    """
    try:
        target = _unpacked(blob)
    except Exception as error:
        reason = f"the fitness function cannot be unpacked by the executor: {tell(error)}"
        return Outcome(Status.FAILED, reason=reason)
    # Others' work may go on in this process, so its memory is not the trial's.
    return evaluate(target, trial, lambda _: None, alone=False)


@lru_cache(maxsize=1)
def _unpacked(blob: bytes) -> Target:
    target: Target = cloudpickle.loads(blob)
    return target


def _broken(error: BrokenExecutor) -> WorkerError:
    return WorkerError(f"the executor is broken ({words_of(error)}); {_RESUME}")


def _failure(future: Future[Outcome]) -> BaseException | None:
    """Return what a future that has ended was ended by; None: it has a result."""
    return CancelledError("cancelled") if future.cancelled() else future.exception()
