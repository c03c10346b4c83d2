"""A trial that is trained once more, for the weights that it leaves."""

from __future__ import annotations

from collections.abc import Callable

from evoft.outcome import CurvePoint, Outcome
from evoft.trial import Trial
from evoft.workers.local import LocalWorkers

#: Seconds between two looks at what a trial has reported.
_LOOKS = 0.2


def repeated(
    workers: LocalWorkers, trial: Trial, told: Callable[[CurvePoint], None] | None = None
) -> Outcome:
    """Return what comes of a trial that is trained from the start, to the bit the same on a CPU.

    Its checkpoint takes the place of what is there.

    Args:
        workers: With an idle one, of the run's target.
        trial: As it was recorded.
        told: Told each point of its learning curve, soon after it was reported.
    """
    workers.submit(trial)
    done = 0.0
    while True:
        ended = workers.collect(None if told is None else _LOOKS)
        curve = ended[0][1].curve if ended else workers.curve
        for point in curve:
            if told is not None and point.epoch > done:
                told(point)
                done = point.epoch
        if ended:
            return ended[0][1]
