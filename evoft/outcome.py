"""What became of a trial: its status, its learning curve, and what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """How a trial ended.  Failure is data: each is recorded, none stops the run."""

    OK = "ok"
    DIVERGED = "diverged"  #: the loss or the fitness was not a finite number
    OUT_OF_MEMORY = "out of memory"  #: the fitness function raised MemoryError
    TIMED_OUT = "timed out"  #: over the trial's limit, or no sign of life for too long
    LOST = "lost"  #: the worker process died under it, twice
    FAILED = "failed"  #: the fitness function raised
    INFEASIBLE = "infeasible"  #: it cannot be evaluated at all: not even one image fits in memory


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a learning curve."""

    #: Epochs trained when this was measured.
    epoch: float
    #: What was measured, by name: ``train_loss``, ``train_accuracy``, ``val_loss``,
    #: ``val_accuracy`` when evoft trains; any names for a fitness function of one's own.
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a trial."""

    status: Status
    #: Higher is better; NaN unless the status is ok.
    fitness: float = math.nan
    #: One sentence: why the status is what it is.  Empty when it is ok.
    reason: str = ""
    curve: tuple[CurvePoint, ...] = ()
    #: Numbers measured beside the fitness, by name.
    metrics: Mapping[str, float] = field(default_factory=dict)
    #: Wall time of the evaluation.
    seconds: float = 0.0
    #: Highest memory in use during the evaluation, in bytes: of the device when there is one,
    #: else of the process.  0 when it was not measured.
    peak_memory: int = 0

    @property
    def score(self) -> float:
        """The fitness as selection sees it: minus infinity for whatever did not end well.

        DEAP orders NaN above numbers, so NaN never reaches it (docs/design.md, rule 3).
        """
        good = self.status is Status.OK and math.isfinite(self.fitness)
        return self.fitness if good else -math.inf

    @staticmethod
    def of_fitness(fitness: float, **measured: object) -> Outcome:
        """Return the outcome of an evaluation that ended: ok, or diverged if not finite."""
        if math.isfinite(fitness):
            return Outcome(Status.OK, fitness, **measured)  # type: ignore[arg-type]
        reason = f"the fitness is {fitness}, not a finite number"
        return Outcome(Status.DIVERGED, reason=reason, **measured)  # type: ignore[arg-type]
