"""A trial: the question that a worker answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from evoft.genome import Genome


class Stage(StrEnum):
    """What a trial is for."""

    SEARCH = "search"  #: judges a new individual
    FINAL = "final"  #: runs a finalist again with a fresh seed


#: ``(stage, individual, repeat)``: tells every trial of a population from every other.
TrialKey = tuple[Stage, int, int]


def _unheard(epoch: float, **metrics: float) -> None:
    """Stand in for ``report`` where nobody listens, as in a trial that was unpickled."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An individual's genome with a seed."""

    #: Id of the individual under trial.
    individual: int
    genome: Genome
    #: Seed of everything random in the evaluation, in ``[0, 2**63)``.
    seed: int
    stage: Stage = Stage.SEARCH
    #: Counts the re-runs of a finalist from 0; always 0 in the search.
    repeat: int = 0
    #: Called as ``report(epoch, loss=0.3, ...)`` it adds a point to the learning curve and tells
    #: the watchdog that the trial is alive.
    report: Callable[..., None] = field(default=_unheard, compare=False, repr=False)

    @property
    def key(self) -> TrialKey:
        """What tells this trial from every other of its population."""
        return (self.stage, self.individual, self.repeat)
