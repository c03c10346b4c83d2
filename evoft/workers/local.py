"""Worker processes on this machine: one a slot, replaced when they die, killed when they hang."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Hashable, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.errors import EvoftError, WorkerError
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.shared import SharedArray
from evoft.trial import Trial
from evoft.workers.process import Answer, Farewell, Job, Progress
from evoft.workers.sending import packed
from evoft.workers.slots import Slots
from evoft.workers.worker import Limits, Worker

#: How often a trial whose worker died under it is started again before it counts as lost.
_SECOND_CHANCES = 1

#: More messages than a socket holds: a trial that sends without end is cut off all the same.
_BACKLOG = 4096


class LocalWorkers:
    """A pool of worker processes for trials.

    Args:
        target: What answers trials; any object with ``evaluate(trial)`` that can be pickled.
        devices: One a slot: ``cpu``, or the number of a GPU among those that this process can see,
            which is all that the slot's process can.
        preload: Modules that are imported once, before any worker starts.
        trial_timeout: Seconds that a trial may take, so many times more for as many trials
            together; None: no limit.
        stall_timeout: Seconds without a sign of life after which a worker is taken for hung.

    Raises:
        WorkerError: The processes cannot be started.
    """

    def __init__(
        self,
        target: Any,
        *,
        devices: Sequence[str] = ("cpu",),
        preload: Sequence[str] = (),
        trial_timeout: float | None = None,
        stall_timeout: float | None = None,
    ) -> None:
        self._limits = Limits(trial_timeout, stall_timeout)
        self._waiting: list[Trial] = []
        self._losses: dict[Trial, int] = {}
        self._jobs = 0
        self._version = 0
        self._blob = b""
        self.retarget(target)
        self._slots = Slots(devices, preload)

    @property
    def most(self) -> int:
        """How many jobs run at a time at most."""
        return len(self._slots)

    @property
    def idle(self) -> int:
        """How many more jobs can be submitted now."""
        jobs = len(self._slots.working) + len(self._waiting)
        return max(0, len(self._slots) - jobs)

    @property
    def busy(self) -> int:
        """How many submitted trials have not been collected."""
        return sum(len(w.trials) for w in self._slots.working) + len(self._waiting)

    @property
    def curve(self) -> Sequence[CurvePoint]:
        """What the trial that has been running for longest has reported so far."""
        working = sorted(self._slots.working, key=lambda worker: worker.started)
        return tuple(working[0].curve) if working else ()

    @property
    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [worker.pid for worker in self._slots.workers]

    def retarget(self, target: Any, devices: Sequence[str] | None = None) -> None:
        """Have all jobs from now on answered by another target, on other devices if given.

        Raises:
            WorkerError: The target cannot be pickled.
        """
        self._blob = packed(target)
        self._version += 1
        if devices is not None:
            self._slots.move(devices)

    def shrink(self, count: int) -> None:
        """Have only the first so many slots take jobs from now on; the others end theirs."""
        self._slots.shrink(count)

    def share(self, shape: tuple[int, ...], dtype: str) -> tuple[SharedArray, NDArray[np.generic]]:
        """Return a new array of zeros that workers started from now on can open, and fill it here.

        Raises:
            StorageError: There is not that much room.
        """
        return self._slots.share(shape, dtype)

    def bequeath(self, folder: Path) -> None:
        """Have a `Scratch` folder removed after the last worker, even if this process is killed."""
        self._slots.bequeath(folder)

    @property
    def at_hand(self) -> set[Hashable]:
        """The kin of trials that idle workers had before."""
        return {kin for w in self._slots.workers if not w.trials for kin in w.had}

    def submit(self, *trials: Trial, kin: Hashable = None) -> None:
        """Start trials on an idle slot, several together as one job.

        Args:
            trials: One, or several that the target had better evaluate together.
            kin: Of the idle workers the one that last had a job of the same kin takes this one.

        Raises:
            ValueError: No slot is idle.
            WorkerError: No worker can be started, or its GPU is not one that we can see.
        """
        if self.idle < 1:
            raise ValueError("no worker is idle")
        self._start(trials, kin)

    def collect(self, timeout: float | None = None) -> list[tuple[Trial, Outcome]]:
        """Wait until a trial ends or ``timeout`` seconds have passed; return those that ended.

        Raises:
            StorageError: A worker could not write what it must.
            PopulationFileError: A worker found other weights than the population was made with.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        done: list[tuple[Trial, Outcome]] = []
        while not done and self.busy:
            working = {w.connection: w for w in self._slots.working}
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            for connection in wait(list(working), self._patience(left)):
                done += self._hear(working[connection])  # type: ignore[index]
            done += self._overdue()
            while self._waiting and not done and self._is_one_free:
                self._start((self._waiting.pop(),))
            if deadline is not None and time.monotonic() >= deadline:
                break
        return done

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the target in a worker and return what it returns.

        Raises:
            ValueError: No slot is idle.
            WorkerError: The worker died, or its GPU failed, and so did the next.
            Exception: Whatever the method raised.
        """
        if self.idle < 1:
            raise ValueError("no worker is idle")
        for chance in range(1 + _SECOND_CHANCES):
            worker = self._slots.idle_worker()
            try:
                worker.connection.send(self._job(worker, Job(None, (), method, args)))
                while not isinstance(message := worker.connection.recv(), Answer):
                    if isinstance(message, Farewell):
                        worker.farewell = message.reason
                break
            except (EOFError, OSError):
                death = self._slots.bury(worker)
                death = worker.farewell or death
                if chance == _SECOND_CHANCES:
                    raise WorkerError(f"a worker process died again: {_told(death)}") from None
        if message.error is not None:
            raise message.error
        return message.result

    def close(self) -> None:
        """Kill all workers, at once, and the nursery."""
        self._slots.close()

    @property
    def _is_one_free(self) -> bool:
        """Whether a slot has nothing to do, whoever waits for one."""
        return len(self._slots.working) < len(self._slots)

    def _job(self, worker: Worker, job: Job) -> Job:
        if worker.version == self._version:
            return job
        worker.version = self._version
        return replace(job, target=self._blob)

    def _start(self, trials: tuple[Trial, ...], kin: Hashable = None) -> None:
        worker = self._slots.idle_worker(kin)
        self._jobs += 1
        if kin is not None:
            worker.had[kin] = self._jobs
        worker.begin(trials)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # heard of as its death
            worker.connection.send(self._job(worker, Job(None, trials)))

    def _hear(self, worker: Worker) -> list[tuple[Trial, Outcome]]:
        trials = worker.trials
        assert trials
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            return self._lost(worker)
        except Exception as error:  # what was sent cannot be unpickled here
            message = Answer(error=error)
        worker.heard = time.monotonic()
        if isinstance(message, Progress):
            worker.hear(message.word)
            return []
        if isinstance(message, Farewell):
            worker.farewell = message.reason  # and then its connection ends
            return []
        worker.trials = ()
        if isinstance(message.error, EvoftError):
            raise message.error
        if message.error is not None and len(trials) > 1:
            self._each_alone(trials)
            return []
        for trial in trials:
            self._losses.pop(trial, None)
        reason = f"{type(message.error).__name__}: {message.error}"
        outcomes = message.outcomes or (Outcome(Status.FAILED, reason=reason),)
        return list(zip(trials, outcomes, strict=True))

    def _lost(self, worker: Worker) -> list[tuple[Trial, Outcome]]:
        death = self._slots.bury(worker)
        death = worker.farewell or death
        trials = worker.trials
        losses = self._losses.pop(trials[0], 0)
        if losses < _SECOND_CHANCES:
            self._each_alone(trials)
            return []
        return [(trials[0], worker.cut_off(Status.LOST, f"its worker died again: {death}"))]

    def _each_alone(self, trials: tuple[Trial, ...]) -> None:
        """Give each trial its second chance alone: whose fault it was shows, and costs it alone."""
        for trial in trials:
            self._losses[trial] = self._losses.get(trial, 0) + 1
        self._waiting += reversed(trials)

    def _patience(self, left: float | None) -> float | None:
        ends = [
            end - time.monotonic() for w in self._slots.working for end, _ in w.ends(self._limits)
        ]
        waits = [
            *ends,
            *([] if left is None else [left]),
            *([0.0] if self._waiting and self._is_one_free else []),
        ]
        return max(0.0, min(waits)) if waits else None

    def _overdue(self) -> list[tuple[Trial, Outcome]]:
        done = []
        now = time.monotonic()
        for worker in self._slots.working:
            if any(now >= end for end, _ in worker.ends(self._limits)):
                done += self._last_words(worker)
            reasons = [reason for end, reason in worker.ends(self._limits) if now >= end]
            if reasons and worker.trials and self._slots.lives(worker):
                self._slots.kill(worker)
                if len(worker.trials) > 1:
                    self._each_alone(worker.trials)
                    continue
                outcome = worker.cut_off(Status.TIMED_OUT, reasons[0])
                done.append((worker.trials[0], outcome))
        return done

    def _last_words(self, worker: Worker) -> list[tuple[Trial, Outcome]]:
        """Hear what a worker sent while we did other things, but not for ever."""
        done: list[tuple[Trial, Outcome]] = []
        for _ in range(_BACKLOG):
            if done or not self._slots.lives(worker) or not worker.connection.poll():
                break
            done += self._hear(worker)
        return done


def _told(death: str) -> str:
    """Return what a worker died of, and what to do where it can be known."""
    if signal.SIGKILL.name not in death:
        return death
    return f"{death}, as a system does that runs out of memory: free some, and try again"
