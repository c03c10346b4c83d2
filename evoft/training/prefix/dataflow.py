"""Where to cut a traced model: what is frozen, and the fewest bytes from which the rest follows."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node
from torch.fx.proxy import TraceError
from torch.nn import functional

from evoft.training.prefix.flow import INFINITE, Network, UnlimitedError
from evoft.training.prefix.rounding import equal
from evoft.training.prefix.tracing import BATCHES, FACTS, VALUES, Facts, Traced, storages, tensors

#: So cheap that doing it again in each step costs less than keeping its result.
_CHEAP_MODULES = (
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout),
    *(nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d),
)
_CHEAP_NAMES = """
    abs adaptive_avg_pool2d add avg_pool2d cat chunk clamp clone concat contiguous div dropout
    elu expand flatten gelu getattr getitem hard_mish hard_sigmoid hard_swish hardsigmoid
    hardswish hardtanh leaky_relu max_pool2d mean mish movedim mul narrow neg pad permute
    pixel_unshuffle pow quick_gelu relu relu6 reshape roll select selu sigmoid silu split sqrt
    square squeeze stack sub swapaxes swish t tanh to transpose truediv type type_as unbind
    unflatten unsqueeze view where
"""


class Dataflow:
    """What each node of a traced model depends on, and what of it can be shared."""

    def __init__(self, traced: Traced) -> None:
        self.graph: Graph = traced.graph
        self._root = traced.root
        self._order = {node: place for place, node in enumerate(self.graph.nodes)}
        self._writers: dict[Node, list[Node]] = {}
        self._all_writers = [n for n in self.graph.nodes if facts_of(n).written]
        self._live: set[Node] = set()
        self._seeing: set[Node] = set()
        self._follow()

    def _follow(self) -> None:
        """Go through the nodes as they run, and carry what is above each down to it."""
        writer: dict[int, Node] = {}
        for node in self.graph.nodes:
            inputs = [n for n in node.all_input_nodes if not is_number(n)]
            # What was written into since it was made depends on who wrote.
            writers = {
                writer[storage]
                for n in inputs
                for storage in storages(n.meta[VALUES][0])
                if storage in writer and self._order[writer[storage]] > self._order[n]
            }
            self._writers[node] = sorted(writers, key=self._order.__getitem__)
            for storage in facts_of(node).written:
                writer[storage] = node
            if node.op == "output" or is_number(node):
                continue
            above = self.above(node)
            if self._trains(node) or any(n in self._live for n in above):
                self._live.add(node)
            if node.op == "placeholder" or any(n in self._seeing for n in above):
                self._seeing.add(node)

    def above(self, node: Node) -> list[Node]:
        """Return the nodes that a node directly depends on, numbers apart."""
        inputs = [n for n in node.all_input_nodes if not is_number(n)]
        return list(dict.fromkeys([*inputs, *self._writers[node]]))

    def effects(self) -> list[Node]:
        """Return what must run: the output, and what writes into the model's state."""
        return [n for n in self.graph.nodes if n.op == "output" or facts_of(n).writes_state]

    def draws_inside(self) -> bool:
        """Whether functions draw random numbers at rates other than the model's ``drop_rate``."""
        rate = drop_rate_of(self._root.get_submodule("model"))
        drawing = (n for n in self.graph.nodes if facts_of(n).random)
        return any(n.op != "call_module" and not drops_by_model(n, rate) for n in drawing)

    def _trains(self, node: Node) -> bool:
        """Whether a node by itself is trainable, random, or looks beyond a single image."""
        facts = facts_of(node)
        if facts.random or facts.writes_state:
            return True
        if node.op == "get_attr":
            value = node.meta[VALUES][0]
            return isinstance(value, Tensor) and value.requires_grad
        if node.op == "call_module":
            module = self._root.get_submodule(str(node.target))
            return any(p.requires_grad for p in module.parameters()) or any(
                isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training
                for m in module.modules()
            )
        if _name(node) in ("batch_norm", "instance_norm") and node.op == "call_function":
            batched = any(n in self._seeing for n in node.all_input_nodes)
            return batched and (node.args + tuple(node.kwargs.values())).count(True) > 0
        return False

    def shareable(self, node: Node) -> bool:
        """Whether a node shows the image, through nothing that trains or is random."""
        return node in self._seeing and node not in self._live

    def needed(self) -> list[Node]:
        """Return the shareable nodes that what cannot be shared depends on."""
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        todo = self.effects()
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            for other in self.above(node):
                if self.shareable(other):
                    found[other] = None
                elif other in self._live:
                    todo.append(other)
        return list(found)

    def bytes_per_image(self, node: Node) -> int:
        """Return what a node's value takes, for each image; infinite if it cannot be kept so."""
        first, second = node.meta[VALUES]
        if not isinstance(first, Tensor) or not isinstance(second, Tensor) or not first.ndim:
            return INFINITE
        rows, left = divmod(len(first), BATCHES[0])
        if left or len(second) != rows * BATCHES[1] or first.shape[1:] != second.shape[1:]:
            return INFINITE
        if self._rewritten(node):
            return INFINITE
        # An image's rows must lie together, and depend on nothing but that image.
        if not _alike(first, second[: len(first)]):
            return INFINITE
        return first.numel() // BATCHES[0] * first.element_size()

    def _rewritten(self, node: Node) -> bool:
        """Whether what is shared writes into a node's value later on, so that it does not last."""
        kept = storages(node.meta[VALUES][0])
        return any(
            n not in self._live and self._order[n] > self._order[node] for n in self.writing(kept)
        )

    def writing(self, kept: frozenset[int]) -> list[Node]:
        """Return the nodes that write into some of the storages."""
        return [n for n in self._all_writers if facts_of(n).written & kept]

    def cheap(self, node: Node) -> bool:
        """Whether a node may as well be computed again in each step."""
        if node.op == "call_module":
            module = self._root.get_submodule(str(node.target))
            activation = type(module).__module__ == "torch.nn.modules.activation"
            plain = not list(module.parameters()) and not list(module.buffers())
            return plain and (activation or isinstance(module, _CHEAP_MODULES))
        return node.op in ("call_function", "call_method") and _name(node) in _CHEAP_NAMES.split()

    def cut(self) -> list[Node]:
        """Return the nodes to keep for each image: the fewest bytes that suffice, in order.

        A minimum cut: each node passes as many units as its value has bytes, what is not cheap is
        fed from the source, what is needed drains into the sink (Ford and Fulkerson 1956).  Of
        several minimum cuts it is the one nearest to the sink, which leaves the least to repeat.

        Raises:
            TraceError: What is needed cannot be kept image by image.
        """
        flow = Network()
        todo = self.needed()
        for node in todo:
            flow.edge((node, "out"), "sink", INFINITE)
        seen = set(todo)
        while todo:
            node = todo.pop()
            flow.edge((node, "in"), (node, "out"), self.bytes_per_image(node))
            if not self.cheap(node):
                flow.edge("source", (node, "in"), INFINITE)
                continue
            for other in self.above(node):
                if self.shareable(other):
                    flow.edge((other, "out"), (node, "in"), INFINITE)
                    if other not in seen:
                        seen.add(other)
                        todo.append(other)
        try:
            draining = flow.saturate()
        except UnlimitedError as error:
            raise TraceError("what is frozen cannot be kept image by image") from error
        chosen = [n for n in seen if (n, "in") not in draining and (n, "out") in draining]
        return sorted(chosen, key=self._order.__getitem__)

    def keys(self) -> dict[Node, str]:
        """Return a digest of how each node comes about, the same in each trace of the model."""
        keys: dict[Node, str] = {}
        for node in self.graph.nodes:
            if (same := passed_on(node)) is not None:
                keys[node] = keys[same]
                continue
            sha = hashlib.sha256(f"{node.op} {_name(node)}".encode())
            if node.op == "call_module":
                module = self._root.get_submodule(str(node.target))
                sha.update(f"{type(module).__qualname__} {module.extra_repr()}".encode())
            elif node.op == "get_attr" and str(node.target).startswith("_tensor_constant"):
                value = node.meta[VALUES][0].detach().cpu().contiguous()
                sha = hashlib.sha256(f"constant {tuple(value.shape)} {value.dtype}".encode())
                sha.update(value.flatten().view(torch.uint8).numpy().data)
            elif node.op == "placeholder":
                sha.update(str(tuple(node.meta[VALUES][0].shape)).encode())
            named = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: _Key(keys[n]))
            sha.update(repr(named).encode())
            sha.update("".join(keys[n] for n in self._writers[node]).encode())
            keys[node] = sha.hexdigest()
        return keys


def _alike(first: Tensor, second: Tensor) -> bool:
    """Whether images have the same values in one batch as in another, but for rounding."""
    if first.device.type != "cpu":  # where convolutions may round to ten bits
        return equal(first, second, exact=False)
    return torch.allclose(first, second, rtol=1e-3, atol=1e-5, equal_nan=True)


class _Key(str):
    """A digest in the place of a node."""


def facts_of(node: Node) -> Facts:
    """Return what running a node showed."""
    facts: Facts = node.meta.get(FACTS) or Facts(False, False, frozenset())
    return facts


def drop_rate_of(model: nn.Module) -> float:
    """Return what timm's models hand to ``dropout`` where they call it as a function."""
    return float(getattr(model, "drop_rate", 0.0) or 0.0)


def drops_by_model(node: Node, rate: float) -> bool:
    """Whether a node is such a call, in a model of this rate."""
    return node.target is functional.dropout and bool(node.kwargs.get("p") == rate)


def passed_on(node: Node) -> Node | None:
    """Return the input that a module gives back as it is, as dropout does where nothing trains."""
    if node.op != "call_module" or len(node.all_input_nodes) != 1 or facts_of(node).written:
        return None
    (given,) = node.all_input_nodes
    pairs = list(zip(node.meta[VALUES], given.meta[VALUES], strict=True))
    if not all(isinstance(a, Tensor) and isinstance(b, Tensor) for a, b in pairs):
        return None
    return given if all(a.is_set_to(b) for a, b in pairs) else None


def is_number(node: Node) -> bool:
    """Whether a node is a size or the like: nothing of an image, and nothing done to a tensor."""
    if node.op in ("placeholder", "output") or VALUES not in node.meta:
        return False
    facts = facts_of(node)
    return not (facts.written or facts.random or tensors(node.meta[VALUES][0]))


def _name(node: Node) -> str:
    return str(getattr(node.target, "__name__", node.target))
