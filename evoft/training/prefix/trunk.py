"""The frozen layers of a backbone, cut at each depth that a population freezes.

What lies in front of a deeper cut is computed from what is kept at a shallower one, so that images
pass through the backbone once for all depths.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.fx import Node
from torch.fx.proxy import TraceError

from evoft.training.freezing import freeze, train_mode
from evoft.training.memory import is_out_of_memory
from evoft.training.prefix.carving import head, middle
from evoft.training.prefix.dataflow import Dataflow
from evoft.training.prefix.layouts import Layout
from evoft.training.prefix.parts import Bound, Part
from evoft.training.prefix.rounding import equal
from evoft.training.prefix.split import Plan, kept_of, name_of_cut
from evoft.training.prefix.tracing import (
    BATCHES,
    VALUES,
    Traced,
    random_images,
    reason_of,
    trace,
    whole_floats,
)

_logger = logging.getLogger(__name__)

#: Batches that a trunk is checked with, beside one as large as those that it is for.
_CHECKED = (1, 5)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The layers from the images, or from a cut, to the next cut."""

    #: The cut that it leads to, as in `Plan.key`, and how the values there are kept.
    key: str
    layouts: tuple[Layout, ...]
    part: Part
    #: Place in `Trunk.stretches` of the one before it; None: it starts from the images.
    before: int | None

    def bind(self, model: nn.Module) -> BoundStretch:
        """Return it with the frozen weights of a model."""
        return BoundStretch(self, self.part.bind(model))


@dataclass(frozen=True, slots=True)
class BoundStretch:
    """A stretch of a model."""

    stretch: Stretch
    _part: Bound

    def prefix(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return what is kept at its end, ``(batch, ...)`` each, in memory of its own.

        Args:
            given: Images ``(batch, 3, height, width)``; or what is kept at the cut before it.
        """
        return kept_of(self._part, self.stretch.layouts, *given)


@dataclass(frozen=True, slots=True)
class Trunk:
    """A backbone's frozen layers in stretches, from the stem on, not bound to a model."""

    stretches: tuple[Stretch, ...]

    def way(self, plan: Plan) -> tuple[Stretch, ...]:
        """Return the stretches from the images to a plan's cut; empty where none leads there."""
        ends = [s.key == plan.key and s.layouts == plan.layouts for s in self.stretches]
        place = ends.index(True) if any(ends) else None
        way: list[Stretch] = []
        while place is not None:
            way.insert(0, self.stretches[place])
            place = way[0].before
        return tuple(way)


def make_trunk(
    model: nn.Module,
    example: Tensor,
    depths: Sequence[int],
    *,
    most: int,
    batch: int,
    alive: Callable[[], None] = lambda: None,
) -> Trunk:
    """Cut a model's frozen layers at several depths.

    The cuts are those that `make_plan` finds for models frozen so deep, where frozen layers are no
    others when more is frozen; a plan finds its own among them by its key.

    Args:
        model: A timm model; its mode, state and what is frozen of it are left alone.
        example: ``(any, 3, height, width)``: the shape, type, device and memory format of batches.
        depths: Layer groups that may be frozen.
        most: Bytes that what is kept of an image may take, at all cuts together; what takes most
            is left out.
        batch: Images in the largest batch that will go through.
        alive: Called as a sign of life now and then.

    Returns:
        The trunk, checked: batches went both ways, straight and from cut to cut, with the same
        values (to the bit on a CPU, else to rounding).  An empty one where there is none.
    """
    try:
        frozen = copy.deepcopy(model)
        freeze(frozen, max(depths))
        traced = trace(frozen, example, training=True)
        alive()
        cuts = _within(_cuts(traced, sorted(set(depths))), most)
        if len(cuts) < 2:  # nothing to go on from
            return Trunk(())
        flow = Dataflow(traced)
        trunk = Trunk(tuple(_stretches(traced, flow, cuts)))
        straight = head(flow, [n for cut in cuts for n in cut], traced.root, copies=True)
        for count in sorted({*_CHECKED, batch}):
            alive()
            if not _same(model, trunk, straight, example, count):
                _logger.info("frozen layers in stretches do not give what they give in one go")
                return Trunk(())
    except Exception as error:  # a model's own code meets symbols: anything may be raised
        if is_out_of_memory(error):  # which says nothing of the model
            raise
        _logger.info("frozen layers are not cut in stretches (%s)", reason_of(error))
        return Trunk(())
    return trunk


def _cuts(traced: Traced, depths: Sequence[int]) -> list[list[Node]]:
    """Return the cuts of the depths that have one, from the stem on, each once."""
    model = traced.root.get_submodule("model")
    cuts: dict[tuple[Node, ...], None] = {}
    for depth in depths:
        freeze(model, depth)
        train_mode(model)
        try:
            cut = Dataflow(traced).cut()
        except TraceError:
            continue
        if cut and all(node.op != "placeholder" for node in cut):
            cuts[tuple(cut)] = None
    return [list(cut) for cut in cuts]


def _within(cuts: list[list[Node]], most: int) -> list[list[Node]]:
    """Return the cuts that together take no more than ``most`` bytes an image, deepest first."""
    chosen: list[list[Node]] = []
    for cut in reversed(cuts):
        size = sum(layout.bytes_per_image for layout in _layouts(cut))
        if size <= most:
            chosen.insert(0, cut)
            most -= size
    return chosen


def _layouts(cut: list[Node]) -> tuple[Layout, ...]:
    return tuple(Layout.of(node.meta[VALUES][0], BATCHES[0]) for node in cut)


def _stretches(traced: Traced, flow: Dataflow, cuts: list[list[Node]]) -> list[Stretch]:
    keys = flow.keys()
    found: list[Stretch] = []
    for place, cut in enumerate(cuts):
        part, before = _stretch(traced, flow, cuts, place)
        found.append(Stretch(name_of_cut([keys[n] for n in cut]), _layouts(cut), part, before))
    return found


def _stretch(
    traced: Traced, flow: Dataflow, cuts: list[list[Node]], place: int
) -> tuple[Part, int | None]:
    """Return the part from the nearest cut that suffices to another; else from the images."""
    for before in reversed(range(place)):
        start = cuts[before]
        try:
            return middle(flow, start, _layouts(start), cuts[place], traced.root), before
        except TraceError:
            continue
    return head(flow, cuts[place], traced.root), None


def _same(model: nn.Module, trunk: Trunk, straight: Part, example: Tensor, count: int) -> bool:
    """Whether so many images come to all cuts with the same values, straight and from cut to cut.

    Where bits are not promised, fewer images may tell as well, if so many do not fit.
    """
    try:
        with whole_floats():
            return _compared(model, trunk, straight, random_images(example, count))
    except RuntimeError as error:
        if not is_out_of_memory(error) or example.device.type == "cpu" or count == 1:
            raise
    # Outside of the handler, which keeps what was allocated alive.
    return _same(model, trunk, straight, example, count // 2)


def _compared(model: nn.Module, trunk: Trunk, straight: Part, images: Tensor) -> bool:
    exact = images.device.type == "cpu"
    layouts = [layout for stretch in trunk.stretches for layout in stretch.layouts]
    expected = iter(kept_of(straight.bind(model), layouts, images))
    kept: list[tuple[Tensor, ...]] = []
    for stretch in trunk.stretches:
        given = (images,) if stretch.before is None else kept[stretch.before]
        kept.append(stretch.bind(model).prefix(*given))
        if not all(equal(value, next(expected), exact) for value in kept[-1]):
            return False
    return True
