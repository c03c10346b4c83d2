"""One evaluation, from a trial to an outcome: what it returned, raised, took and needed."""

from __future__ import annotations

import contextlib
import re
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, runtime_checkable

from evoft.errors import EvoftError, PopulationFileError, StorageError, words_of
from evoft.genome import Genome
from evoft.outcome import CurvePoint, Outcome, Status, outcome_of
from evoft.peak import forget_peak, peak_memory
from evoft.trial import Trial

#: How torch tells that a GPU failed.  After most such failures all that the process asks of the GPU
#: fails; that the rest do not costs a new process.
_BROKEN = re.compile(r"\b(CUDA|HIP) error\b|CUDNN_STATUS_EXECUTION_FAILED")
#: What fails in the same words for want of memory, and can go on.
_SHORT = re.compile(r"out of memory|ALLOC_FAILED")


class DeviceBrokenError(BaseException):
    """This process's GPU failed, and it must end; no `Exception`, for no trial can go on here."""


class Target(Protocol):
    """Whatever can answer a trial.  It is pickled once and sent to each worker."""

    def evaluate(self, trial: Trial) -> Outcome | float:
        """Return the trial's fitness, or its whole outcome; may raise."""
        ...


@runtime_checkable
class TogetherTarget(Target, Protocol):
    """A target that has a cheaper way for several trials than one after the other."""

    def evaluate_together(self, trials: Sequence[Trial]) -> Sequence[Outcome | float]:
        """Return what ``evaluate`` returns for each trial; what it raises is nobody's outcome."""
        ...


class FitnessTarget:
    """A target made of a user's fitness function."""

    def __init__(self, fitness: Callable[[Genome, Trial], Outcome | float]) -> None:
        self.fitness = fitness

    def evaluate(self, trial: Trial) -> Outcome | float:
        """Return what the fitness function returns."""
        return self.fitness(trial.genome, trial)


#: What a trial tells on its way: a point of its learning curve; ``anew``: what it told before is
#: taken back; None: it is alive.
Word = CurvePoint | Literal["anew"] | None
#: Called with each.
Listener = Callable[[Word], None]


def evaluate(target: Target, trial: Trial, listener: Listener, *, alone: bool = True) -> Outcome:
    """Return the outcome of ``trial``; what the target raises becomes a status.

    Args:
        target: Answers it.
        trial: The question.
        listener: Hears what the trial tells on its way.
        alone: Whether the process is there for trials alone: its memory is then the trial's, and is
            measured, which takes about 0.1 ms.

    Raises:
        StorageError: The disk did not take what the trial must keep.
        PopulationFileError: What the trial stands on is not what the population was made with.
        DeviceBrokenError: The process is there for trials alone, and its GPU can take no more.
    """
    heard, curve = _listened(trial, listener)
    if alone:
        forget_peak()
    start = time.perf_counter()
    try:
        outcome = _outcome(target.evaluate(heard))
    except (StorageError, PopulationFileError):
        raise  # not this trial's fault, and the next one would fare no better
    except MemoryError as error:
        outcome = Outcome(Status.OUT_OF_MEMORY, reason=tell(error))
    except (Exception, SystemExit) as error:
        if alone and _breaks_device(error):
            raise DeviceBrokenError(tell(error)) from error
        outcome = Outcome(Status.FAILED, reason=tell(error))
    seconds = time.perf_counter() - start
    return _measured(outcome, curve, seconds, peak_memory() if alone else 0)


def evaluate_all(
    target: Target, trials: Sequence[Trial], listener: Listener
) -> tuple[Outcome, ...]:
    """Return each trial's outcome: all in one go where the target can, else one after the other.

    Raises:
        StorageError: The disk did not take what a trial must keep.
        PopulationFileError: What the trials stand on is not what the population was made with.
        DeviceBrokenError: The process's GPU can take no more.
    """
    if len(trials) > 1 and isinstance(target, TogetherTarget):
        with contextlib.suppress(Exception, SystemExit):
            # Whatever it is, alone each trial meets its own failure and no other's.
            return _evaluate_together(target, trials, listener)
    return tuple(evaluate(target, trial, listener) for trial in trials)


def call(target: object, method: str, arguments: Sequence[object]) -> Any:
    """Call a method of the target, in a process that is there for it alone.

    Raises:
        DeviceBrokenError: The process's GPU can take no more.
        Exception: Whatever else the method raised.
    """
    try:
        return getattr(target, method)(*arguments)
    except EvoftError:
        raise
    except Exception as error:
        if _breaks_device(error):
            raise DeviceBrokenError(tell(error)) from error
        raise


def _evaluate_together(
    target: TogetherTarget, trials: Sequence[Trial], listener: Listener
) -> tuple[Outcome, ...]:
    heard = [_listened(trial, listener) for trial in trials]
    forget_peak()
    start = time.perf_counter()
    answers = target.evaluate_together([trial for trial, _ in heard])
    share = (time.perf_counter() - start) / len(trials)
    return tuple(
        _measured(_outcome(answer), curve, share, peak_memory())
        for answer, (_, curve) in zip(answers, heard, strict=True)
    )


def _listened(trial: Trial, listener: Listener) -> tuple[Trial, list[CurvePoint]]:
    """Return a trial whose reports are heard, and the curve that they make."""
    curve: list[CurvePoint] = []

    def report(epoch: float, **metrics: float) -> None:
        point = CurvePoint(float(epoch), {k: float(v) for k, v in metrics.items()})
        if metrics:
            curve.append(point)
        listener(point if metrics else None)

    def begin_anew() -> None:
        curve.clear()
        listener("anew")

    return trial.heard_by(report, begin_anew), curve


def _measured(
    outcome: Outcome, curve: Sequence[CurvePoint], seconds: float, memory: int
) -> Outcome:
    return Outcome(
        outcome.status,
        outcome.fitness,
        outcome.reason,
        outcome.curve or tuple(curve),
        outcome.metrics,
        seconds,
        outcome.peak_memory or memory,
    )


def _outcome(answer: object) -> Outcome:
    try:
        return outcome_of(answer)
    except TypeError as error:
        return Outcome(Status.FAILED, reason=str(error))


def tell(error: BaseException) -> str:
    """Return one sentence on an exception: its type, its words, and where it was raised."""
    places = [f"{Path(f.filename).name}, line {f.lineno}" for f in _frames(error.__traceback__)]
    where = f" ({', by way of '.join(places)})" if places else ""
    return f"{type(error).__name__}: {words_of(error):.300}{where}"


def _frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """Return where an exception was raised, and where in the user's own file that came from."""
    frames = traceback.extract_tb(trace)
    while frames and Path(frames[0].filename).parent == Path(__file__).parent:
        del frames[0]
    if not frames:
        return []
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    # Where `report` raised, it is for what it was called with.
    return (
        own[-1:] if frames[-1].filename in (__file__, own[-1].filename) else [frames[-1], own[-1]]
    )


def _breaks_device(error: BaseException | None) -> bool:
    """Tell whether a GPU failed, in this error or before it; what is short of memory did not."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        words = words_of(error)
        if _BROKEN.search(words) and not _SHORT.search(words):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
