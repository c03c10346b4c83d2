"""What a worker process does: wait for a job, answer it, tell of its progress."""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from evoft.outcome import Outcome
from evoft.trial import Trial
from evoft.workers.evaluation import DeviceBrokenError, Word, call, evaluate_all, tell
from evoft.workers.heap import give_back

#: Least seconds between two mere signs of life.
_QUIET = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """What the parent sends: trials to evaluate, or a method of the target to call."""

    #: The pickled target, when the worker does not have this one yet.
    target: bytes | None
    trials: tuple[Trial, ...] = ()
    method: str = ""
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker sends while it evaluates."""

    word: Word


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker sends last: each trial's outcome, a method's result, or what it raised."""

    outcomes: tuple[Outcome, ...] = ()
    result: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Farewell:
    """What a worker sends last of all when it must end: why."""

    reason: str


class _Voice:
    """Sends progress to the parent, signs of life no more often than needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._spoke = 0.0

    def __call__(self, word: Word) -> None:
        now = time.monotonic()
        if word is not None or now - self._spoke > _QUIET:
            self._spoke = now
            self._connection.send(Progress(word))


def serve(connection: Connection) -> None:
    """Answer jobs until the parent closes the connection.

    Raises:
        DeviceBrokenError: A job left the GPU of no use to this process: another must go on.
        BaseException: A job raised what is no ``Exception`` and no ``SystemExit``.
    """
    target: Any = None
    voice = _Voice(connection)
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        try:
            if job.target is not None:
                target = pickle.loads(job.target)
            if job.trials:
                answer = Answer(outcomes=evaluate_all(target, job.trials, voice))
            else:
                answer = Answer(result=call(target, job.method, job.args))
        except DeviceBrokenError as error:
            connection.send(Farewell(str(error)))
            raise
        except Exception as error:
            answer = Answer(error=error)
        except BaseException as error:  # such as asyncio's CancelledError, or one of the user's own
            connection.send(Farewell(tell(error)))
            raise
        with contextlib.suppress(
            AttributeError, OSError, ValueError
        ):  # the worker will be killed, not ended
            sys.stdout.flush()
        try:
            connection.send(answer)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            connection.send(Answer(error=RuntimeError(f"{answer.error or answer!r:.200}: {error}")))
        give_back()
