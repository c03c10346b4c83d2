"""Gradients that are scaled down where their norm is large."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_norm_
from trials import CLEAN, trial

from evoft.outcome import Status
from evoft.settings import TrainingSettings
from evoft.training import loop
from evoft.training.heads.clipping import Clips
from evoft.training.heads.memory import Weights
from evoft.training.loop import fine_tune
from evoft.training.optimization import training_step
from evoft.training.precision import Precision

CPU = torch.device("cpu")


def stepped(clip, *, micro=None, scaled=False, l1=0.0):
    """Return by how much each parameter of a small network moves in a step of plain descent."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
    inputs, targets = torch.randn(8, 6), torch.eye(4)[torch.arange(8) % 4]
    before = [p.detach().clone() for p in model.parameters()]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10) if scaled else None
    training_step(
        model, torch.optim.SGD(model.parameters(), 1.0), inputs, targets, smoothing=0.0, l1=l1,
        clip=clip, micro=micro, precision=Precision(torch.float16, scaler) if scaled else None,
    )  # fmt: skip
    after = [p.detach() for p in model.parameters()]
    return [one - other for one, other in zip(before, after, strict=True)]


def norm_of(moves):
    return float(torch.cat([move.flatten() for move in moves]).norm())


@pytest.mark.parametrize("micro", [None, 3, 1])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("l1", [0.0, 0.1])
def test_the_whole_steps_gradient_has_that_norm_at_most(micro, scaled, l1):
    free = stepped(0.0, micro=micro, scaled=scaled, l1=l1)
    assert norm_of(free) > 0.11
    bound = stepped(0.1, micro=micro, scaled=scaled, l1=l1)
    assert norm_of(bound) == pytest.approx(0.1, rel=1e-4)
    scale = 0.1 / norm_of(free)
    for one, other in zip(bound, free, strict=True):
        torch.testing.assert_close(one, other * scale, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_smaller_gradient_stays_as_it_is_to_the_bit(scaled):
    free = stepped(0.0, scaled=scaled)
    assert all(map(torch.equal, stepped(2 * norm_of(free), scaled=scaled), free))


def test_a_step_that_scaling_took_beyond_what_is_finite_is_not_taken():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    before = model.weight.detach().clone()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    precision = Precision(torch.float16, scaler)
    training_step(
        model, torch.optim.SGD(model.parameters(), 1.0), torch.randn(5, 4),
        torch.eye(3)[torch.arange(5) % 3], smoothing=0.0, l1=0.0, clip=0.1, precision=precision,
    )  # fmt: skip
    assert torch.equal(model.weight, before)
    assert scaler.get_scale() < 2.0**120


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(2, 40), st.integers(1, 300), st.integers(0, 10**6))
def test_each_head_is_clipped_by_its_own_norm(heads, classes, features, seed):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.rand(heads, generator=generator) * 3
    matrices = torch.randn(heads, classes, features, generator=generator) * sizes[:, None, None]
    biases = torch.randn(heads, classes, generator=generator)
    weights = Weights.of(list(matrices), list(biases))
    weights.slopes.copy_(weights.values)
    norms = [0.0 if head % 3 == 2 else 0.5 * (head + 1) for head in range(heads)]
    clips = Clips.of(norms, CPU)
    together = weights.slopes.clone()
    clips.apply(together)
    for head, norm in enumerate(norms):
        if not norm:
            assert torch.equal(together[head], weights.slopes[head])
            continue
        alone = weights.slopes[head, None].clone()
        Clips.of([norm], CPU).apply(alone)
        assert torch.equal(alone[0], together[head])
        by_torch = [nn.Parameter(matrices[head]), nn.Parameter(biases[head])]
        for parameter in by_torch:
            parameter.grad = parameter.detach().clone()
        clip_grad_norm_(by_torch, norm)
        mine = weights.matrix(together)[head], weights.bias(together)[head]
        for got, parameter in zip(mine, by_torch, strict=True):
            torch.testing.assert_close(got, parameter.grad, rtol=1e-5, atol=1e-7)


def test_where_no_head_is_clipped_there_is_nothing_to_do():
    assert Clips.of([0.0, 0.0], CPU) is None


def test_what_is_not_finite_in_one_head_touches_no_other():
    slopes = torch.ones(3, 64)
    slopes[0], slopes[2, 5] = 1e30, float("nan")
    kept = slopes.clone()
    Clips.of([0.0, 1.0, 0.0], CPU).apply(slopes)
    assert torch.equal(slopes[0], kept[0])
    assert float(slopes[1].norm()) == pytest.approx(1.0)
    assert slopes[2].nan_to_num(7.0).equal(kept[2].nan_to_num(7.0))


@pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
def test_a_recipe_is_trained_by_it(make_tuner, space, tmp_path, depth):
    tuner = make_tuner(TrainingSettings(), tmp_path)
    genes = {**CLEAN, "freeze_depth": depth, "opt": "sgd", "momentum": 0.0, "lr": 0.05}
    free, loose, bound = (
        tuner.evaluate(trial(space, n, **genes, clip_grad=clip))
        for n, clip in enumerate((0.0, 9.0, 0.01))
    )
    assert all(outcome.status is Status.OK for outcome in (free, loose, bound))
    assert loose.curve == free.curve
    # Steps of 0.01 times the rate lead nowhere.
    assert bound.curve[-1].metrics["train_loss"] > free.curve[-1].metrics["train_loss"]


def test_micro_batches_after_memory_ran_out_are_clipped_together(make_tuner, space, monkeypatch):

    tuner = make_tuner(TrainingSettings())
    # Without batch norm in training mode, which sees the parts.
    asked = trial(space, **CLEAN, opt="sgd", lr=0.1, clip_grad=0.05)
    asked = replace(asked, genome=asked.genome.replace(freeze_depth=0.75))
    recipe = tuner.express(asked.genome)
    real = loop.training_step
    sizes = []

    def scarce(*arguments, micro, **rest):
        sizes.append(micro)
        if micro > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*arguments, micro=micro, **rest)

    monkeypatch.setattr(loop, "training_step", scarce)
    moved = []
    real_step = torch.optim.SGD.step

    def watched(self, *arguments):
        grads = [p.grad.flatten() for g in self.param_groups for p in g["params"]]
        moved.append(float(torch.cat(grads).norm()))
        return real_step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    model = tuner.start(recipe, 1)
    train, val = (
        tuner.commons.examples("embedded", "train"),
        tuner.commons.examples("embedded", "val"),
    )
    fine_tune(model, recipe, train, val, 1, report=lambda *_, **__: None)
    assert min(sizes) <= 3 < max(sizes)
    assert moved
    assert max(moved) == pytest.approx(0.05, rel=1e-3)
