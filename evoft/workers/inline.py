"""Evaluation in the caller's own process: no isolation, no limits, no cost."""

from __future__ import annotations

import time

from evoft.outcome import Outcome
from evoft.trial import Trial
from evoft.workers.evaluation import Target, evaluate


class InlineWorkers:
    """Evaluates each trial at once, here: for debugging, and for fitnesses of microseconds.

    Args:
        target: Answers the trials.
        together: Seconds for which further trials are taken before the first must be collected, so
            that short ones are recorded together and the disk is waited for once.
    """

    def __init__(self, target: Target, together: float = 0.0) -> None:
        self._target = target
        self._together = together
        self._begun = 0.0  # when the first was submitted of those to be collected
        self._done: list[tuple[Trial, Outcome]] = []

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now."""
        return 0 if self._done and time.monotonic() - self._begun >= self._together else 1

    @property
    def busy(self) -> int:
        """How many submitted trials have not been collected."""
        return len(self._done)

    def submit(self, trial: Trial) -> None:
        """Evaluate a trial."""
        if not self._done:
            self._begun = time.monotonic()
        self._done.append((trial, evaluate(self._target, trial, lambda _: None, alone=False)))

    def collect(self, timeout: float | None = None) -> list[tuple[Trial, Outcome]]:
        """Return what has been evaluated since the last call."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Do nothing: there is no process to end."""
