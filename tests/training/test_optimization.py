"""Learning rates by layer, schedules, penalties, and whatever optimizer timm has."""

import copy

import pytest
import timm.optim
import torch
from torch import nn

from evoft.errors import SettingsError
from evoft.recipe import Recipe, takes_momentum
from evoft.settings import TrainingSettings
from evoft.training import optimization
from evoft.training.backbone import build
from evoft.training.freezing import classifier_names, freeze, layer_groups
from evoft.training.memory_format import laid_out
from evoft.training.optimization import (
    HalfStepError,
    add_l1,
    check_optimizer,
    make_optimizer,
    parameter_groups,
    rate_scales,
    set_rate,
    training_step,
)
from evoft.training.precision import Precision


def recipe(**values):
    return Recipe(**{"model": "test_resnet", "epochs": 4, **values})


@pytest.fixture
def model():
    torch.manual_seed(0)
    settings = TrainingSettings(models=("test_resnet",), pretrained=False)
    return build("test_resnet", settings, 3, pretrained=False)


def rates(optimizer):
    return {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}


class TestRates:
    def test_each_layer_group_has_its_share_and_the_classifier_its_factor(self, model):
        scales = rate_scales(model, recipe(layer_decay=0.5, head_lr_factor=10.0))
        groups = layer_groups(model)
        for index, names in enumerate(groups):
            expected = 0.5 ** (len(groups) - 1 - index)
            assert {scales[name] for name in names} == {expected}
        assert {scales[name] for name in classifier_names(model)} == {10.0}
        assert set(scales) == {name for name, _ in model.named_parameters()}

    def test_they_reach_the_optimizer(self, model):
        settings = recipe(lr=0.01, layer_decay=0.5, head_lr_factor=10.0, opt="sgd")
        optimizer = make_optimizer(model, settings)
        scales = rate_scales(model, settings)
        got = rates(optimizer)
        for name, parameter in model.named_parameters():
            assert got[id(parameter)] == pytest.approx(0.01 * scales[name])
        set_rate(optimizer, 0.25)
        for name, parameter in model.named_parameters():
            assert rates(optimizer)[id(parameter)] == pytest.approx(0.0025 * scales[name])
        set_rate(optimizer, 1.0)
        assert rates(optimizer) == got

    def test_what_is_frozen_is_not_handed_over(self, model):
        freeze(model, 2)
        given = {id(p) for group in parameter_groups(model, recipe()) for p in group["params"]}
        assert given == {id(p) for p in model.parameters() if p.requires_grad}

    def test_vectors_and_biases_are_not_decayed(self, model):
        for group in parameter_groups(model, recipe(weight_decay=0.3)):
            for parameter in group["params"]:
                assert group["weight_decay"] == (0.3 if parameter.ndim > 1 else 0.0)

    @pytest.mark.parametrize("opt", ["adamw", "sgd"])
    def test_decay_shrinks_matrices_only(self, model, opt):
        optimizer = make_optimizer(model, recipe(opt=opt, lr=0.1, weight_decay=0.3, momentum=0.0))
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        for name, parameter in model.named_parameters():
            expected = before[name] * (0.97 if parameter.ndim > 1 else 1.0)
            assert torch.allclose(parameter, expected)


class TestL1:
    def test_the_sign_of_matrices_is_added(self):
        matrix = nn.Parameter(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
        vector = nn.Parameter(torch.tensor([1.0, -1.0]))
        idle = nn.Parameter(torch.ones(2, 2))
        matrix.grad, vector.grad = torch.full((2, 2), 0.5), torch.zeros(2)
        add_l1([matrix, vector, idle], 0.1)
        assert torch.allclose(matrix.grad, torch.tensor([[0.6, 0.4], [0.5, 0.6]]))
        assert torch.equal(vector.grad, torch.zeros(2))
        assert idle.grad is None

    def test_it_is_the_gradient_of_the_penalty(self):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(3, 4))
        (0.3 * weight.abs().sum()).backward()
        by_torch, weight.grad = weight.grad, torch.zeros(3, 4)
        add_l1([weight], 0.3)
        assert torch.allclose(weight.grad, by_torch)

    def test_it_makes_weights_smaller(self, model):
        images = torch.rand(4, 3, 32, 32)
        targets = torch.eye(3)[torch.tensor([0, 1, 2, 0])]
        state = {n: t.clone() for n, t in model.state_dict().items()}
        norms = {}
        for l1 in (0.0, 0.1):
            model.load_state_dict(state)
            optimizer = make_optimizer(model.train(), recipe(opt="sgd", lr=0.01, momentum=0.0))
            training_step(model, optimizer, images, targets, smoothing=0.0, l1=l1)
            norms[l1] = sum(float(p.detach().abs().sum()) for p in model.parameters() if p.ndim > 1)
        assert norms[0.1] < norms[0.0]


def test_a_step_returns_the_loss_and_logits_of_before(model):
    images = torch.rand(4, 3, 32, 32)
    targets = torch.eye(3)[torch.tensor([0, 1, 2, 0])]
    optimizer = make_optimizer(model.train(), recipe(opt="sgd", lr=0.1))
    expected = model(images)
    loss, logits = training_step(model, optimizer, images, targets, smoothing=0.1, l1=0.0)
    smooth = 0.9 * targets + 0.1 / 3
    by_hand = -(smooth * expected.detach().log_softmax(1)).sum(1).mean()
    assert torch.allclose(logits, expected, atol=1e-5)
    assert float(loss) == pytest.approx(float(by_hand), abs=1e-5)
    assert not (loss.requires_grad)
    assert not (logits.requires_grad)


#: What a recipe may name without a library beside torch; the rest of timm's are refused clearly.
COMMON = ("sgd", "sgdw", "momentum", "nesterov", "adam", "adamw", "nadam", "radam", "adamax",
          "rmsprop", "rmsproptf", "adagrad", "adadelta", "lamb", "lars", "lion", "adafactor",
          "adabelief", "adan", "novograd", "madgrad", "muon", "lookahead_adamw")  # fmt: skip


@pytest.mark.parametrize("opt", COMMON)
def test_an_optimizer_of_timms_trains(model, opt):
    check_optimizer(opt)
    optimizer = make_optimizer(model.train(), recipe(opt=opt, lr=0.01, weight_decay=0.01))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    targets = torch.eye(3)[torch.tensor([0, 1, 2, 0])]
    for _ in range(2):
        set_rate(optimizer, 0.5)
        images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        training_step(model, optimizer, images, targets, smoothing=0.0, l1=1e-5)
    moved = [n for n, p in model.named_parameters() if not torch.equal(before[n], p)]
    assert set(classifier_names(model)) <= set(moved)
    assert all(bool(p.isfinite().all()) for p in model.parameters())


#: How each optimizer of the default space, and two more, steps many tensors.
TOGETHER = {"adamw": "fused", "adam": "fused", "sgd": "fused", "nesterov": "fused",
            "lookahead_adamw": "fused", "rmsprop": "foreach", "lamb": "foreach",
            "lion": "foreach"}  # fmt: skip


@pytest.mark.parametrize("opt", TOGETHER)
def test_tensors_stepped_together_go_where_each_goes_alone(model, opt, monkeypatch):
    laid_out(model)
    start = {n: t.clone() for n, t in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(p.shape, generator=generator) for p in model.parameters()]
    settings = recipe(opt=opt, lr=0.01, weight_decay=0.1, momentum=0.9, layer_decay=0.7)

    def trained():
        model.load_state_dict(start)
        optimizer = make_optimizer(model, settings)
        for step in range(1, 8):
            set_rate(optimizer, 1 / step)
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.grad = torch.empty_like(parameter).copy_(gradient * step)
            optimizer.step()
        weights = torch.cat([p.detach().flatten() for p in model.parameters()])
        return optimizer, weights

    optimizer, together = trained()
    assert optimizer.param_groups[0][TOGETHER[opt]] is True
    monkeypatch.setattr(optimization, "_together", lambda *_: {"foreach": False})
    optimizer, alone = trained()
    assert not optimizer.param_groups[0].get("fused")
    assert not optimizer.param_groups[0]["foreach"]
    moved = alone - torch.cat([start[n].flatten() for n, _ in model.named_parameters()])
    assert float(moved.abs().max()) > 1e-3
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_a_misspelt_name_is_told_with_those_that_are_near():
    with pytest.raises(SettingsError, match=r"'adamww' cannot be used here .*; timm has adamw, "):
        check_optimizer("adamww")


@pytest.mark.filterwarnings("ignore:It is highly recommended")
@pytest.mark.parametrize("opt", [o for o in timm.optim.list_optimizers() if "kron" not in o])
def test_every_name_of_timms_is_taken_or_refused_in_a_sentence(opt):
    try:
        check_optimizer(opt)
    except SettingsError as error:
        told = str(error)
    else:
        return
    assert f"the optimizer {opt!r} cannot be used here" in told
    assert opt not in COMMON


@pytest.mark.parametrize("opt", [o for o in timm.optim.list_optimizers() if "kron" not in o])
def test_momentum_counts_where_it_changes_the_steps(opt):
    weights = []
    for momentum in (0.0, 0.5, 0.9):
        layer = nn.Linear(4, 4, bias=False)
        nn.init.ones_(layer.weight)
        layer.get_classifier = lambda layer=layer: layer
        layer.group_matcher = lambda coarse=False: {}
        values = {"model": "m", "epochs": 1, "opt": opt, "lr": 0.01, "momentum": momentum}
        try:
            optimizer = make_optimizer(layer, Recipe.of(values, layer_groups=3))
            for scale in range(1, 5):
                layer.weight.grad = scale * torch.linspace(-1, 1, 16).reshape(4, 4)
                optimizer.step()
        except (SettingsError, RuntimeError):
            with pytest.raises(SettingsError):
                check_optimizer(opt)
            return
        weights.append(layer.weight.detach().clone())
    differ = not torch.equal(weights[1], weights[2])
    assert differ == takes_momentum(opt)
    assert all(bool(weight.isfinite().all()) for weight in weights)


@pytest.mark.parametrize("opt", ["nosuch", "", "adam w"])
def test_an_optimizer_that_timm_does_not_have(model, opt):
    for make in (lambda: check_optimizer(opt), lambda: make_optimizer(model, recipe(opt=opt))):
        with pytest.raises(SettingsError, match="list_optimizers") as caught:
            make()
        assert "\n" not in str(caught.value)


def test_a_step_in_parts_is_the_step_of_the_whole_batch():
    images, targets = torch.randn(10, 3, 8, 8), torch.eye(4)[torch.arange(10) % 4]
    made = []
    for micro in (None, 10, 4, 1):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss, logits = training_step(
            model, optimizer, images, targets, smoothing=0.1, l1=1e-3, micro=micro
        )
        made.append([loss, logits, *(p.detach() for p in model.parameters())])
    for parts in made[1:]:
        for whole, part in zip(made[0], parts, strict=True):
            torch.testing.assert_close(whole, part)


def scaled(scale=2.0**16):
    return Precision(torch.float16, torch.amp.GradScaler("cpu", init_scale=scale))


class TestMixedPrecision:
    """On a CPU, which has the same types and the same scaling."""

    @pytest.fixture
    def model(self):  # batch norm over few images would make much of rounding
        torch.manual_seed(0)
        settings = TrainingSettings(models=("test_vit",), pretrained=False, img_size=48)
        return build("test_vit", settings, 3, pretrained=False)

    def step(self, model, optimizer, precision, **values):
        given = {"smoothing": 0.1, "l1": 1e-3, **values}
        images = torch.rand(6, 3, 48, 48, generator=torch.Generator().manual_seed(1))
        targets = torch.eye(3)[torch.arange(6) % 3]
        return training_step(model, optimizer, images, targets, precision=precision, **given)

    def trained(self, model, precision, **values):
        """Return loss, logits and what each parameter moves by in a step of gradient descent."""
        model = copy.deepcopy(model).train()
        before = [p.detach().clone() for p in model.parameters()]
        optimizer = make_optimizer(model, recipe(opt="sgd", lr=1.0, momentum=0.0))
        loss, logits = self.step(model, optimizer, precision, **values)
        moves = [p.detach() - b for p, b in zip(model.parameters(), before, strict=True)]
        return loss, logits, torch.cat([move.flatten() for move in moves])

    @pytest.mark.parametrize("micro", [None, 3])
    @pytest.mark.parametrize("precision", [Precision(torch.bfloat16, None), scaled()])
    def test_a_step_is_that_of_full_precision_but_for_rounding(self, model, precision, micro):
        wanted_loss, _, wanted = self.trained(model, None, micro=micro)
        loss, logits, moved = self.trained(model, precision, micro=micro)
        assert (loss.dtype, logits.dtype, moved.dtype) == (
            torch.float32, precision.dtype, torch.float32,
        )  # fmt: skip
        assert float(loss) == pytest.approx(float(wanted_loss), rel=2e-2)
        assert float((moved - wanted).norm()) < 0.05 * float(wanted.norm())
        assert not torch.equal(moved, wanted)

    def test_scaling_leaves_no_trace_in_the_step(self, model):
        large, small = (self.trained(model, scaled(scale)) for scale in (2.0**16, 2.0**10))
        torch.testing.assert_close(large[2], small[2], rtol=1e-2, atol=1e-3)

    def test_a_step_beyond_what_is_finite_is_not_taken_and_the_scale_falls(self, model):
        precision = scaled(2.0**40)
        assert not self.trained(model, precision)[2].any()
        assert precision.scaler.get_scale() == 2.0**39

    @pytest.mark.parametrize("where", ["penalty", "step"])
    def test_memory_that_runs_out_after_unscaling_bars_no_other_try(
        self, model, monkeypatch, where
    ):
        _, _, wanted = self.trained(model, scaled())
        precision, short = scaled(), [torch.OutOfMemoryError("CUDA out of memory")]

        def failing(real):
            def act(*arguments, **named):
                if short:
                    raise short.pop()
                return real(*arguments, **named)

            return act

        if where == "penalty":
            monkeypatch.setattr(optimization, "add_l1", failing(add_l1))
        else:
            monkeypatch.setattr(torch.optim.SGD, "step", failing(torch.optim.SGD.step))
        model.train()
        before = [p.detach().clone() for p in model.parameters()]
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        with pytest.raises(torch.OutOfMemoryError) as told:
            self.step(model, optimizer, precision)
        assert isinstance(told.value, HalfStepError) == (where == "step")
        self.step(model, optimizer, precision)
        moves = [p.detach() - b for p, b in zip(model.parameters(), before, strict=True)]
        moved = torch.cat([move.flatten() for move in moves])
        torch.testing.assert_close(moved, wanted, rtol=1e-3, atol=1e-6)
        assert precision.scaler.get_scale() == 2.0**16
