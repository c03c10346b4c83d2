"""Linear heads: telling whether all that a frozen model trains is one linear layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, nn
from torch.nn.functional import dropout, linear

from evoft.training.features.kept import Features
from evoft.training.freezing import trained_names
from evoft.training.prefix.split import Suffix

#: Vectors that the suffix is compared with a linear layer on, and how far off it may be.
_CHECKED, _ROUNDING = 7, 1e-4


@dataclass(frozen=True, slots=True)
class LinearHead:
    """What trains, where that is one linear layer behind one vector for each image."""

    #: Names of its weight and its bias in the model.
    names: tuple[str, str]
    #: Whether the recipe's dropout comes before it.
    drops: bool


def linear_head(features: Features, drop: float) -> LinearHead | None:
    """Return the linear head that is all of what a model trains; None where it trains otherwise.

    Args:
        features: Of the frozen model, which is left as it was.
        drop: Its recipe's dropout.
    """
    suffix, model = features.suffix, features.suffix.model
    head = model.get_classifier()  # type: ignore[operator]
    if not isinstance(head, nn.Linear) or head.bias is None:
        return None
    (value, *others) = features.values[0]
    if others or value.shape[1:] != (head.in_features,) or not value.is_floating_point():
        return None
    named = {id(parameter): name for name, parameter in model.named_parameters()}
    names = named[id(head.weight)], named[id(head.bias)]
    if trained_names(model) != set(names):
        return None
    with _with_random_weights(suffix, head):
        if not _is_linear(suffix, head, training=False, drop=0.0):
            return None
        if drop and _is_linear(suffix, head, training=True, drop=drop):
            return LinearHead(names, drops=True)
        return (
            LinearHead(names, False) if _is_linear(suffix, head, training=True, drop=0.0) else None
        )


@contextlib.contextmanager
def _with_random_weights(suffix: Suffix, head: nn.Linear) -> Iterator[None]:
    """Give the head random weights for a while, for its own may be zero, which tell nothing."""
    device = head.weight.device
    mode, values = suffix.training, [p.detach().clone() for p in head.parameters()]
    modes = [(module, module.training) for module in suffix.model.modules()]
    generator = Generator().manual_seed(0)
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            for parameter in head.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(head.parameters(), values, strict=True):
                parameter.copy_(value)
        suffix.training = mode
        for module, was in modes:
            module.training = was


def _is_linear(suffix: Suffix, head: nn.Linear, *, training: bool, drop: float) -> bool:
    """Tell whether a suffix gives what dropout and the head give, for random vectors."""
    generator = Generator().manual_seed(1)
    vectors = torch.randn(_CHECKED, head.in_features, generator=generator).to(head.weight)
    suffix.train(training)
    torch.manual_seed(0)
    logits = suffix((vectors,))
    torch.manual_seed(0)
    wanted = linear(dropout(vectors, drop, training), head.weight, head.bias)
    close = {"rtol": _ROUNDING, "atol": _ROUNDING * head.in_features**0.5}
    return logits.shape == wanted.shape and torch.allclose(logits.float(), wanted, **close)
