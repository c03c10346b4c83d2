"""Trainings that go on from what a lower rung left: the same to the bit, only sooner."""

import io
import os
import signal
from dataclasses import replace

import pytest
import timm.optim
import torch
from safetensors.torch import load_file
from torch import nn
from trials import shared_with

from evoft.ladder import Ladder
from evoft.outcome import Status
from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training.fine_tuner import checkpoint_path
from evoft.training.optimization import make_optimizer, set_rate
from evoft.training.paused_folder import paused_path
from evoft.training.precision import Precision
from evoft.training.schedule import _RESUMABLE, can_pause
from evoft.trial import Stage, Trial

#: Of 5 steps each: the cool-downs begin within the first epoch, within the second, and after the
#: third.
LADDER = Ladder((0.8, 2.0, 4.0), cooldown=0.25)
BUSY = {"batch_size": 8, "lr": 3e-3, "drop": 0.3, "drop_path": 0.2, "augment": 0.5, "reprob": 0.25}


@pytest.fixture
def climber(make_tuner, space, tmp_path):
    """``climber(name, **settings)``: a fine-tuner that leaves trainings in a folder of its own."""

    def make(name="climbing", fixed=None, **settings):
        folder, told = tmp_path / name, TrainingSettings(**{"epochs": 4, **settings})
        genes = space.pin(**(fixed or {}), **({"model": "one"} if "models" in settings else {}))
        return make_tuner(told, folder, genes.to_dict(), fixed, ladder=LADDER, paused=folder)

    return make


def asked(space, rung, *, individual=1, seed=5, **genes):
    """Return a trial that tells of its steps."""
    steps = []

    def report(epoch, **metrics):
        if not metrics and epoch:
            steps.append(epoch)

    genome = space.complete({**BUSY, "epochs": 4, **genes})
    epochs = LADDER.rungs[rung] if rung < LADDER.top else None
    trial = Trial(individual, genome, seed, rung=rung, epochs=epochs, report=report)
    return trial, steps


def judged(tuner, trial):
    outcome = tuner.evaluate(trial)
    assert outcome.status is Status.OK, outcome.reason
    return outcome, load_file(checkpoint_path(tuner.checkpoints, trial.key))


def same(one, other):
    (outcome, weights), (other_outcome, other_weights) = one, other
    assert outcome.curve == other_outcome.curve
    assert outcome.fitness == other_outcome.fitness
    assert weights.keys() == other_weights.keys()
    return all(torch.equal(weights[name], other_weights[name]) for name in weights)


@pytest.mark.parametrize(
    "genes",
    [
        {"opt": "adamw", "weight_decay": 0.1},
        {"opt": "adam", "l1": 1e-4},
        {"opt": "sgd", "momentum": 0.9, "lr": 0.03},
        {"opt": "rmsprop", "momentum": 0.5, "lr": 1e-3},
        {"model_ema": 0.9},
        {"opt": "sgd", "lr": 0.1, "clip_grad": 0.5, "class_weights": "balanced"},
        {"mixup": 0.4, "cutmix": 0.5, "smoothing": 0.1},
        {"freeze_depth": 0.5, "mixup": 0.2, "cutmix": 0.5, "hflip": 0.5},
        {"freeze_depth": 0.75, "model_ema": 0.8, "augment": 0.0, "reprob": 0.0},
        {"sched": "constant"},
        {"sched": "step", "warmup": 0.3},
    ],
    ids=lambda genes: "-".join(map(str, genes.values())),
)
def test_on_each_rung_it_is_as_if_trained_straight(climber, space, genes):
    climbing = climber()
    for rung in range(3):
        trial, steps = asked(space, rung, **genes)
        found = judged(climbing, trial)
        alone, all_steps = asked(space, rung, **genes)
        assert same(found, judged(climber(f"straight {rung}"), alone))
        if rung:
            assert len(steps) < len(all_steps)  # it did go on


@pytest.mark.parametrize("model", ["test_vit", "test_byobnet", "test_efficientnet"])
@pytest.mark.parametrize("depth", [0.0, 0.5])
def test_models_of_timm_go_on_too(climber, space, model, depth):
    settings = {"models": (model,), "pretrained": False}
    space = space.pin(model=model)
    climbing = climber(**settings)
    for rung in (0, 1):
        found = judged(climbing, asked(space, rung, freeze_depth=depth)[0])
    straight = climber("straight", **settings)
    assert same(found, judged(straight, asked(space, 1, freeze_depth=depth)[0]))


class Net(nn.Module):
    """A convolution, a norm and a classifier, with timm's two methods."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)
        self.to(memory_format=torch.channels_last)

    def forward(self, images):
        return self.head(self.norm(self.stem(images)).relu().mean(dim=(2, 3)))

    def get_classifier(self):
        return self.head

    def group_matcher(self, coarse=False):
        return {"stem": r"^stem", "norm": r"^norm"}


def steps(model, optimizer, numbers):
    for number in numbers:
        torch.manual_seed(number)
        optimizer.zero_grad()
        model(torch.randn(4, 3, 8, 8)).square().mean().backward()
        set_rate(optimizer, 1.0 - number / 20)
        optimizer.step()


@pytest.mark.parametrize("opt", sorted(_RESUMABLE))
def test_an_optimizer_goes_on_from_its_state(opt):
    recipe = Recipe("net", 1, opt=opt, lr=1e-2, weight_decay=0.1)
    straight, first, then = Net(), Net(), Net()
    steps(straight, make_optimizer(straight, recipe), range(12))
    optimizer = make_optimizer(first, recipe)
    steps(first, optimizer, range(5))
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    then.load_state_dict(first.state_dict())
    again = make_optimizer(then, recipe)
    again.load_state_dict(torch.load(buffer, weights_only=True))
    steps(then, again, range(5, 12))
    for name, tensor in straight.state_dict().items():
        assert torch.equal(tensor, then.state_dict()[name]), name


def test_other_optimizers_begin_anew(climber, space):
    assert not can_pause(Recipe("net", 1, opt="lookahead_adam"))
    assert set(timm.optim.list_optimizers()) > _RESUMABLE
    assert not can_pause(Recipe("net", 1, patience=2))
    climbing = climber(fixed={"opt": "lookahead_adam"})
    judged(climbing, asked(space.pin(opt="lookahead_adam"), 0)[0])
    assert not paused_path(climbing.checkpoints, 1).exists()


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not at all what it was"),
        lambda path: path.write_bytes(path.read_bytes()[:-1000]),
        flip,
    ],
    ids=["missing", "empty", "junk", "short", "flipped"],
)
def test_what_is_damaged_is_trained_again(climber, space, damage, caplog):
    climbing = climber()
    judged(climbing, asked(space, 0)[0])
    damage(paused_path(climbing.checkpoints, 1))
    with caplog.at_level("INFO", "evoft"):
        trial, steps = asked(space, 1)
        found = judged(climbing, trial)
    assert len(caplog.messages) <= 1
    alone, all_steps = asked(space, 1)
    assert same(found, judged(climber("straight"), alone))
    assert steps == all_steps


@pytest.mark.parametrize(
    ("settings", "genes", "seed"),
    [({}, {"lr": 1e-3}, 5), ({}, {}, 6), ({"views": 3}, {}, 5), ({"max_train_images": 39}, {}, 5)],
    ids=["recipe", "seed", "views", "images"],
)
def test_what_another_training_left_is_not_gone_on_from(climber, space, settings, genes, seed):
    genes, first = {"freeze_depth": 0.5, **genes}, climber(**settings)
    judged(first, asked(space, 0, seed=seed, **genes)[0])
    trial, steps = asked(space, 1, freeze_depth=0.5)
    found = judged(climber(), trial)
    alone, all_steps = asked(space, 1, freeze_depth=0.5)
    assert same(found, judged(climber("straight"), alone))
    assert steps == all_steps


@pytest.mark.parametrize("first", [torch.float16, torch.bfloat16])
def test_on_another_gpu_that_has_another_precision_it_begins_anew(
    climber, space, monkeypatch, first
):
    """On a CPU, which has the same types and the same scaling."""

    def have(dtype):
        def of(device, density):
            scales = dtype is torch.float16
            return Precision(dtype, torch.amp.GradScaler("cpu") if scales else None)

        monkeypatch.setattr(Precision, "of", of)

    (second,) = {torch.float16, torch.bfloat16} - {first}
    climbing = climber()
    have(first)
    judged(climbing, asked(space, 0)[0])
    have(second)
    trial, steps = asked(space, 1)
    found = judged(climbing, trial)
    alone, all_steps = asked(space, 1)
    assert same(found, judged(climber("straight"), alone))
    assert steps == all_steps
    trial, steps = asked(space, 2)  # and goes on where it is the same again
    judged(climbing, trial)
    assert min(steps) >= 0.8


def test_what_is_beyond_the_cool_down_is_not_gone_back_from(climber, space):
    climbing = climber()
    for rung in (0, 1):
        judged(climbing, asked(space, rung)[0])
    trial, steps = asked(space, 0)
    found = judged(climbing, trial)  # as when a lower rung is trained again
    alone, all_steps = asked(space, 0)
    assert same(found, judged(climber("straight"), alone))
    assert steps == all_steps


def test_nothing_is_left_at_the_top_in_finals_and_after_failure(climber, space):
    climbing = climber()
    trial, _ = asked(space, 2)
    judged(climbing, trial)
    final = Trial(1, trial.genome, 7, Stage.FINAL)
    outcome, _ = judged(climbing, final)
    assert outcome.curve[-1].epoch == 4.0
    lost, _ = asked(space, 0, individual=2)
    object.__setattr__(lost, "genome", lost.genome.replace(lr=1e30))
    assert climbing.evaluate(lost).status is Status.DIVERGED
    assert not list(climbing.checkpoints.glob("*.paused"))


def test_a_full_disk_costs_time_and_no_trial(climber, space, caplog, limited_files):
    climbing = climber()
    checkpoint = 900_000  # bytes, more than the embedded backbone's and less than its moments'
    with limited_files(checkpoint):
        found = [judged(climbing, asked(space, 0, individual=number)[0]) for number in (1, 2)]
    assert not list(climbing.checkpoints.glob("*.paused"))
    assert not list(climbing.checkpoints.glob(".*"))
    assert len([m for m in caplog.messages if "cannot be left" in m]) == 1
    assert same(found[0], judged(climber("straight"), asked(space, 0)[0]))


def test_the_checkpoint_says_how_it_was_trained(climber, space, tmp_path):
    from evoft.training.checkpoints import recipe_of

    climbing = climber()
    trial, _ = asked(space, 0, warmup=0.3)
    judged(climbing, trial)
    said = recipe_of(checkpoint_path(climbing.checkpoints, trial.key))
    assert said["epochs"] == 0.8
    assert said["cooldown"] == 0.25
    assert said["warmup"] == pytest.approx(0.5 * 0.75)  # half of the way to the cool-down


@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_worker_processes_go_on_from_one_anothers(climber, space, two_workers, killed):
    climbing = climber()
    two_workers.retarget(shared_with(two_workers, climbing))
    found = {}
    for rung in range(3):
        told = asked(space, rung)[0]
        trial = Trial(1, told.genome, told.seed, rung=rung, epochs=told.epochs)
        # Another trial takes the other worker, so that either may have what was left.
        two_workers.submit(replace(trial, individual=2 + rung, rung=0))
        two_workers.submit(trial)
        if killed:
            os.kill(two_workers.pids[rung % 2], signal.SIGKILL)
        while trial.key not in found or two_workers.busy:
            found |= {done.key: outcome for done, outcome in two_workers.collect()}
    straight = climber("straight")
    for rung in range(3):
        wanted, weights = judged(straight, asked(space, rung)[0])
        key = asked(space, rung)[0].key
        assert found[key].curve == wanted.curve
        ours = load_file(checkpoint_path(climbing.checkpoints, key))
        assert all(torch.equal(ours[name], weights[name]) for name in weights)
        paused_path(straight.checkpoints, 1).unlink(missing_ok=True)
