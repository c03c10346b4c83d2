"""The frozen prefix: what lies before all that trains, split off to be computed once a data set.

A node of the model's graph can be shared when it shows the image and nothing trainable and nothing
random lies at or above it.  The prefix computes those that the rest needs, the suffix is the rest.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.proxy import TraceError
from torch.nn.functional import cross_entropy

from evoft.training.freezing import train_mode
from evoft.training.memory import is_out_of_memory
from evoft.training.prefix.carving import head, tail
from evoft.training.prefix.dataflow import Dataflow
from evoft.training.prefix.layouts import Layout
from evoft.training.prefix.parts import Bound, Part
from evoft.training.prefix.rounding import equal
from evoft.training.prefix.tracing import (
    BATCHES,
    VALUES,
    random_images,
    reason_of,
    trace,
    whole_floats,
)

#: Images in the batch that a split is checked with, unlike those that it was traced with; and where
#: memory runs out.  One alone would upset batch norm.
_CHECKED, _FEWEST = 5, 2


@dataclass(frozen=True, slots=True)
class Whole:
    """A model that is not split, and trains whole."""

    reason: str


class Suffix(nn.Module):
    """What follows the prefix: from what is kept to the logits.

    Its parameters are the model's own, and so is its mode: ``train()`` puts the model in
    `train_mode`, ``eval()`` in evaluation mode, and it follows where the model is put in one.
    """

    def __init__(self, model: nn.Module, training: Bound, evaluation: Bound) -> None:
        super().__init__()
        self._parts = nn.ModuleList([evaluation, training])
        # Not a submodule: the suffix has no parameters but those it uses.
        self._whole = (model,)
        self.training = model.training

    @property
    def model(self) -> nn.Module:
        """The model that the suffix belongs to."""
        (model,) = self._whole
        return model

    def train(self, mode: bool = True) -> Suffix:
        """Set the mode of the model that the suffix belongs to."""
        (model,) = self._whole
        if mode:
            train_mode(model)
        else:
            model.eval()
        self.training = mode
        return self

    def forward(self, kept: tuple[Tensor, ...]) -> Tensor:
        """Return the logits ``(batch, classes)``.

        Args:
            kept: For each value at the cut ``(batch, *shape)``, in the model's precision.
        """
        (model,) = self._whole
        logits: Tensor = self._parts[int(model.training)](*kept)
        return logits


@dataclass(frozen=True, slots=True)
class Plan:
    """A split that is not bound to a model's parameters."""

    #: What is kept for each image: the values at the cut.
    layouts: tuple[Layout, ...]
    #: Digest of how the kept values come from images and frozen weights, the same in each process.
    #: The weights' own values are not in it, nor the model's name.
    key: str
    #: Rates of dropout stand in the graph itself, not in the model's modules.
    rates_inside: bool
    before: Part
    training: Part
    evaluation: Part

    def bind(self, model: nn.Module) -> Split:
        """Return the split of a model; it must be built and frozen as the one that was planned for.

        Its dropout and stochastic depth may have other rates, unless one of the two is zero and the
        other is not, or ``rates_inside``.
        """
        suffix = Suffix(model, self.training.bind(model), self.evaluation.bind(model))
        return Split(self, model, self.before.bind(model), suffix)


@dataclass(frozen=True, slots=True)
class Split:
    """A model in two parts that are together what it is alone."""

    plan: Plan
    model: nn.Module
    _before: Bound
    #: From what is kept to the logits; trains the model's own parameters.
    suffix: Suffix

    @property
    def bytes_per_image(self) -> int:
        """What is kept for one image."""
        return sum(layout.bytes_per_image for layout in self.plan.layouts)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """What is kept for one image, for each value at the cut."""
        return tuple(layout.shape for layout in self.plan.layouts)

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """The types of what is kept."""
        return tuple(layout.dtype for layout in self.plan.layouts)

    def prefix(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what is kept of images, each ``(batch, *shape)``; leaves the model's mode alone.

        Args:
            images: ``(batch, 3, height, width)``, normalised, in the size and memory format of the
                example that the model was split with.
        """
        return kept_of(self._before, self.plan.layouts, images)


def kept_of(part: Bound, layouts: Sequence[Layout], *given: Tensor) -> tuple[Tensor, ...]:
    """Return what is kept of what a frozen part gives; leaves the model's mode alone.

    Args:
        part: Gives the values at a cut.
        layouts: How those are kept.
        given: What it starts from.
    """
    with _evaluating(part), torch.inference_mode():
        values = part(*given)
    # Copied outside of inference mode, whose tensors autograd refuses.
    return tuple(layout.keep(value) for layout, value in zip(layouts, values, strict=True))


def name_of_cut(keys: Sequence[str]) -> str:
    """Return the digest of a cut, given the nodes' keys: `Plan.key`."""
    return hashlib.sha256("".join(keys).encode()).hexdigest()


@contextlib.contextmanager
def _evaluating(part: nn.Module) -> Iterator[None]:
    """Put a part's modules in evaluation mode for a while."""
    modes = [(module, module.training) for module in part.modules()]
    try:
        part.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def split(model: nn.Module, depth: int, example: Tensor) -> Split | Whole:
    """Split a frozen model into what can be shared and what trains.

    Args:
        model: A timm model after ``freeze(model, depth)``; its mode and state are left alone.
        depth: Layer groups that are frozen.
        example: ``(any, 3, height, width)``: the shape, type, device and memory format of batches.

    Returns:
        The split, checked: one batch went both ways, in both modes, with the same logits, gradients
        and statistics (to the bit on a CPU, else to rounding).  Or why there is none.
    """
    if not depth:
        return Whole("nothing is frozen")
    plan = make_plan(model, example)
    if isinstance(plan, Whole):
        return plan
    if difference := _difference(model, plan, example):
        return Whole(f"its parts do not give what it gives whole: {difference}")
    return plan.bind(model)


def make_plan(model: nn.Module, example: Tensor) -> Plan | Whole:
    """Find where to split a frozen model, without checking that the parts do as the whole."""
    try:
        return _plan(model, example)
    except Exception as error:  # a model's own code meets symbols: anything may be raised
        if is_out_of_memory(error):  # which says nothing of the model
            raise
        return Whole(f"it cannot be traced ({reason_of(error)})")


def _plan(model: nn.Module, example: Tensor) -> Plan | Whole:
    traced = trace(model, example, training=True)
    flow = Dataflow(traced)
    cut = flow.cut()
    if not cut or all(node.op == "placeholder" for node in cut):
        return Whole("nothing of an image passes through frozen layers alone")
    layouts = tuple(Layout.of(node.meta[VALUES][0], BATCHES[0]) for node in cut)
    keys = flow.keys()
    wanted = [keys[node] for node in cut]
    rates_inside = flow.draws_inside()
    before = head(flow, cut, traced.root)
    training = tail(flow, cut, layouts, traced.root)
    del traced, flow, cut, keys  # its values are those of every layer

    traced = trace(model, example, training=False)
    flow = Dataflow(traced)
    found: dict[str, Node] = {}
    for node, key in flow.keys().items():
        found.setdefault(key, node)
    if any(key not in found for key in wanted):
        raise TraceError("in evaluation mode its frozen part is another")
    evaluation = tail(flow, [found[key] for key in wanted], layouts, traced.root)
    return Plan(layouts, name_of_cut(wanted), rates_inside, before, training, evaluation)


def _difference(model: nn.Module, plan: Plan, example: Tensor, count: int = _CHECKED) -> str:
    """Return in what the parts of a model differ from the whole; empty if in nothing."""
    try:
        with whole_floats():
            return _compared(model, plan, random_images(example, count))
    except Exception as error:  # what was traced may not run for another batch
        if not is_out_of_memory(error):
            return reason_of(error)
        if count == _FEWEST:
            raise
    # Outside of the handler, which keeps what was allocated alive.
    return _difference(model, plan, example, max(_FEWEST, count // 2))


def _compared(model: nn.Module, plan: Plan, images: Tensor) -> str:
    exact = images.device.type == "cpu"
    whole, parted = copy.deepcopy(model), copy.deepcopy(model)
    bound = plan.bind(parted)
    kept = bound.prefix(images)
    seen = [_step(whole, images, whole), _step(bound.suffix, kept, parted)]
    for name, value in seen[0].items():
        if not equal(value, seen[1].get(name), exact):
            return f"{name} in training"
    whole.eval()
    bound.suffix.eval()
    with torch.inference_mode():
        if not equal(whole(images), bound.suffix(kept), exact):
            return "logits in evaluation"
        if not equal(whole(images[:1]), bound.suffix(tuple(k[:1] for k in kept)), False):
            return "logits of a single image"
    return ""


def _step(what: nn.Module, given: Any, model: nn.Module) -> dict[str, Tensor | None]:
    """Return what a step of training makes: logits, gradients, statistics."""
    if what is model:
        train_mode(model)
    else:
        what.train()
    device = next(model.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        logits = what(given)
        targets = torch.arange(len(logits), device=logits.device) % logits.shape[1]
        cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]
    made = {f"the gradient of {name}": p.grad for name, p in model.named_parameters()}
    return {"logits": logits.detach(), **made, **model.state_dict()}
