"""The training loop: what becomes of recipes good and bad, and of data sets small and odd."""

import functools
import math
import operator
import re

import pytest
import torch
from safetensors.torch import load_file

from evoft.outcome import Status
from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training import loop
from evoft.training.examples import Examples
from evoft.training.fine_tuner import checkpoint_path
from evoft.training.judging import evaluate
from evoft.training.loop import fine_tune
from evoft.training.precision import Precision
from evoft.trial import Trial


@pytest.fixture(scope="module")
def tuner(make_tuner, tmp_path_factory):
    return make_tuner(TrainingSettings(epochs=2), tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def examples(tuner):
    return tuner.commons.examples("embedded", "train"), tuner.commons.examples("embedded", "val")


def recipe(**values):
    return Recipe(**{"model": "embedded", "epochs": 2, "batch_size": 8, **values})


def some(examples, count):
    places, labels = examples.places[:count], examples.labels[:count]
    return Examples(examples.pixels, places, labels, examples.mean, examples.std, examples.classes)


def train(tuner, examples, *, seed=3, reports=None, precision=None, **values):
    settings = recipe(**values)
    model = tuner.start(settings, seed)

    def report(epoch, **metrics):
        if reports is not None:
            reports.append((epoch, metrics))

    return model, fine_tune(model, settings, *examples, seed, report=report, precision=precision)


class TestGood:
    def test_the_curve_and_the_fitness(self, tuner, examples):
        reports = []
        model, trained = train(tuner, examples, epochs=3, reports=reports)
        outcome = trained.outcome
        assert outcome.status is Status.OK
        assert [point.epoch for point in outcome.curve] == [1.0, 2.0, 3.0]
        names = {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
        assert all(set(point.metrics) == names for point in outcome.curve)
        assert outcome.fitness == outcome.curve[-1].metrics["val_accuracy"]
        judged = evaluate(model, examples[1])
        assert outcome.fitness == judged["val_accuracy"]
        assert outcome.curve[-1].metrics["val_loss"] == judged["val_loss"]
        told = [(epoch, metrics) for epoch, metrics in reports if metrics]
        assert told == [(point.epoch, dict(point.metrics)) for point in outcome.curve]
        steps = [epoch for epoch, metrics in reports if not metrics]
        assert len(steps) == 3 * (40 // 8)  # a sign of life a step
        assert [epoch for epoch, _ in reports] == sorted(epoch for epoch, _ in reports)

    def test_it_learns(self, tuner, examples):
        _, trained = train(tuner, examples, epochs=12, lr=5e-3)
        first, last = trained.outcome.curve[0].metrics, trained.outcome.curve[-1].metrics
        assert last["train_loss"] < 0.5 * first["train_loss"]
        assert last["train_accuracy"] > 0.8
        assert trained.outcome.fitness > 0.3  # ten classes

    def test_the_rate_is_what_the_schedule_says(self, tuner, examples, monkeypatch):
        factors = []
        real = loop.set_rate
        monkeypatch.setattr(loop, "set_rate", lambda o, f: (factors.append(f), real(o, f)))
        train(tuner, examples, sched="linear", warmup=0.5)
        assert factors == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9, 0.9, 0.7, 0.5, 0.3, 0.1])

    def test_every_image_once_an_epoch_and_another_order_each(self, tuner, examples, monkeypatch):
        orders = []
        real = Examples.batch
        monkeypatch.setattr(Examples, "batch", lambda self, c: (orders.append(c), real(self, c))[1])
        train(tuner, examples)
        steps = [chosen.tolist() for chosen in orders if len(chosen) == 8]
        epochs = [
            functools.reduce(operator.iadd, steps[:5], []),
            functools.reduce(operator.iadd, steps[5:], []),
        ]
        assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(40))
        assert epochs[0] != epochs[1]


class TestDivergence:
    @pytest.mark.parametrize("opt", ["sgd", "adamw"])
    def test_it_is_a_status_with_the_curve_so_far(self, tuner, examples, opt):
        _, trained = train(tuner, examples, opt=opt, lr=1e30, epochs=5)
        outcome = trained.outcome
        assert outcome.status is Status.DIVERGED
        assert "not finite" in outcome.reason
        assert 1 <= len(outcome.curve) < 5
        assert outcome.score == -math.inf
        assert math.isnan(outcome.fitness)
        assert trained.state == {}

    def test_no_checkpoint_is_left(self, tuner, space):
        trial = Trial(77, space.complete({"opt": "sgd", "lr": 0.1, "head_lr_factor": 100.0,
                                          "l1": 1e-3, "momentum": 0.98}), 1)  # fmt: skip
        object.__setattr__(trial, "genome", trial.genome.replace(lr=1e30))
        assert tuner.evaluate(trial).status is Status.DIVERGED
        assert not checkpoint_path(tuner.checkpoints, trial.key).exists()


class TestEarlyStopping:
    def accuracies(self, monkeypatch, values):
        queue = list(values)
        monkeypatch.setattr(
            loop, "evaluate", lambda *of: {**evaluate(*of), "val_accuracy": queue.pop(0)}
        )

    def test_it_ends_early_and_gives_the_best_epochs_weights(self, tuner, examples, monkeypatch):
        self.accuracies(monkeypatch, [0.2, 0.5, 0.4, 0.5, 0.9])
        _, trained = train(tuner, examples, epochs=5, patience=2, sched="constant")
        assert len(trained.outcome.curve) == 4  # equal is no better
        assert trained.outcome.fitness == 0.5
        self.accuracies(monkeypatch, [0.2, 0.5])
        _, two = train(tuner, examples, epochs=2, patience=2, sched="constant")
        assert all(torch.equal(trained.state[name], two.state[name]) for name in two.state)

    def test_without_patience_the_last_epoch_counts(self, tuner, examples, monkeypatch):
        self.accuracies(monkeypatch, [0.9, 0.1, 0.2])
        model, trained = train(tuner, examples, epochs=3)
        assert trained.outcome.fitness == 0.2
        state = model.state_dict()
        assert all(torch.equal(state[name], kept) for name, kept in trained.state.items())

    def test_it_is_real(self, tuner, space):
        genome = space.complete({"epochs": 9, "patience": 1, "lr": 1e-5, "batch_size": 8})
        trial = Trial(78, genome, 1)
        outcome = tuner.evaluate(trial)
        accuracies = [point.metrics["val_accuracy"] for point in outcome.curve]
        assert len(accuracies) < 9
        assert outcome.fitness == max(accuracies)
        model = tuner.trained(genome, trial.key)
        assert (
            evaluate(model, tuner.commons.examples("embedded", "val"))["val_accuracy"]
            == outcome.fitness
        )


@pytest.fixture
def nonsense():
    """Memory that nobody has written to yet holds what is no number."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.parametrize("opt", ["sgd", "momentum", "nesterov", "lookahead_sgd", "adamw", "adam"])
def test_a_first_step_that_scaling_leaves_out_leaves_no_trace(tuner, examples, nonsense, opt):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    mixed = Precision(torch.float16, scaler)
    _, trained = train(tuner, examples, precision=mixed, opt=opt, momentum=0.9, lr=1e-4)
    assert scaler.get_scale() < 2.0**24  # at least one step was left out
    assert trained.outcome.status is Status.OK, trained.outcome.reason
    assert all(bool(value.isfinite().all()) for value in trained.state.values())


class TestOutOfMemory:
    def test_what_does_not_fit_at_all_is_infeasible_and_says_what_it_needed(
        self, tuner, space, monkeypatch
    ):
        sizes = []

        def step(*_, micro, **__):
            sizes.append(micro)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0")

        monkeypatch.setattr(loop, "training_step", step)
        outcome = tuner.evaluate(Trial(79, space.complete({"batch_size": 8}), 1))
        assert sizes == [8, 4, 2, 1]
        assert outcome.status is Status.INFEASIBLE
        assert outcome.score == -math.inf
        start = "not even one image at a time fits: it needs 20.00 GiB more beside "
        assert outcome.reason.startswith(start)
        assert re.search(r"beside \d+\.\d\d GiB in use, where the machine has \d+\.\d\d GiB left$",
                         outcome.reason)  # fmt: skip

    def test_the_same_effective_batch_goes_through_in_parts(self, tuner, examples, monkeypatch):
        sizes, steps = [], []
        real, model = loop.training_step, tuner.start(recipe(), 3)
        forward = type(model).forward

        def scarce(self, images):
            sizes.append(len(images))
            if self.training and len(images) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            if not self.training and len(images) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            return forward(self, images)

        monkeypatch.setattr(type(model), "forward", scarce)
        monkeypatch.setattr(
            loop, "training_step", lambda *a, **k: (steps.append(1), real(*a, **k))[1]
        )
        _, trained = train(tuner, examples, batch_size=8)
        assert trained.outcome.status is Status.OK
        # Two tries that fail, 8 and 4 images, then 2 at a time for good: 5 steps in 2 epochs.
        assert len(steps) == 2 + 10
        assert sizes[:6] == [8, 4, 2, 2, 2, 2]

    @pytest.mark.parametrize(
        "when",
        ["moments half made", "a later step half taken", "a step of a later epoch half taken"],
    )
    def test_a_step_that_is_half_taken_has_the_training_begin_anew_in_smaller_parts(
        self, tuner, examples, space, monkeypatch, when
    ):
        told = []
        genome = space.complete({"freeze_depth": 0.0, "batch_size": 8, "opt": "adamw"})
        trial = Trial(
            83, genome, 1, begin_anew=told.clear,
            report=lambda epoch, **metrics: told.append((epoch, metrics)) if metrics else None,
        )  # fmt: skip
        settings = tuner.express(genome)
        start, arguments = tuner.start(settings, 1), {"report": lambda *_, **__: None}
        wanted = fine_tune(start, settings, *examples, 1, **arguments, micro=4)
        calls, sizes = [], []
        if when == "moments half made":
            owner, name, short = torch, "zeros_like", 2  # the second moment of the first parameter
        else:
            owner, name = torch.optim.AdamW, "step"
            short = 3 if when == "a later step half taken" else 7  # of 5 an epoch
        real, real_step = getattr(owner, name), loop.training_step

        def scarce(*given, **named):
            done = real(*given, **named)
            calls.append(1)
            if len(calls) == short:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return done

        def step(*given, micro, **named):
            sizes.append(micro)
            return real_step(*given, micro=micro, **named)

        monkeypatch.setattr(owner, name, scarce)
        monkeypatch.setattr(loop, "training_step", step)
        outcome = tuner.evaluate(trial)
        assert len(calls) > short
        assert outcome.curve == wanted.outcome.curve
        assert told == [(point.epoch, dict(point.metrics)) for point in wanted.outcome.curve]
        state = load_file(checkpoint_path(tuner.checkpoints, trial.key))
        assert all(torch.equal(state[name], value) for name, value in wanted.state.items())
        assert sizes == [8] * (1 if owner is torch else short) + [4] * 10

    def test_an_optimizer_that_does_not_fit_beside_one_image_is_infeasible(
        self, tuner, space, monkeypatch
    ):
        def step(self):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr(torch.optim.SGD, "step", step)
        genome = space.complete({"freeze_depth": 0.0, "batch_size": 8, "opt": "sgd"})
        outcome = tuner.evaluate(Trial(84, genome, 1))
        assert outcome.status is Status.INFEASIBLE
        assert outcome.reason.startswith(
            "not even one image at a time fits: it needs 2.00 GiB more"
        )

    def test_an_allocation_that_fails_on_the_cpu_is_one(self, tuner, space, monkeypatch):
        monkeypatch.setattr(loop, "training_step", lambda *_, **__: torch.empty(2**58))
        outcome = tuner.evaluate(Trial(80, space.default(), 1))
        assert outcome.status is Status.INFEASIBLE
        assert "it needs 1073741824.00 GiB more" in outcome.reason
        assert "\n" not in outcome.reason

    @pytest.mark.parametrize(
        "words",
        [
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
            "FIND was unable to find an engine to execute this computation",
            "GET was unable to find an engine to execute this computation",
        ],
    )
    def test_what_libraries_cannot_allocate_is_one(self, tuner, space, monkeypatch, words):
        sizes = []

        def step(*_, micro, **__):
            sizes.append(micro)
            raise RuntimeError(words)

        monkeypatch.setattr(loop, "training_step", step)
        outcome = tuner.evaluate(Trial(82, space.complete({"batch_size": 8}), 1))
        assert sizes == [8, 4, 2, 1]
        assert outcome.status is Status.INFEASIBLE
        assert "it needs more memory beside" in outcome.reason

    def test_any_other_error_is_not(self, tuner, space, monkeypatch):
        monkeypatch.setattr(loop, "training_step", lambda *_, **__: torch.ones(2) @ torch.ones(3))
        with pytest.raises(RuntimeError, match="size"):
            tuner.evaluate(Trial(81, space.default(), 1))


class TestOddSizes:
    def test_a_batch_larger_than_the_data(self, tuner, examples):
        small = some(examples[0], 5)
        _, trained = train(tuner, (small, examples[1]), batch_size=128)
        assert trained.outcome.status is Status.OK
        _, same = train(tuner, (small, examples[1]), batch_size=5)
        assert trained.outcome.curve == same.outcome.curve

    @pytest.mark.parametrize(("count", "batch"), [(9, 8), (17, 8), (3, 2)])
    def test_a_remainder_of_one_image_meets_no_batch_norm(self, tuner, examples, count, batch):
        reports = []
        data = (some(examples[0], count), examples[1])
        _, trained = train(tuner, data, batch_size=batch, reports=reports)
        assert trained.outcome.status is Status.OK
        assert sum(not metrics for _, metrics in reports) == 2 * (count // batch)

    def test_mixing_and_augmenting_the_smallest_batch(self, tuner, examples):
        data = (some(examples[0], 2), some(examples[1], 1))
        loud = {"mixup": 0.4, "cutmix": 0.4, "augment": 1.0, "hflip": 0.5, "reprob": 0.5}
        _, trained = train(tuner, data, batch_size=2, **loud)
        assert trained.outcome.status is Status.OK
        assert trained.outcome.fitness in (0.0, 1.0)


def test_freezing_saves_the_statistics_too(tuner, space):
    trial = Trial(82, space.complete({"freeze_depth": 0.5}), 1)
    tuner.evaluate(trial)
    kept = load_file(checkpoint_path(tuner.checkpoints, trial.key))
    start = tuner.start(tuner.express(trial.genome), 1).state_dict()
    whole = tuner.trained(trial.genome, trial.key).state_dict()
    assert set(kept) < set(start)
    for name, tensor in whole.items():
        assert torch.equal(tensor, kept.get(name, start[name]))
