"""A head that goes on from what a lower rung left: the same to the bit, in whatever company."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from trials import CLEAN, same_but_for_cost

from evoft.ladder import Ladder
from evoft.outcome import Status
from evoft.settings import TrainingSettings
from evoft.training.fine_tuner import checkpoint_path
from evoft.training.paused_folder import paused_path
from evoft.trial import Trial

#: Of 5 steps: the cool-downs begin within the first epoch, within the second, after the third.
LADDER = Ladder((0.8, 2.0, 4.0), cooldown=0.25)
CLIMBING = (
    {"opt": "adamw", "lr": 1e-2, "weight_decay": 0.2, "l1": 1e-3},
    {"opt": "sgd", "momentum": 0.9, "drop": 0.3, "sched": "linear"},
    {"opt": "rmsprop", "momentum": 0.5, "lr": 1e-3, "smoothing": 0.1, "warmup": 0.3},
    {"opt": "adam", "model_ema": 0.9, "drop": 0.5, "warmup": 0.3},
    {"mixup": 0.4, "cutmix": 0.5, "augment": 0.3, "hflip": 0.5, "warmup": 0.1},
    {"opt": "sgd", "lr": 0.1, "clip_grad": 0.2},
    {"opt": "sgd", "lr": 0.1, "class_weights": "balanced", "clip_grad": 0.2},
)


def asked(space, number, rung):
    """Return a trial, and where it is told from which epochs it was still alive."""
    steps = []

    def report(epoch, **metrics):
        if not metrics and epoch:
            steps.append(epoch)

    genome = space.complete(
        {
            "freeze_depth": 1.0,
            "batch_size": 8,
            **CLEAN,
            "sched": "cosine",
            **CLIMBING[number],
            "epochs": 4,
        }
    )
    epochs = LADDER.rungs[rung] if rung < LADDER.top else None
    return Trial(number, genome, 100 + number, rung=rung, epochs=epochs, report=report), steps


def weights_of(folder, trial):
    return load_file(checkpoint_path(folder, trial.key))


def tuner_in(make_tuner, folder):
    return make_tuner(TrainingSettings(epochs=4), folder, ladder=LADDER, paused=folder)


@pytest.fixture(scope="module")
def straight(make_tuner, space, tmp_path_factory):
    """Each trial of each rung trained from the start, alone: its outcome, and its weights."""
    folder = tmp_path_factory.mktemp("straight")
    tuner = make_tuner(TrainingSettings(epochs=4), folder, ladder=LADDER)
    found = {}
    for number in range(len(CLIMBING)):
        for rung in range(3):
            trial, steps = asked(space, number, rung)
            outcome = tuner.evaluate(trial)
            assert outcome.status is Status.OK
            found[trial.key] = outcome, weights_of(folder, trial), steps
    assert not list(folder.glob("*.paused"))
    return found


def same(straight, folder, trial, outcome):
    wanted, theirs, _ = straight[trial.key]
    ours = weights_of(folder, trial)
    assert same_but_for_cost(outcome, wanted)
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("number", range(7))
def test_alone(make_tuner, space, straight, tmp_path, number):
    tuner = tuner_in(make_tuner, tmp_path)
    for rung in range(3):
        trial, steps = asked(space, number, rung)
        assert same(straight, tmp_path, trial, tuner.evaluate(trial))
        _, _, all_steps = straight[trial.key]
        if rung:
            left = sum(step < steps[0] for step in all_steps)
            assert left > 0  # it did go on
            assert steps == all_steps[left:]


@pytest.mark.parametrize(
    "companies",
    [
        [[0, 1, 2, 3, 4]] * 3,
        [[5, 0, 6], [6, 1, 5], [0, 5, 6]],
        [[0, 1, 2], [3, 2, 0], [2, 4, 3]],  # some begin while others go on
        [[4], [4, 0, 3], [1, 3, 0, 4]],
    ],
)
def test_with_others_on_each_rung(make_tuner, space, straight, tmp_path, companies):
    tuner = tuner_in(make_tuner, tmp_path)
    for rung, company in enumerate(companies):
        trials = [asked(space, number, rung)[0] for number in company]
        outcomes = tuner.evaluate_together(trials)
        for trial, outcome in zip(trials, outcomes, strict=True):
            assert same(straight, tmp_path, trial, outcome), (rung, trial.individual)


def test_their_own_epochs_are_all_that_is_trained(make_tuner, space, tmp_path):
    """No step is taken below where the first of them was left."""
    tuner = tuner_in(make_tuner, tmp_path)
    low = [asked(space, number, 0)[0] for number in (2, 3)]
    tuner.evaluate_together(low)
    high = [asked(space, number, 1) for number in (2, 3)]
    tuner.evaluate_together([trial for trial, _ in high])
    (told,) = (steps for _, steps in high if steps)  # one speaks for all
    assert 3 / 5 == told[0] < told[-1] < 2


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_what_is_damaged_is_trained_again(make_tuner, space, straight, tmp_path, damage):
    tuner = tuner_in(make_tuner, tmp_path)
    tuner.evaluate_together([asked(space, number, 0)[0] for number in (0, 1)])
    path = paused_path(tmp_path, 0)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100])
    trials = [asked(space, number, 1)[0] for number in (0, 1)]
    for trial, outcome in zip(trials, tuner.evaluate_together(trials), strict=True):
        assert same(straight, tmp_path, trial, outcome)


def test_patience_begins_anew_and_leaves_nothing(make_tuner, space, tmp_path):
    tuner = tuner_in(make_tuner, tmp_path)
    trial, _ = asked(space, 0, 1)
    patient = replace(trial, genome=trial.genome.replace(patience=1))
    assert tuner.evaluate(patient).status is Status.OK
    lost = replace(trial, individual=7, genome=trial.genome.replace(lr=1e38, opt="sgd"))
    assert tuner.evaluate(lost).status is Status.DIVERGED
    assert not list(tmp_path.glob("*.paused"))
