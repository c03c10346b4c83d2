"""Classes of unequal size: their weights in the loss, and a score to which each adds alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn.functional import cross_entropy
from trials import CLEAN, same_but_for_cost

from evoft.outcome import Status
from evoft.settings import TrainingSettings
from evoft.training.balance import balanced_accuracy, class_weights
from evoft.training.fine_tuner import FineTuner, checkpoint_path
from evoft.training.judging import predict
from evoft.training.optimization import training_step
from evoft.training.precision import Precision
from evoft.trial import Trial

#: Classes of which but one image is left to train on.
RARE = range(5)


@pytest.fixture
def make_uneven(make_tuner, tmp_path):
    """``make_uneven(name, **settings)``: a tuner of 5 rare classes and 5 that are not."""

    def make(name="a", **settings):
        tuner = make_tuner(TrainingSettings(**settings), tmp_path / name)
        pixels, train = tuner.pixels, tuner.pixels.splits["train"]
        labels = pixels.labels[train]
        extra = [place for rare in RARE for place in train[labels == rare][1:].tolist()]
        kept = train[[place not in extra for place in train.tolist()]]
        splits = {**pixels.splits, "train": kept}
        return replace(tuner, pixels=replace(pixels, splits=splits, fingerprint="uneven"))

    return make


def asked(space, number=1, **genes):
    head = {"freeze_depth": 1.0, "batch_size": 8, "epochs": 3, **CLEAN}
    return Trial(number, space.complete({**head, **genes}), 100 + number)


class TestScore:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.filterwarnings("ignore:y_pred contains classes")
    def test_it_is_that_of_scikit_learn(self, seed):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(7, (60,), generator=generator) ** 2 // 7
        told = torch.randint(6, (60,), generator=generator)
        wanted = balanced_accuracy_score(labels.numpy(), told.numpy())
        assert balanced_accuracy(told == labels, labels, 6) == pytest.approx(wanted, rel=1e-12)

    def test_a_class_without_images_does_not_count(self):
        labels = torch.tensor([0, 0, 0, 2])
        assert balanced_accuracy(torch.tensor([True, True, False, False]), labels, 4) == 1 / 3

    @pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
    def test_it_is_the_fitness_that_is_asked_for(self, make_uneven, space, depth):
        trial = asked(space, freeze_depth=depth, lr=1e-2)
        by_accuracy = make_uneven("a").evaluate(trial)
        tuner = make_uneven("b", metric="balanced_accuracy")
        outcome = tuner.evaluate(trial)
        last = outcome.curve[-1].metrics
        assert outcome.fitness == last["val_balanced_accuracy"]
        model = tuner.trained(trial.genome, trial.key)
        val = tuner.commons.examples("embedded", "val")
        told = predict(model, val).argmax(dim=1)
        wanted = balanced_accuracy_score(val.labels.numpy(), told.numpy())
        assert outcome.fitness == pytest.approx(wanted, rel=1e-12)
        # It judges, and changes nothing of what is trained.
        plain = [{k: v for k, v in p.metrics.items() if "balanced" not in k} for p in outcome.curve]
        assert plain == [p.metrics for p in by_accuracy.curve]
        assert outcome.fitness != by_accuracy.fitness == last["val_accuracy"]

    @pytest.mark.parametrize("depth", [0.5, 1.0])
    def test_patience_waits_for_it(self, make_uneven, space, depth):
        trial = asked(space, freeze_depth=depth, epochs=9, patience=2, lr=0.02)
        outcome = make_uneven(metric="balanced_accuracy").evaluate(trial)
        scores = [point.metrics["val_balanced_accuracy"] for point in outcome.curve]
        assert outcome.fitness == max(scores)
        assert len(scores) in {9, scores.index(max(scores)) + 3}


class TestWeights:
    def test_they_are_those_of_scikit_learn(self):
        labels = torch.tensor([0] * 7 + [1] * 2 + [2] * 21)
        wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
        weights = class_weights(labels, 3)
        assert weights.tolist() == pytest.approx(wanted.tolist(), rel=1e-6)
        assert float(weights[labels].mean()) == pytest.approx(1.0)

    @pytest.mark.parametrize("micro", [None, 3])
    @pytest.mark.parametrize("scaled", [False, True])
    def test_a_step_takes_the_slope_of_the_weighted_loss(self, micro, scaled):
        generator = torch.Generator().manual_seed(0)
        model, inputs = nn.Linear(6, 4), torch.randn(8, 6, generator=generator)
        weights = torch.tensor([0.5, 2.0, 1.0, 4.0])
        mixed = torch.rand(8, 4, generator=generator).softmax(dim=1)
        logits = model(inputs)
        smooth = 0.8 * mixed + 0.2 / 4
        by_hand = -(weights * smooth * logits.log_softmax(dim=1)).sum() / 8
        slope = torch.autograd.grad(by_hand, model.weight)[0]
        before = model.weight.detach().clone()
        scaler = torch.amp.GradScaler("cpu") if scaled else None
        precision = Precision(torch.float16, scaler) if scaled else None
        loss, _ = training_step(
            model, torch.optim.SGD(model.parameters(), 1.0), inputs, mixed, smoothing=0.2, l1=0.0,
            weights=weights, micro=micro, precision=precision,
        )  # fmt: skip
        close = 1e-2 if scaled else 1e-5
        assert float(loss) == pytest.approx(float(by_hand.detach()), rel=close)
        torch.testing.assert_close(before - model.weight.detach(), slope, rtol=close, atol=close)

    def test_for_whole_classes_it_is_torchs(self):
        logits, labels = torch.randn(9, 4), torch.randint(4, (9,))
        weights = class_weights(labels.clamp(max=1), 2)[labels.clamp(max=1)]
        model = nn.Identity()
        given = nn.Parameter(logits.clone())
        loss, _ = training_step(
            model, torch.optim.SGD([given], 0.0), given, torch.eye(4)[labels], smoothing=0.0,
            l1=0.0, weights=torch.tensor([weights[labels == c].sum() for c in range(4)]),
        )  # fmt: skip
        each = torch.tensor([weights[labels == c].sum() for c in range(4)])
        wanted = cross_entropy(logits, labels, weight=each, reduction="sum") / 9
        assert float(loss) == pytest.approx(float(wanted), rel=1e-5)

    @pytest.mark.parametrize(
        "genes", [{}, {"smoothing": 0.2}, {"mixup": 0.4}, {"cutmix": 1.0, "smoothing": 0.1},
                  {"l1": 1e-3, "opt": "sgd", "model_ema": 0.9}],
    )  # fmt: skip
    def test_a_head_trains_by_them_as_the_ordinary_way_does(
        self, make_uneven, space, monkeypatch, tmp_path, genes
    ):
        trial = asked(space, class_weights="balanced", lr=1e-2, **genes)
        here = make_uneven("heads")
        assert here.company(trial) is not None
        outcome = here.evaluate(trial)
        plain = here.evaluate(replace(trial, genome=trial.genome.replace(class_weights="none")))
        assert outcome.curve[0].metrics["train_loss"] != pytest.approx(
            plain.curve[0].metrics["train_loss"], rel=1e-3
        )
        here.evaluate(trial)
        monkeypatch.setattr(FineTuner, "company", lambda self, trial: None)
        ordinary = make_uneven("whole").evaluate(trial)
        for point, wanted in zip(outcome.curve, ordinary.curve, strict=True):
            assert point.metrics == pytest.approx(wanted.metrics, rel=2e-4, abs=2e-5)
        ours, theirs = (
            load_file(checkpoint_path(tmp_path / name, trial.key)) for name in ("heads", "whole")
        )
        for name, value in ours.items():
            torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4)

    def test_a_head_is_the_same_to_the_bit_whoever_trains_beside_it(self, make_uneven, space):
        genes = [
            {"class_weights": "balanced", "opt": "sgd", "smoothing": 0.1},
            {"opt": "adam", "lr": 1e-2},
            {"class_weights": "balanced", "mixup": 0.4, "drop": 0.3},
            {"opt": "rmsprop", "cutmix": 1.0},
            {"class_weights": "balanced", "opt": "adamw", "epochs": 4, "l1": 1e-4},
        ]
        trials = [asked(space, number, **some) for number, some in enumerate(genes)]
        tuner = make_uneven(metric="balanced_accuracy")
        alone = [tuner.evaluate(trial) for trial in trials]
        assert all(outcome.status is Status.OK for outcome in alone)
        for order in ([0, 1, 2, 3, 4], [4, 2, 0], [3, 0]):
            together = tuner.evaluate_together([trials[place] for place in order])
            for place, outcome in zip(order, together, strict=True):
                assert same_but_for_cost(outcome, alone[place])

    def test_rare_classes_are_found_more_often(self, make_uneven, space):
        def of_rare(weights):
            trial = asked(space, class_weights=weights, epochs=9, lr=5e-3)
            tuner = make_uneven(weights, metric="balanced_accuracy")
            tuner.evaluate(trial)
            val = tuner.commons.examples("embedded", "val")
            model = tuner.trained(trial.genome, trial.key)
            told = predict(model, val).argmax(dim=1)
            return int((told < len(RARE)).sum())

        assert of_rare("balanced") > of_rare("none")
