"""Freeze depth: which parameters belong to which layer group, and freezing the first of them.

Layer groups are timm's (``group_matcher``), counted from the stem, with the classifier apart: depth
0 trains everything, the number of groups trains the classifier alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from timm.models import group_parameters
from timm.optim import auto_group_layers
from torch import nn


def classifier_names(model: nn.Module) -> set[str]:
    """Return the names of the classifier's parameters, in the model's own naming."""
    heads = model.get_classifier()  # type: ignore[operator]
    modules = heads if isinstance(heads, tuple | list | nn.ModuleList) else [heads]
    mine = {id(p) for module in modules for p in module.parameters()}
    # VOLO's second one is told by this alone.
    told = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or ()
    roofs = tuple(f"{name}." for name in ([told] if isinstance(told, str) else told))
    return {
        name
        for name, parameter in model.named_parameters()
        if id(parameter) in mine or name.startswith(roofs)
    }


def layer_groups(model: nn.Module) -> list[list[str]]:
    """Return the names of the trunk's parameters, one list a layer group, from the stem on."""
    head = classifier_names(model)
    if hasattr(model, "group_matcher"):
        groups = group_parameters(model, model.group_matcher(coarse=False))  # type: ignore[operator]
    else:
        # timm's own way out for layer-wise decay: a dozen tensors a group, as they are registered.
        groups = defaultdict(list)
        for name, group in auto_group_layers(model).items():
            groups[group].append(name)
    trunk = ([name for name in groups[key] if name not in head] for key in sorted(groups))
    return [names for names in trunk if names]


def freeze(model: nn.Module, depth: int) -> None:
    """Freeze the first ``depth`` layer groups; their parameters get no gradients.

    Args:
        model: A timm model.
        depth: ``0 .. len(layer_groups(model))``.
    """
    frozen = {name for names in layer_groups(model)[:depth] for name in names}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def frozen_modules(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules all of whose parameters are frozen."""
    for child in model.children():
        parameters = list(child.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            yield child
        elif parameters:
            yield from frozen_modules(child)


def train_mode(model: nn.Module) -> None:
    """Put a model in training mode, with what is frozen in evaluation mode.

    So the statistics of a frozen batch norm do not move, and nothing random happens below the
    first layer that trains.
    """
    model.train()
    for module in frozen_modules(model):
        module.eval()


def trained_names(model: nn.Module) -> set[str]:
    """Return the state-dict names that fine-tuning may change: what is not frozen."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    still = {id(module) for module in frozen_modules(model)}
    for prefix, module in model.named_modules():
        if id(module) in still:
            frozen |= {f"{prefix}.{name}" for name in module.state_dict()}
    return set(model.state_dict()) - frozen
