"""Evaluation in the caller's own process: no isolation, no limits, no cost."""

from __future__ import annotations

from evoft.outcome import Outcome
from evoft.trial import Trial
from evoft.workers.evaluation import Target, evaluate


class InlineWorkers:
    """Evaluates each trial at once, here: for debugging, and for fitnesses of microseconds."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._done: list[tuple[Trial, Outcome]] = []

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now."""
        return 0 if self._done else 1

    @property
    def busy(self) -> int:
        """How many submitted trials have not been collected."""
        return len(self._done)

    def submit(self, trial: Trial) -> None:
        """Evaluate a trial."""
        self._done.append((trial, evaluate(self._target, trial, lambda _: None, alone=False)))

    def collect(self, timeout: float | None = None) -> list[tuple[Trial, Outcome]]:
        """Return what has been evaluated since the last call."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Do nothing: there is no process to end."""
