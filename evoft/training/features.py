"""Features: what a frozen prefix gives for a split's images, computed once for all trials.

Images of which there is a fixed number of versions (those of validation have one, those of training
as many as a recipe may draw views) pass through the frozen layers once in a worker's life, not once
an epoch and trial.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evoft.recipe import Recipe
from evoft.training.examples import Examples
from evoft.training.optimization import Precision
from evoft.training.prefix import Plan, Split, Suffix, Whole, split
from evoft.training.views import KINDS, UNCHANGED, View, possible, render

_logger = logging.getLogger(__name__)

#: Images that pass through the prefix at a time.  Kernels choose their blocks by the batch, so
#: that only one size gives every worker the same bits.
_BATCH = 256
#: Most bytes of features that are kept.
CACHE_SIZE = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Features:
    """A split's images as the frozen prefix leaves them, and the model from there on."""

    suffix: Suffix
    #: For each view that may be drawn, ``(images, ...)`` tensors, one for each value at the cut, in
    #: the order of the split.
    values: tuple[tuple[Tensor, ...], ...]
    #: How many numbers of views there are to draw from; see ``views.choose``.
    views: int = 1

    def batch(self, chosen: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return what is kept of some images, ``(batch, ...)`` each.

        Args:
            chosen: ``(batch,)``: which images.
            drawn: ``(batch,)``: which of ``values`` for each; None: the first.
        """
        if drawn is None or len(self.values) == 1:
            return tuple(value[chosen] for value in self.values[0])
        # An image at a time: a batch has about as many views as images, and this copies once.
        rows = list(zip(drawn.tolist(), chosen.tolist(), strict=True))
        return tuple(
            torch.stack([self.values[view][at][image] for view, image in rows])
            for at in range(len(self.values[0]))
        )


class FeatureCache:
    """The plans and features of one worker, for one data set and one set of start weights.

    Args:
        most: Most bytes of features that are kept; the least recently used go first.
    """

    def __init__(self, most: int = CACHE_SIZE) -> None:
        self._most = most
        self._plans: dict[tuple[object, ...], Plan | Whole] = {}
        self._kept: OrderedDict[tuple[str, ...], tuple[Tensor, ...]] = OrderedDict()
        self._told: set[tuple[str, ...]] = set()

    def parts(self, model: nn.Module, recipe: Recipe, examples: Examples) -> Split | None:
        """Return a frozen model in two parts; None where it trains whole.

        Args:
            model: Built for ``recipe`` and frozen, on the device.
            recipe: Whose depth and rates tell which plan fits.
            examples: Images as the model gets them.
        """
        built: tuple[object, ...] = (
            recipe.model,
            recipe.freeze_depth,
            recipe.drop > 0,
            recipe.drop_path > 0,
        )
        plan = self._plans.get(built)
        if isinstance(plan, Plan) and plan.rates_inside:
            built = (*built, recipe.drop, recipe.drop_path)
            plan = self._plans.get(built)
        if plan is None:
            example = examples.normalise(examples.batch(torch.zeros(2, dtype=torch.int64)))
            found = split(model, recipe.freeze_depth, example)
            self._plans[built] = plan = found.plan if isinstance(found, Split) else found
            if isinstance(found, Whole) and recipe.freeze_depth:
                _logger.info("%s trains whole: %s", recipe.model, found.reason)
        return None if isinstance(plan, Whole) else plan.bind(model)

    def unchanged(
        self, parts: Split | None, model: str, name: str, examples: Examples
    ) -> Features | None:
        """Return the features of a split's images as they are; None where they are not kept.

        Args:
            parts: The model in two parts.
            model: The backbone's name, which stands for its weights.
            name: The split's name.
            examples: Its images.
        """
        if parts is None or not self._fits(parts, model, name, len(examples)):
            return None
        return Features(parts.suffix, (self._values(parts, (model, name), examples, UNCHANGED, 1),))

    def drawn(
        self,
        parts: Split | None,
        recipe: Recipe,
        name: str,
        examples: Examples,
        views: int,
        precision: Precision | None,
    ) -> Features | None:
        """Return the features of each view that a recipe may draw; None where it trains whole.

        Whether they are kept depends on how many views there are for any recipe, not on what is
        kept already, so that a trial is the same whatever the worker did before.

        Args:
            parts: The model in two parts.
            recipe: What the model is trained by.
            name: The split's name.
            examples: Its images.
            views: How many numbers of views there are; with 0, only images that the recipe leaves
                as they are have features.
            precision: That the model trains in.
        """
        if parts is None or (recipe.changes_images and not views):
            return None
        if (recipe.mixup or recipe.cutmix) and not all(d.is_floating_point for d in parts.dtypes):
            return None  # whole numbers cannot be mixed
        views = max(1, views)
        wanted = possible(recipe, views)
        versions = 1 if wanted == (UNCHANGED,) else KINDS * views
        if not self._fits(parts, recipe.model, name, versions * len(examples)):
            return None
        names = recipe.model, name
        values = tuple(self._values(parts, names, examples, v, views, precision) for v in wanted)
        return Features(parts.suffix, values, views)

    def _fits(self, parts: Split, model: str, name: str, images: int) -> bool:
        needed = parts.bytes_per_image * images
        told = (model, parts.plan.key, name, str(images))
        if needed > self._most and told not in self._told:
            self._told.add(told)
            _logger.info(
                "%s goes whole over %s: what is frozen gives %d bytes for %d images in all, but "
                "%d may be kept", model, name, needed, images, self._most,
            )  # fmt: skip
        return needed <= self._most

    def _values(
        self,
        parts: Split,
        names: tuple[str, str],
        examples: Examples,
        view: View,
        views: int,
        precision: Precision | None = None,
    ) -> tuple[Tensor, ...]:
        dtype = "" if precision is None else str(precision.dtype)
        key = (*names, parts.plan.key, view.key(views), dtype)
        if key not in self._kept:
            self._make_room(parts.bytes_per_image * len(examples))
            batches = zip(*compute(parts, examples, view, views, precision), strict=True)
            self._kept[key] = tuple(torch.cat(values) for values in batches)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _make_room(self, needed: int) -> None:
        sizes = {key: sum(v.nbytes for v in values) for key, values in self._kept.items()}
        total = sum(sizes.values())
        for key, size in sizes.items():
            if total + needed <= self._most:
                return
            del self._kept[key]
            total -= size


def compute(
    parts: Split, examples: Examples, view: View, views: int, precision: Precision | None
) -> Iterator[tuple[Tensor, ...]]:
    """Yield what the prefix gives for a view of a split, in its order and in batches of one size.

    Args:
        parts: The model in two parts.
        examples: The split's images.
        view: Which view of them.
        views: How many numbers of views there are.
        precision: Of mixed precision, whose types the values have; None: float32.

    Yields:
        ``(batch, ...)`` for each value at the cut.
    """
    device = examples.pixels.device
    places = torch.arange(len(examples), device=device)
    for first in range(0, len(examples), _BATCH):
        images = render(examples.batch(places[first : first + _BATCH]), view, views, first)
        # As images lie that are not changed, which is what the model was split for.
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            device.type,
            dtype=precision.dtype if precision else None,
            enabled=precision is not None,
        ):
            values = parts.prefix(examples.normalise(images))
        yield values
