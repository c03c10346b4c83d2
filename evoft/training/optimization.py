"""What a recipe means to the optimizer: parameter groups, schedule, and one step."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import partial

import torch
from timm.optim import create_optimizer_v2, list_optimizers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from evoft.errors import SettingsError, words_of
from evoft.recipe import Recipe
from evoft.training.freezing import classifier_names, layer_groups
from evoft.training.memory import is_out_of_memory
from evoft.training.precision import Precision, autocast


def rate_scales(model: nn.Module, recipe: Recipe) -> dict[str, float]:
    """Return each parameter's learning rate as a multiple of ``lr``, by name.

    The last layer group of the trunk has 1, each one before it ``layer_decay`` times the next
    (Clark et al. 2020, ELECTRA, section 3.2), the classifier ``head_lr_factor``.
    """
    groups = layer_groups(model)
    scales = dict.fromkeys(classifier_names(model), recipe.head_lr_factor)
    for index, names in enumerate(groups):
        scale = recipe.layer_decay ** (len(groups) - 1 - index)
        scales |= dict.fromkeys(names, scale)
    return scales


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """Return the trainable parameters in groups of equal rate and decay.

    Vectors and biases are not decayed.
    """
    scales = rate_scales(model, recipe)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scales[name], decay), []).append(parameter)
    return [
        {"params": parameters, "lr": recipe.lr * scale, "peak": recipe.lr * scale,
         "weight_decay": decay}
        for (scale, decay), parameters in groups.items()
    ]  # fmt: skip


def make_optimizer(model: nn.Module, recipe: Recipe, *, scaled: bool = False) -> Optimizer:
    """Return timm's optimizer of that name over the model's trainable parameters.

    Args:
        model: What it trains.
        recipe: Which optimizer, and its rates.
        scaled: Whether gradients are scaled, so that steps may be left out.

    Raises:
        SettingsError: timm has no such optimizer, or it cannot be made here.
    """
    count = sum(parameter.requires_grad for parameter in model.parameters())
    try:
        optimizer: Optimizer = create_optimizer_v2(
            parameter_groups(model, recipe),
            opt=recipe.opt,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            **_plain(recipe),
            **_together(recipe.opt, count, scaled),
        )
    except Exception as error:
        raise _unusable(recipe.opt, error) from error
    return optimizer


#: timm's optimizers with Nesterov's momentum, which must be told to do without where it is 0.
_NESTEROV = frozenset(
    ["sgd", "sgdw", "sgdc", "csgdw", "csgdc", "nesterov", "nesterovw", "nlars", "nlarc"]
)


#: Torch's optimizers that take a step in one kernel a parameter group, on a CPU as on a GPU.
_FUSED = frozenset(["sgd", "momentum", "nesterov", "adam", "adamw"])
#: Those of them that cannot be told to leave out their first step: they make their momentum all the
#: same, and leave in it whatever was in that memory.
_UNSKIPPED = frozenset(["sgd", "momentum", "nesterov"])
#: Those that were faster on a CPU with one call for all tensors, where there are many.
_FOREACH = frozenset(["rmsprop", "lamb", "lion"])
_MANY = 8


def _plain(recipe: Recipe) -> dict[str, bool]:
    plain = recipe.momentum == 0 and _base(recipe.opt) in _NESTEROV
    return {"nesterov": False} if plain else {}


def _together(opt: str, count: int, scaled: bool = False) -> dict[str, bool]:
    """Return how ``count`` tensors are stepped together: see benchmarks/results/step.md."""
    if _base(opt) in _FUSED and not (scaled and _base(opt) in _UNSKIPPED):
        return {"fused": True}
    return {"foreach": True} if _base(opt) in _FOREACH and count > _MANY else {}


def _base(opt: str) -> str:
    return opt.lower().removeprefix("lookahead_")


def check_optimizer(opt: str) -> None:
    """Take a step with an optimizer on a weight of its own.

    Raises:
        SettingsError: timm has no such optimizer, or it takes no plain steps.
    """
    weight = nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones_like(weight)
    try:
        group = {"params": [weight], "lr": 1e-3, "weight_decay": 0.0}
        create_optimizer_v2([group], opt=opt, lr=1e-3, momentum=0.9, **_together(opt, 1)).step()
    except Exception as error:
        raise _unusable(opt, error) from error


def _unusable(opt: str, error: Exception) -> SettingsError:
    known = list_optimizers()
    near = [] if opt.lower() in known else difflib.get_close_matches(opt, known, 3)
    meant = f"; timm has {', '.join(near)}" if near else ""
    return SettingsError(
        f"the optimizer {opt!r} cannot be used here ({words_of(error, 160)}){meant}: "
        "`timm.optim.list_optimizers()` lists what timm has"
    )


def set_rate(optimizer: Optimizer, factor: float) -> None:
    """Set every group's learning rate to ``factor`` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def add_l1(parameters: Iterable[nn.Parameter], weight: float) -> None:
    """Add the subgradient of ``weight * sum(|w|)`` of matrices and kernels to their gradients."""
    matrices = [p for p in parameters if p.grad is not None and p.ndim > 1]
    if matrices:
        signs = torch._foreach_sign([p.detach() for p in matrices])
        gradients = [p.grad for p in matrices if p.grad is not None]
        torch._foreach_add_(gradients, signs, alpha=weight)


#: What goes into a network: images, or the values at the cut behind a frozen prefix.
Inputs = Tensor | tuple[Tensor, ...]


class HalfStepError(torch.OutOfMemoryError):
    """Memory ran out while an optimizer changed weights and moments: some have, some have not."""


def training_step(  # noqa: PLR0913  # each is a thing of its own
    model: nn.Module,
    optimizer: Optimizer,
    inputs: Inputs,
    targets: Tensor,
    *,
    smoothing: float,
    l1: float,
    weights: Tensor | None = None,
    clip: float = 0.0,
    micro: int | None = None,
    precision: Precision | None = None,
) -> tuple[Tensor, Tensor]:
    """Take one optimizer step.

    Args:
        model: In training mode.
        optimizer: Over the model's trainable parameters, its rates set.
        inputs: ``(batch, 3, height, width)``, normalised; or what a frozen prefix made of them.
        targets: ``(batch, classes)``, rows that sum to one.
        smoothing: Label smoothing, ``[0, 1)``.
        l1: Weight of the L1 penalty.
        weights: What each class weighs in the loss, ``(classes,)``; None: all 1.  The sum is still
            divided by the number of images, so that a batch counts by what it holds.
        clip: Norm that the gradients together, those of the L1 penalty included, are scaled down to
            where it is larger (Pascanu et al. 2013, algorithm 1); 0: never.
        micro: Most images that pass through the model at a time, the step being that of the whole
            batch (but for batch norm, which sees the parts); None: all of them.
        precision: Of mixed precision; None: float32 throughout.

    Returns:
        The mean loss, a scalar, and the logits ``(batch, classes)``, both detached.

    Raises:
        HalfStepError: Memory ran out in the midst of the step; where it did before, nothing that is
            trained has changed.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter in parameters:  # as ``zero_grad`` does, which takes longer to say so
        parameter.grad = None
    losses, parts = [], []
    count = len(targets)
    size = micro or count
    scaler = precision.scaler if precision else None
    for first in range(0, count, size):
        some, wanted = (inputs, targets) if size >= count else _part(inputs, targets, first, size)
        with autocast(targets.device, precision):
            logits = model(some)
            loss = cross_entropy(logits.float(), wanted, weight=weights, label_smoothing=smoothing)
            if size < count:
                loss = loss * (len(wanted) / count)
        scaled = loss if scaler is None else scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        parts.append(logits.detach())
    _take(optimizer, parameters, l1, clip, scaler)
    if len(losses) == 1:
        return losses[0], parts[0]
    return torch.stack(losses).sum(), torch.cat(parts)


def _take(
    optimizer: Optimizer,
    parameters: list[nn.Parameter],
    l1: float,
    clip: float,
    scaler: torch.amp.GradScaler | None,
) -> None:
    """Take the step that gradients ask for; none where scaling took them beyond what is finite."""
    if scaler is None:
        _amend(parameters, l1, clip)
        _change(optimizer.step)
        return
    scaler.unscale_(optimizer)
    try:
        _amend(parameters, l1, clip)
        _change(partial(scaler.step, optimizer))
    except RuntimeError:
        # It would refuse to unscale another try at this step.
        scaler.update(scaler.get_scale())
        raise
    scaler.update()


def _change(step: Callable[[], object]) -> None:
    """Take an optimizer's step; tell where memory ran out that it was here."""
    try:
        step()
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise HalfStepError(str(error)) from error
        raise


def _amend(parameters: list[nn.Parameter], l1: float, clip: float) -> None:
    """Add the L1 penalty's part to gradients, and clip what that gives."""
    if l1:
        add_l1(parameters, l1)
    if clip:
        clip_grad_norm_(parameters, clip)


def _part(inputs: Inputs, targets: Tensor, first: int, size: int) -> tuple[Inputs, Tensor]:
    part = slice(first, first + size)
    some = inputs[part] if isinstance(inputs, Tensor) else tuple(i[part] for i in inputs)
    return some, targets[part]
