"""One evaluation, in this process: whatever a fitness does becomes a status."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evoft.genome import Genome
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Stage, Trial
from evoft.workers.evaluation import DeviceBrokenError, FitnessTarget, evaluate, peak_memory
from evoft.workers.inline import InlineWorkers

TRIAL = Trial(3, Genome(x=2.0), seed=9)


def judged(fitness: Callable[[Genome, Trial], Any]) -> Outcome:
    return evaluate(FitnessTarget(fitness), TRIAL, lambda _: None)


def test_all_that_a_trial_and_an_outcome_say_stays_said() -> None:
    """Both are made anew field by field, so a field that comes later must not be forgotten."""
    asked = Trial(3, Genome(x=2.0), 9, Stage.FINAL, 1, 2, 4.0, 5, 6)
    told = Outcome(
        Status.FAILED, 0.5, "a reason", (CurvePoint(1.0, {"loss": 0.5}),), {"energy": 1.0}, 0.0, 7
    )
    for one in (asked, told):
        unset = {name for name in one.__dataclass_fields__ if not getattr(one, name)}
        assert unset <= {"seconds"}, "give every field a value here"
    heard: list[Trial] = []

    def fitness(genome: Genome, trial: Trial) -> Outcome:
        heard.append(trial)
        return told

    given = evaluate(FitnessTarget(fitness), asked, lambda _: None)
    assert heard == [asked]
    assert heard[0].report is not asked.report
    assert heard[0].begin_anew is not asked.begin_anew
    assert replace(given, seconds=told.seconds) == told
    assert given.seconds > 0


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def raising(error: BaseException) -> Callable[[Genome, Trial], float]:
    def fitness(genome: Genome, trial: Trial) -> float:
        raise error

    return fitness


@pytest.mark.parametrize("answer", [1.5, 2, True, np.float32(0.5), np.array([4.0])[0]])
def test_a_number_is_the_fitness(answer: Any) -> None:
    outcome = judged(lambda genome, trial: answer)
    assert (outcome.status, outcome.fitness) == (Status.OK, float(answer))
    assert type(outcome.fitness) is float
    assert outcome.reason == ""


@pytest.mark.parametrize("answer", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_is_not_finite_has_diverged(answer: float) -> None:
    outcome = judged(lambda genome, trial: answer)
    assert outcome.status is Status.DIVERGED
    assert outcome.reason == f"the fitness is {answer}, not a finite number"
    assert math.isnan(outcome.fitness)
    assert outcome.score == -math.inf


@pytest.mark.parametrize("answer", [None, "0.5", b"1", [1.0, 2.0], {}, 1j])
def test_what_is_no_number_has_failed(answer: Any) -> None:
    outcome = judged(lambda genome, trial: answer)
    assert outcome.status is Status.FAILED
    assert outcome.reason == f"the fitness must be a number, but is {answer!r}"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("no\n good"), Status.FAILED, "ValueError: no good (test_evaluation.py, line"),
        (ZeroDivisionError(), Status.FAILED, "ZeroDivisionError:  (test_evaluation.py, line"),
        (SystemExit(3), Status.FAILED, "SystemExit: 3 (test_evaluation.py, line"),
        (MemoryError("8 GB"), Status.OUT_OF_MEMORY, "MemoryError: 8 GB (test_evaluation.py, line"),
        (
            SpeechlessError(),
            Status.FAILED,
            "SpeechlessError: it has no words (test_evaluation.py, line",
        ),
        (RecursionError("deep"), Status.FAILED, "RecursionError: deep (test_evaluation.py"),
        (ValueError("x" * 9999), Status.FAILED, f"ValueError: {'x' * 300} (test_evaluation.py"),
    ],
)
def test_what_is_raised_is_told_in_one_sentence(
    error: BaseException, status: Status, reason: str
) -> None:
    outcome = judged(raising(error))
    assert outcome.status is status
    assert outcome.reason.startswith(reason)


def test_an_integer_too_large_for_a_float_has_failed() -> None:
    assert judged(lambda genome, trial: 10**400).status is Status.FAILED


def test_ctrl_c_is_no_outcome() -> None:
    with pytest.raises(KeyboardInterrupt):
        judged(raising(KeyboardInterrupt()))


def test_what_was_reported_is_the_learning_curve() -> None:
    heard: list[CurvePoint | None] = []

    def fitness(genome: Genome, trial: Trial) -> float:
        trial.report(1, loss=np.float32(0.5))
        trial.report(1.5)
        trial.report(2, loss=0.25, accuracy=1)
        raise ValueError("enough")

    outcome = evaluate(FitnessTarget(fitness), TRIAL, heard.append)
    first = CurvePoint(1.0, {"loss": 0.5})
    second = CurvePoint(2.0, {"loss": 0.25, "accuracy": 1.0})
    assert outcome.curve == (first, second)
    assert heard == [first, None, second]
    assert outcome.status is Status.FAILED


def test_what_was_reported_is_taken_back_where_the_training_begins_anew() -> None:
    heard: list[Any] = []

    def fitness(genome: Genome, trial: Trial) -> float:
        trial.report(1, loss=2.0)
        trial.begin_anew()
        trial.report(1, loss=0.5)
        raise ValueError("enough")

    outcome = evaluate(FitnessTarget(fitness), TRIAL, heard.append)
    assert outcome.curve == (CurvePoint(1.0, {"loss": 0.5}),)
    assert heard == [CurvePoint(1.0, {"loss": 2.0}), "anew", *outcome.curve]


def test_a_whole_outcome_is_kept_as_it_is() -> None:
    curve = (CurvePoint(1.0, {"loss": 1.0}),)
    given = Outcome(Status.INFEASIBLE, reason="too deep", curve=curve, metrics={"a": 1.0})

    class Target:
        def evaluate(self, trial: Trial) -> Outcome:
            return given

    outcome = evaluate(Target(), TRIAL, lambda _: None)
    assert (outcome.status, outcome.reason, outcome.curve) == (given.status, "too deep", curve)
    assert outcome.metrics == {"a": 1.0}
    assert outcome.peak_memory > 2**20


def test_the_peak_is_of_this_evaluation_and_not_of_one_before() -> None:
    def large(genome: Genome, trial: Trial) -> float:
        return float(np.ones(2**24).sum())  # 128 MiB

    high = judged(large).peak_memory
    low = judged(lambda genome, trial: 1.0).peak_memory
    assert high > low + 100 * 2**20
    assert peak_memory() >= low > 0


def test_inline_workers_take_one_trial_at_a_time() -> None:
    workers = InlineWorkers(FitnessTarget(lambda genome, trial: genome["x"] + trial.seed))
    assert (workers.idle, workers.busy) == (1, 0)
    workers.submit(TRIAL)
    assert (workers.idle, workers.busy) == (0, 1)
    ((trial, outcome),) = workers.collect()
    assert (trial, outcome.fitness) == (TRIAL, 11.0)
    assert (workers.idle, workers.busy) == (1, 0)
    assert workers.collect() == []
    workers.close()


def test_a_metric_that_is_no_number_is_a_failure_and_stops_nothing() -> None:
    for value in ("0.5", None, [1.0]):
        metrics: dict[str, Any] = {"latency": value}
        outcome = judged(lambda genome, trial, m=metrics: Outcome.of_fitness(1.0, metrics=m))
        assert outcome.status is Status.FAILED
        assert outcome.reason == f"the metric `latency` must be a number, but is {value!r}"


def test_several_fitnesses_are_told_how_to_be_several_objectives() -> None:
    outcome = judged(lambda genome, trial: (1.0, 2.0))
    assert outcome.status is Status.FAILED
    assert "is (1.0, 2.0): further objectives are metrics" in outcome.reason


def test_inline_workers_take_short_trials_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("evoft.workers.inline.time.monotonic", lambda: now[0])
    workers = InlineWorkers(FitnessTarget(lambda genome, trial: genome["x"]), together=1.0)
    for begins in (0.0, 0.5, 0.9):
        now[0] = begins
        assert workers.idle == 1
        workers.submit(TRIAL)
    assert (workers.idle, workers.busy) == (1, 3)
    now[0] = 1.0
    assert workers.idle == 0
    assert len(workers.collect()) == 3
    assert (workers.idle, workers.busy) == (1, 0)


def test_an_ok_outcome_without_a_finite_fitness_is_a_divergence():
    class Careless:
        def evaluate(self, trial: Trial) -> Outcome:
            return Outcome(Status.OK, math.nan, metrics={"kept": 1.0})

    outcome = evaluate(Careless(), Trial(0, Genome(x=1), 0), lambda point: None)
    assert outcome.status is Status.DIVERGED
    assert "nan" in outcome.reason
    assert outcome.metrics == {"kept": 1.0}


ASSERTED = RuntimeError(
    "CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`"
)


def after(error: BaseException, other: BaseException) -> BaseException:
    """Return what is raised while another error is handled."""
    try:
        try:
            raise error
        except BaseException:
            raise other  # noqa: B904
    except BaseException as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ASSERTED, "RuntimeError: CUDA error: device-side assert triggered Compile"),
        (RuntimeError("CUDA error: unspecified launch failure"), "unspecified launch failure"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling"), "CUBLAS"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "cuDNN"),
        (after(ASSERTED, ValueError("no metrics")), "ValueError: no metrics"),
        (after(ASSERTED, SpeechlessError()), "SpeechlessError: it has no words"),
    ],
)
def test_a_gpu_that_fails_ends_the_process(error: BaseException, words: str) -> None:
    with pytest.raises(DeviceBrokenError, match=words):
        judged(raising(error))
    # But not the caller's own.
    ((_, outcome),) = inline(raising(error))
    assert outcome.status is Status.FAILED
    assert words in outcome.reason


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 20.00 GiB",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "Expected all tensors to be on the same device, cuda:0 and cpu",
    ],
)
def test_a_gpu_that_is_short_of_memory_goes_on(words: str) -> None:
    outcome = judged(raising(RuntimeError(words)))
    assert outcome.status is Status.FAILED
    assert words in outcome.reason


def inline(fitness: Callable[[Genome, Trial], Any]) -> list[tuple[Trial, Outcome]]:
    workers = InlineWorkers(FitnessTarget(fitness))
    workers.submit(TRIAL)
    return workers.collect()


WRONG_OUTCOMES = [
    (Outcome("ok", 0.5), "the outcome's `status` must be a Status, but is 'ok'"),  # type: ignore[arg-type]
    (Outcome.of_fitness(0.5, reason=None), "the outcome's `reason` must be a text, but is None"),
    (Outcome.of_fitness(0.5, metrics=[1]), "the outcome's `metrics` must be a dict, but is [1]"),
    (Outcome.of_fitness(0.5, metrics={"a": 10**400}), "the metric `a` is a whole number that is"),
    (
        Outcome.of_fitness(0.5, curve=[(1, 2.0)]),
        "the outcome's `curve` must be of CurvePoints, but",
    ),
    (Outcome.of_fitness(0.5, seconds="1"), "`seconds` must be a number, but is '1'"),
    (Outcome.of_fitness(0.5, peak_memory=2**70), "`peak_memory` must be in [0, 2**63), but is 118"),
]


@pytest.mark.parametrize(("given", "words"), WRONG_OUTCOMES, ids=lambda one: str(one)[:40])
def test_an_outcome_that_could_not_be_kept_is_a_failure(given: Outcome, words: str) -> None:
    outcome = judged(lambda genome, trial: given)
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith(words)


@pytest.mark.parametrize("answer", [1e308, -sys.float_info.max, Outcome.of_fitness(1e151)])
def test_a_fitness_whose_square_is_no_number_has_diverged(answer: Any) -> None:
    outcome = judged(lambda genome, trial: answer)
    assert outcome.status is Status.DIVERGED
    assert outcome.reason.endswith(", beyond 1e150")


def test_numpys_numbers_in_an_outcome_become_plain_ones() -> None:
    curve = (CurvePoint(np.int64(1), {"loss": np.float32(0.5)}),)  # type: ignore[arg-type, dict-item]
    given = Outcome.of_fitness(
        np.float32(0.5), curve=curve, metrics={"size": np.int64(3)}, peak_memory=np.int64(7)
    )
    outcome = judged(lambda genome, trial: given)
    assert outcome.curve == (CurvePoint(1.0, {"loss": 0.5}),)
    assert outcome.metrics == {"size": 3.0}
    numbers = (outcome.fitness, outcome.metrics["size"], outcome.curve[0].epoch)
    assert {type(number) for number in (*numbers, outcome.curve[0].metrics["loss"])} == {float}
    assert (outcome.peak_memory, type(outcome.peak_memory)) == (7, int)


def test_it_is_told_where_in_ones_own_file_a_librarys_error_came_from() -> None:
    def inverse(genome: Genome, trial: Trial) -> Any:
        return np.linalg.inv(np.zeros((2, 2)))

    def silent(genome: Genome, trial: Trial) -> Any:
        trial.report(1, loss=None)

    first = inverse.__code__.co_firstlineno
    reason = judged(inverse).reason
    assert reason.startswith("LinAlgError: Singular matrix (_linalg.py, line ")
    assert reason.endswith(f", by way of test_evaluation.py, line {first + 1})")
    assert judged(silent).reason.endswith(f"(test_evaluation.py, line {first + 4})")
    assert judged(dict).reason.startswith("TypeError: dict expected at most 1 argument, got 2")  # type: ignore[arg-type]
