"""Linear heads that train together: alone to the bit, the ordinary way but for rounding."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from evoft.outcome import Status
from evoft.settings import TrainingSettings
from evoft.training.fine_tuner import FineTuner, checkpoint_path
from evoft.trial import Trial

CLEAN = {"augment": 0.0, "hflip": 0.0, "reprob": 0.0, "mixup": 0.0, "cutmix": 0.0}
HEAD = {"freeze_depth": 1.0, "batch_size": 8, "epochs": 3, **CLEAN}

#: Heads that differ in all that may differ in one company.
COMPANY = [
    {"opt": "adamw", "lr": 1e-2, "weight_decay": 0.2, "l1": 1e-3},
    {"opt": "sgd", "momentum": 0.9, "drop": 0.3, "sched": "linear"},
    {"opt": "rmsprop", "momentum": 0.5, "lr": 1e-3, "epochs": 2, "smoothing": 0.1},
    {"opt": "adam", "model_ema": 0.9, "drop": 0.5, "warmup": 0.4, "weight_decay": 0.1},
    {"opt": "adamw", "epochs": 6, "patience": 1, "lr": 0.1},
    {"opt": "sgd", "momentum": 0.0, "lr": 0.1, "head_lr_factor": 3.0, "sched": "step"},
    {"opt": "rmsprop", "momentum": 0.0, "sched": "constant", "epochs": 4, "weight_decay": 0.01},
]


def asked(space, number, **genes):
    return Trial(number, space.complete({**HEAD, **genes}), 100 + number)


def whole_way(monkeypatch):
    """Make every trial go the ordinary way."""
    monkeypatch.setattr(FineTuner, "company", lambda self, trial: None)


def weights(folder, trial):
    return load_file(checkpoint_path(folder, trial.key))


def same(one, other):
    return replace(one, peak_memory=0) == replace(other, peak_memory=0)


@pytest.fixture(scope="module")
def alone(make_tuner, space, tmp_path_factory):
    """Trials of a company, their outcomes one by one, and where their weights are."""
    folder = tmp_path_factory.mktemp("alone")
    tuner = make_tuner(TrainingSettings(), folder)
    trials = [asked(space, number, **genes) for number, genes in enumerate(COMPANY)]
    return trials, [tuner.evaluate(trial) for trial in trials], folder


@pytest.mark.parametrize("order", [range(7), [6, 3, 0, 5, 1, 2, 4], [4, 2], [3, 3, 1]])
def test_a_head_is_the_same_to_the_bit_whoever_trains_beside_it(make_tuner, alone, tmp_path, order):
    trials, outcomes, folder = alone
    tuner = make_tuner(TrainingSettings(), tmp_path)
    together = tuner.evaluate_together([trials[place] for place in order])
    for place, outcome in zip(order, together, strict=True):
        assert outcome.status is Status.OK
        assert same(outcome, outcomes[place])
        ours, theirs = weights(tmp_path, trials[place]), weights(folder, trials[place])
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("genes", COMPANY)
def test_a_head_trains_as_the_ordinary_way_does(make_tuner, space, tmp_path, monkeypatch, genes):
    trial = asked(space, 1, **{**genes, "drop": 0.0})
    here = make_tuner(TrainingSettings(), tmp_path / "heads")
    assert here.company(trial) is not None
    outcome = here.evaluate(trial)
    whole_way(monkeypatch)
    ordinary = make_tuner(TrainingSettings(), tmp_path / "whole").evaluate(trial)
    assert len(outcome.curve) == len(ordinary.curve)
    for point, wanted in zip(outcome.curve, ordinary.curve, strict=True):
        assert point.epoch == wanted.epoch
        assert point.metrics == pytest.approx(wanted.metrics, rel=2e-4, abs=2e-5)
    assert outcome.fitness == ordinary.fitness
    ours, theirs = weights(tmp_path / "heads", trial), weights(tmp_path / "whole", trial)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4)
