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


#: ``(stage, individual, turn)``: tells every trial of a population from every other.  The turn is
#: the rung in the search, and counts the re-runs of a finalist.
TrialKey = tuple[Stage, int, int]


def unheard(epoch: float = 0.0, **metrics: float) -> None:
    """Stand in where nobody listens, as in a trial that was unpickled."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An individual's genome with a budget and a seed.

    A fitness function takes all chance from ``seed``, trains for ``epochs`` in all where there are
    any, and may ``report(epoch, loss=0.3)``.  ``stage``, ``individual`` and ``rung`` name what it
    saves; docs/library.md has the rest.
    """

    #: Id of the individual under trial.
    individual: int
    genome: Genome
    #: Seed of everything random in the evaluation, in ``[0, 2**63)``.
    seed: int
    stage: Stage = Stage.SEARCH
    #: Counts the re-runs of a finalist from 0; always 0 in the search.
    repeat: int = 0
    #: Counts the budgets at which the search judges the individual from 0, the smallest; always 0
    #: in a final run.
    rung: int = 0
    #: Epochs of training in all when it ends, those of the individual's lower rungs included;
    #: None: a full training, or one that has no epochs.
    epochs: float | None = None
    #: Counts what the search asked for, in the order in which it was decided; always 0 in a final
    #: run.
    number: int = 0
    #: In which generation the search asked for it; always 0 in a final run.
    generation: int = 0
    #: Called as ``report(epoch, loss=0.3, ...)`` it adds a point to the learning curve and tells
    #: the watchdog that the trial is alive.
    report: Callable[..., None] = field(default=unheard, compare=False, repr=False)
    #: Called where the training begins anew from its start: what was reported until then is taken
    #: back.
    begin_anew: Callable[[], None] = field(default=unheard, compare=False, repr=False)

    @property
    def key(self) -> TrialKey:
        """What tells this trial from every other of its population."""
        turn = self.rung if self.stage is Stage.SEARCH else self.repeat
        return (self.stage, self.individual, turn)

    def heard_by(self, report: Callable[..., None], begin_anew: Callable[[], None]) -> Trial:
        """Return it with someone who listens to its reports."""
        # What `replace` does, in a fraction of the time: every evaluation comes by here.
        return Trial(
            self.individual,
            self.genome,
            self.seed,
            self.stage,
            self.repeat,
            self.rung,
            self.epochs,
            self.number,
            self.generation,
            report,
            begin_anew,
        )
