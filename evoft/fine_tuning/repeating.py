"""A trial that is trained once more, for the weights that it leaves."""

from __future__ import annotations

from evoft.outcome import Outcome
from evoft.trial import Trial
from evoft.workers.local import LocalWorkers


def repeated(workers: LocalWorkers, trial: Trial) -> Outcome:
    """Return what comes of a trial that is trained from the start, to the bit the same on a CPU.

    Its checkpoint takes the place of what is there.

    Args:
        workers: With an idle one, of the run's target.
        trial: As it was recorded.
    """
    workers.submit(trial)
    while True:
        for _, outcome in workers.collect():
            return outcome
