"""What became of a trial: its status, its learning curve, and what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: A fitness, or an objective, beyond this has diverged: squares of differences would be no numbers.
LARGEST = 1e150


class Status(StrEnum):
    """How a trial ended.  Failure is data: each is recorded, none stops the run."""

    OK = "ok"
    DIVERGED = "diverged"  #: the loss or the fitness was no finite number, or beyond 1e150
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
    #: What was reported on the way.
    curve: tuple[CurvePoint, ...] = field(default=(), repr=False)  # it would be a page
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
    def of_fitness(fitness: float, **measured: Any) -> Outcome:
        """Return the outcome of an evaluation that ended: ok, or diverged if not finite.

        Args:
            fitness: Higher is better.  Beyond 1e150, either way, it has diverged too.
            measured: Any of ``metrics``, ``curve``, ``seconds`` and ``peak_memory``.
        """
        number = float(fitness)
        if -LARGEST <= number <= LARGEST:
            return Outcome(Status.OK, number, **measured)
        wrong = "beyond 1e150" if math.isfinite(number) else "not a finite number"
        return Outcome(Status.DIVERGED, reason=f"the fitness is {fitness}, {wrong}", **measured)


def outcome_of(answer: object) -> Outcome:
    """Return the outcome that a trial's answer is or, where it is its fitness alone, means.

    All numbers in it are floats, as those of numpy need not be.

    Raises:
        TypeError: It is neither, or holds what cannot be kept: what, in one sentence.
    """
    if not isinstance(answer, Outcome):
        return Outcome.of_fitness(_number("the fitness", answer))
    if _is_plain(answer):
        return answer
    _check_kinds(answer)
    status, reason = answer.status, answer.reason
    fitness = _number("the fitness", answer.fitness)
    if status is Status.OK:
        judged = Outcome.of_fitness(fitness)
        status, fitness, reason = judged.status, judged.fitness, judged.reason or reason
    curve = tuple(
        CurvePoint(_number("an epoch", point.epoch), _numbers(point.metrics))
        for point in answer.curve
    )
    seconds = _number("`seconds`", answer.seconds)
    memory = int(_number("`peak_memory`", answer.peak_memory))
    return Outcome(status, fitness, reason, curve, _numbers(answer.metrics), seconds, memory)


def _is_plain(outcome: Outcome) -> bool:
    """Tell whether all is right with an outcome, at a glance: every evaluation comes by here."""
    return (
        type(outcome.status) is Status
        and type(outcome.reason) is str
        and type(outcome.fitness) is type(outcome.seconds) is float
        and type(outcome.peak_memory) is int
        and 0 <= outcome.peak_memory < 2**63
        and not (outcome.curve or outcome.metrics)
        and (outcome.status is not Status.OK or -LARGEST <= outcome.fitness <= LARGEST)
    )


def _check_kinds(outcome: Outcome) -> None:
    kinds = {
        "status": (Status, "a Status"),
        "reason": (str, "a text"),
        "metrics": (Mapping, "a dict"),
    }
    for name, (kind, words) in kinds.items():
        if not isinstance(value := getattr(outcome, name), kind):
            raise TypeError(f"the outcome's `{name}` must be {words}, but is {value!r:.80}")
    curve = outcome.curve
    if not isinstance(curve, Sequence) or not all(isinstance(p, CurvePoint) for p in curve):
        raise TypeError(f"the outcome's `curve` must be of CurvePoints, but is {curve!r:.80}")
    if not 0 <= _number("`peak_memory`", outcome.peak_memory) < 2**63:
        raise TypeError(f"`peak_memory` must be in [0, 2**63), but is {outcome.peak_memory}")


def _numbers(metrics: Mapping[str, object]) -> dict[str, float]:
    return {str(name): _number(f"the metric `{name}`", value) for name, value in metrics.items()}


def _number(what: str, value: object) -> float:
    """Return a number as a float, and a float as it is.

    Raises:
        TypeError: It is none, or an integer that no float can hold.
    """
    try:
        if isinstance(value, str | bytes):  # which float() would read as a number
            raise TypeError
        return value if isinstance(value, float) else float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise TypeError(f"{what} is a whole number that is too large for a float") from None
    except (TypeError, ValueError):
        wrong = f"{what} must be a number, but is {value!r:.80}"
    if isinstance(value, tuple):  # as DEAP has them
        wrong += ": further objectives are metrics, evoft.Outcome.of_fitness(fitness, metrics=...)"
    raise TypeError(wrong)
