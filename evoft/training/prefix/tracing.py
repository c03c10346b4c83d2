"""Tracing a model to a torch.fx graph whose nodes know their values.

fx alone gives up where Python decides by a size.  Here every node is computed as soon as it is
traced, for two batches of different length: what is the same number in both becomes that number,
and only what grows with the batch stays symbolic.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers import DropPath, get_notrace_modules
from torch import Tensor, nn
from torch.fx import Graph, Node, Proxy, Tracer
from torch.fx.node import map_arg
from torch.fx.proxy import Attribute, TraceError
from torch.utils._pytree import tree_leaves

from evoft.errors import words_of
from evoft.training.freezing import train_mode
from evoft.training.streams import set_torch_state, torch_state

#: Lengths of the two batches.  One image alone would upset batch norm in training mode.
BATCHES = (2, 3)

#: What turns the content of a tensor into a number, on which Python may then decide.
_PEEKS = {"item", "tolist", "equal", "allclose", "is_nonzero", "numpy", "__contains__"}
#: Numbers and the like: not worth a node where they are the same in both batches.
_PLAIN = (int, float, bool, str, type(None), torch.memory_format)
#: What a node's ``meta`` is called: its values in both batches, and `Facts`.
VALUES, FACTS = "values", "facts"


@dataclass(frozen=True, slots=True)
class Facts:
    """What running a node showed."""

    #: It drew random numbers.
    random: bool
    #: It wrote into a parameter or a buffer.
    writes_state: bool
    #: Storages that it wrote into.
    written: frozenset[int]


class _Root(nn.Module):
    """The model with the image as its only argument; gives the names in the graph their roof."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Any:
        return self.model(images)


@dataclass(frozen=True, slots=True)
class Traced:
    """A graph of a model in one of its modes."""

    graph: Graph
    #: The copy that was traced, below the name ``model``, and the constants met on the way.
    root: nn.Module


def trace(model: nn.Module, example: Tensor, *, training: bool) -> Traced:
    """Trace a copy of a model; each node gets its values and `Facts` into its ``meta``.

    Args:
        model: With what is frozen marked by ``requires_grad``.
        example: ``(any, 3, height, width)``; only its shape, type and device count.
        training: In the mode of `train_mode`, else in evaluation mode.

    Raises:
        TraceError: It decides in Python by what an image shows, by the length of a batch, or at
            random.
        Exception: Whatever else its code raises when it meets a symbol.
    """
    copied = copy.deepcopy(model)
    train_mode(copied)  # some models forget what they have memorised only when training begins
    if not training:
        copied.eval()
    images = random_images(example, max(BATCHES))
    root = _Root(copied)
    tracer = _ValueTracer(root, [images[:length].clone() for length in BATCHES])
    before = torch_state(images.device)
    with torch.no_grad(), whole_floats():
        graph = tracer.trace(root)
    if not _same(before, torch_state(images.device)):
        raise TraceError("something random happens outside of the graph")
    return Traced(graph, root)


@contextlib.contextmanager
def whole_floats() -> Iterator[None]:
    """Have a GPU's convolutions compute in all bits of their floats for a while.

    That is for values that are compared with those of another batch.  Else they take ten bits for
    one length of the batch and not for another, as they see fit, and an image's values in one batch
    look unlike those in another.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def random_images(example: Tensor, count: int) -> Tensor:
    """Return ``count`` images of noise like the example, the same ones each time.

    They lie in memory as the example does: kernels may round otherwise in another order.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn((count, *example.shape[1:]), generator=generator)
    if not example.is_contiguous() and example.is_contiguous(memory_format=torch.channels_last):
        drawn = drawn.contiguous(memory_format=torch.channels_last)
    return drawn.to(example.device, example.dtype)


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors in a value, however deep they lie."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def storages(value: Any) -> frozenset[int]:
    """Return where the tensors in a value lie."""
    return frozenset(t.untyped_storage().data_ptr() for t in tensors(value))


class _ValueProxy(Proxy):
    """A symbol that answers with a number where all batches agree on it."""

    def __getattr__(self, k: str) -> Any:
        if k in ("shape", "ndim"):
            return self.tracer.create_proxy("call_function", getattr, (self, k), {})
        return _ValueAttribute(self, k)

    def __setitem__(self, place: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, place, value), {})

    def __len__(self) -> int:
        return int(_agreed(self, [len(v) for v in self.node.meta[VALUES]]))

    def __index__(self) -> int:
        return int(_agreed(self, self.node.meta[VALUES]))

    def __int__(self) -> int:
        return int(_agreed(self, self.node.meta[VALUES]))

    def __float__(self) -> float:
        return float(_agreed(self, self.node.meta[VALUES]))


class _ValueAttribute(Attribute, _ValueProxy):
    """An attribute or a method of a symbol."""


def _agreed(what: Proxy, values: list[Any]) -> Any:
    first = values[0]
    if any(isinstance(v, Tensor) for v in values):
        raise TraceError(f"a decision depends on the content of {what.node}")
    if any(v != first for v in values):
        raise TraceError(f"a decision depends on the length of the batch, by {what.node}")
    return first


class _ValueTracer(Tracer):
    """Computes what it traces."""

    def __init__(self, root: nn.Module, batches: list[Tensor]) -> None:
        super().__init__()
        state = {**dict(root.named_buffers()), **dict(root.named_parameters())}
        self._names = {id(tensor): name for name, tensor in state.items()}
        self._state = storages(list(state.values()))
        self._batches = batches
        self._leaves = (*get_notrace_modules(), DropPath)
        self._computing = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or isinstance(m, self._leaves)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self._computing:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        name = self._names.get(id(attr_val)) if isinstance(attr_val, Tensor) else None
        if self._computing or name is None:
            return attr_val
        if name not in parameter_proxy_cache:
            parameter_proxy_cache[name] = self.create_proxy("get_attr", name, (), {})
        return parameter_proxy_cache[name]

    def proxy(self, node: Node) -> Proxy:
        return _ValueProxy(node, self)

    def to_bool(self, obj: Proxy) -> bool:
        return bool(_agreed(obj, obj.node.meta[VALUES]))

    def iter(self, obj: Any) -> Iterator[Any]:
        return iter([obj[i] for i in range(len(obj))])

    def create_node(self, *args: Any, **kwargs: Any) -> Node:
        node = super().create_node(*args, **kwargs)
        if node.op != "output":
            self._compute(node)
        return node

    def create_proxy(self, *args: Any, **kwargs: Any) -> Any:
        made: Any = super().create_proxy(*args, **kwargs)
        node = made.node
        values = node.meta[VALUES]
        if isinstance(values[0], torch.Size):
            # One by one: most sides of a tensor are the same in each batch.
            return tuple(made[i] for i in range(len(values[0])))
        if isinstance(values[0], _PLAIN) and all(v == values[0] for v in values):
            return values[0]
        return made

    def _compute(self, node: Node) -> None:
        """Run a node once a batch, note its values and what else it did."""
        name = getattr(node.target, "__name__", node.target)
        if node.op in ("call_method", "call_function") and name in _PEEKS:
            raise TraceError(f"the model looks into a tensor by `{name}`")
        values: list[Any] = []
        facts = Facts(False, False, frozenset())
        self._computing = True
        try:
            for place, images in enumerate(self._batches):
                if node.op == "placeholder":
                    values.append(images)
                    continue
                value, seen = self._run(node, place)
                values.append(value)
                facts = seen if place == 0 else facts
        finally:
            self._computing = False
        node.meta[VALUES], node.meta[FACTS] = values, facts

    def _run(self, node: Node, place: int) -> tuple[Any, Facts]:
        args, kwargs = map_arg((node.args, node.kwargs), lambda n: n.meta[VALUES][place])
        state: list[Tensor] = []
        if node.op == "get_attr":
            return _fetch(self.root, str(node.target)), Facts(False, False, frozenset())
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            state = [*module.buffers(), *module.parameters()]
            function: Callable[..., Any] = module
        elif node.op == "call_method":
            function = getattr(args[0], str(node.target))
            args = args[1:]
        else:
            assert callable(node.target)
            function = node.target
        given = tensors((args, kwargs))
        if node.op == "call_method":
            given += tensors(function.__self__)  # type: ignore[attr-defined]
        versions = [t._version for t in itertools.chain(given, state)]
        before = torch_state(self._batches[0].device)
        value = function(*args, **kwargs)
        random = not _same(before, torch_state(self._batches[0].device))
        if random:
            set_torch_state(before, self._batches[0].device)
        touched = [
            t
            for t, version in zip(itertools.chain(given, state), versions, strict=True)
            if t._version != version
        ]
        written = storages(touched)
        return value, Facts(random, bool(written & self._state), written)


def _fetch(root: nn.Module, target: str) -> Any:
    value: Any = root
    for atom in target.split("."):
        value = getattr(value, atom)
    return value


def _same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def reason_of(error: Exception) -> str:
    """Return what made tracing impossible, on one line."""
    return f"{type(error).__name__}: {words_of(error, 160)}"
