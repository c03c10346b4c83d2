"""Cutting a traced model into graphs: to a cut, from one to another, and from one to the end."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, Node
from torch.fx.node import map_arg
from torch.fx.proxy import TraceError

from evoft.training.prefix.dataflow import (
    Dataflow,
    drop_rate_of,
    drops_by_model,
    facts_of,
    is_number,
    passed_on,
)
from evoft.training.prefix.layouts import Layout
from evoft.training.prefix.parts import Part
from evoft.training.prefix.tracing import BATCHES, VALUES, storages


def head(flow: Dataflow, cut: list[Node], root: nn.Module, *, copies: bool = False) -> Part:
    """Return the graph from the images to the values at the cut.

    Args:
        flow: Of the whole model.
        cut: Nodes that show the image.
        root: What was traced.
        copies: Return values as they were when they were made, for another may be made of them in
            the same memory, where ``cut`` is that of several depths.
    """
    carver = _Carver(flow, frozen=True)
    carver.start({n: "images" for n in flow.graph.nodes if n.op == "placeholder"})
    wanted = set(cut)
    given: dict[Node, Any] = {}
    for node in carver.closure(cut):
        made = carver.copy(node)
        if node in wanted:
            given[node] = carver.new.call_method("clone", (made,)) if copies else made
    carver.new.output(tuple(given[node] for node in cut))
    return carver.part(root)


def middle(
    flow: Dataflow,
    start: list[Node],
    layouts: Sequence[Layout],
    cut: list[Node],
    root: nn.Module,
) -> Part:
    """Return the graph from the values at one cut, as they are kept, to those at another.

    Raises:
        TraceError: The values to start from do not suffice.
    """
    carver = _Carver(flow, frozen=True)
    carver.restart(start, layouts, cut)
    carver.new.output(tuple(carver.made[node] for node in cut))
    return carver.part(root)


def tail(flow: Dataflow, cut: list[Node], layouts: Sequence[Layout], root: nn.Module) -> Part:
    """Return the graph from the values at the cut, as they are kept, to the output.

    Raises:
        TraceError: The values at the cut do not suffice.
    """
    carver = _Carver(flow)
    carver.restart(cut, layouts, flow.effects())
    return carver.part(root)


class _Carver:
    """Copies nodes into a new graph.

    Args:
        flow: Of the whole model.
        frozen: All that is copied is in evaluation mode.  What gives back its input there, as
            dropout does, is left out: not every model of a backbone has it.
    """

    def __init__(self, flow: Dataflow, *, frozen: bool = False) -> None:
        self._frozen = frozen
        self.new = Graph()
        #: What stands for a node in the new graph; a plain value where it is one.
        self.made: dict[Node, Any] = {}
        self._flow = flow
        self._batch: Node | None = None

    def start(self, inputs: dict[Node, str]) -> None:
        """Let inputs of the new graph stand for nodes; the first tells the length of the batch."""
        for node, name in inputs.items():
            self.made[node] = self.new.placeholder(name)
        shape = self.new.call_function(getattr, (self.made[next(iter(inputs))], "shape"))
        self._batch = self.new.call_function(operator.getitem, (shape, 0))

    def restart(self, cut: list[Node], layouts: Sequence[Layout], roots: list[Node]) -> None:
        """Copy what the roots need beside the values at a cut, which are inputs, as kept."""
        self.start({node: f"kept_{place}" for place, node in enumerate(cut)})
        for node, layout in zip(cut, layouts, strict=True):
            self.made[node] = layout.restore(self.new, self.made[node])
        closure = self.closure(roots)
        self.protect(cut, closure)
        for node in closure:
            self.copy(node)

    def closure(self, roots: list[Node]) -> list[Node]:
        """Return what the roots need and is not there yet, in order, numbers apart."""
        found: set[Node] = set()
        todo = [n for n in roots if n not in self.made]
        while todo:
            node = todo.pop()
            if node in found:
                continue
            if node.op == "placeholder":
                raise TraceError("what lies behind the cut needs the images")
            found.add(node)
            todo += [n for n in self._flow.above(node) if n not in self.made]
        return [n for n in self._flow.graph.nodes if n in found]

    def protect(self, cut: list[Node], closure: list[Node]) -> None:
        """Copy what is kept before the part writes into it.

        Raises:
            TraceError: Two of the values are one in memory.
        """
        for node in cut:
            kept = storages(node.meta[VALUES][0])
            if not any(facts_of(n).written & kept for n in closure):
                continue
            if any(n is not node and storages(n.meta[VALUES][0]) & kept for n in cut):
                raise TraceError("two values at the cut are one in memory and are written into")
            self.made[node] = self.new.call_method("clone", (self.made[node],))

    def copy(self, node: Node) -> Any:
        """Copy a node whose inputs are there."""
        if self._frozen and (same := passed_on(node)) is not None:
            self.made[node] = self.made[same]
            return self.made[node]
        for other in node.all_input_nodes:
            if is_number(other):
                self._number(other)
        args = map_arg(node.args, self.made.__getitem__)
        kwargs = map_arg(node.kwargs, self.made.__getitem__)
        copied = self.new.create_node(node.op, node.target, args, kwargs, node.name)
        self.made[node] = copied
        return copied

    def _number(self, node: Node) -> None:
        """Make a size: a constant, so many a image, or computed of such."""
        if node in self.made:
            return
        first, second = node.meta[VALUES]
        if node.op == "call_function" and any(n in self.made for n in self._above_type(node)):
            self.copy(node)
        elif type(first) is type(second) and first == second:
            self.made[node] = tuple(first) if isinstance(first, torch.Size) else first
        elif isinstance(first, int) and first * BATCHES[1] == second * BATCHES[0]:
            each = first // BATCHES[0]
            self.made[node] = self._per_image(each)
        elif all(is_number(n) for n in node.all_input_nodes):
            self.copy(node)
        else:
            raise TraceError(f"the size {node} does not grow with the batch")

    @staticmethod
    def _above_type(node: Node) -> list[Node]:
        """Return the tensor whose type a node asks for: mixed precision may change it."""
        asks = node.target is getattr and node.args[1] == "dtype"
        return node.all_input_nodes if asks else []

    def _per_image(self, each: int) -> Node:
        assert self._batch is not None
        if each == 1:
            return self._batch
        return self.new.call_function(operator.mul, (self._batch, each))

    def part(self, root: nn.Module) -> Part:
        """Return what was copied, with the constants it uses."""
        assert self._batch is not None
        if not self._batch.users:
            shape = self._batch.all_input_nodes[0]
            self.new.erase_node(self._batch)
            self.new.erase_node(shape)
        self.new.lint()
        names = {str(n.target) for n in self.new.nodes if n.op == "get_attr"}
        constants = {n: getattr(root, n) for n in names if "." not in n}
        called = {str(n.target) for n in self.new.nodes if n.op == "call_module"}
        # Shorter ones first: what is within another is there with it.
        targets = tuple(sorted((names | called) - set(constants), key=lambda n: (n.count("."), n)))
        self._drop_as_bound(root)
        code = self.new.python_code("self")
        return Part(code.src, code.globals, targets, constants)

    def _drop_as_bound(self, root: nn.Module) -> None:
        """Let ``dropout`` take the rate of the model that the part is bound to."""
        rate = drop_rate_of(root.get_submodule("model"))
        dropping = [node for node in self.new.nodes if drops_by_model(node, rate)]
        if dropping:
            root.drop_rate = rate  # type: ignore[assignment]
        for node in dropping:
            with self.new.inserting_before(node):
                own = self.new.get_attr("drop_rate")
            node.kwargs = {**node.kwargs, "p": own}
