"""A worker process as the pool sees it: what it is at, since when, and until when it may be."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Trial
from evoft.workers.evaluation import Word


@dataclass(frozen=True, slots=True)
class Limits:
    """How long trials may take."""

    #: Seconds that a trial may take, so many times more for as many together; None: no limit.
    trial_timeout: float | None
    #: Seconds without a sign of life after which a worker is taken for hung; None: no limit.
    stall_timeout: float | None


@dataclass(slots=True)
class Worker:
    """A living process and the job that it is at."""

    slot: int
    pid: int
    connection: Connection
    #: Which target the process has.
    version: int = -1
    trials: tuple[Trial, ...] = ()
    started: float = 0.0
    heard: float = 0.0
    #: Of a trial alone; what trials together tell of themselves comes with their outcomes.
    curve: list[CurvePoint] = field(default_factory=list)
    #: Why it ends, if it told.
    farewell: str = ""
    #: The kin of trials that it had, each with the number of the last job.
    had: dict[Hashable, int] = field(default_factory=dict)

    def begin(self, trials: tuple[Trial, ...]) -> None:
        """Note a job that begins now."""
        self.trials, self.curve = trials, []
        self.started = self.heard = time.monotonic()

    def hear(self, word: Word) -> None:
        """Note what its trial tells on the way."""
        if word == "anew":
            self.curve = []
        elif isinstance(word, CurvePoint) and len(self.trials) == 1:
            self.curve.append(word)

    def ends(self, limits: Limits) -> list[tuple[float, str]]:
        """Return until when it may go on, on the monotonic clock, and why not longer."""
        ends = []
        if limits.trial_timeout is not None:
            reason = f"it took longer than the limit of {limits.trial_timeout:g} s"
            ends.append((self.started + limits.trial_timeout * len(self.trials), reason))
        if limits.stall_timeout is not None:
            reason = f"it gave no sign of life for {limits.stall_timeout:g} s"
            ends.append((self.heard + limits.stall_timeout, reason))
        return ends

    def cut_off(self, status: Status, reason: str) -> Outcome:
        """Return the outcome of a trial that did not come to its end."""
        seconds = time.monotonic() - self.started
        return Outcome(status, reason=reason, curve=tuple(self.curve), seconds=seconds)
