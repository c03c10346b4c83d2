"""Features: what a frozen prefix gives for a split's images, computed once for all trials.

Images of which there is a fixed number of versions (those of validation have one, those of training
as many as a recipe may draw views) pass through the frozen layers once in a run, not once an epoch
and trial.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn

from evoft.recipe import Recipe
from evoft.training.examples import Examples
from evoft.training.optimization import Precision
from evoft.training.prefix import Plan, Split, Suffix, Whole, split
from evoft.training.store import FeatureStore, address
from evoft.training.views import KINDS, UNCHANGED, View, possible, render

_logger = logging.getLogger(__name__)

#: Images that pass through the prefix at a time.  Kernels choose their blocks by the batch, so
#: that only one size gives every worker the same bits.
_BATCH = 256
#: Share of a GPU's memory that a trial's features of one split may take; else they stay with the
#: processor, and batches of them are moved.  They go with the trial: how much memory the next one
#: finds must not depend on those before it.
_SHARE = 1 / 16


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
            return tuple(
                value[chosen.to(value.device)].to(chosen.device) for value in self.values[0]
            )
        # An image at a time: a batch has about as many views as images, and this copies once.
        rows = list(zip(drawn.tolist(), chosen.tolist(), strict=True))
        return tuple(
            torch.stack([self.values[view][at][image] for view, image in rows]).to(chosen.device)
            for at in range(len(self.values[0]))
        )


class FeatureCache:
    """The plans of one worker, and the features that it shares with the others.

    Args:
        store: Where the features are.
        sources: For each backbone, as plain JSON data, what features follow from beside the cut:
            the images, how they are prepared, and the weights.
    """

    def __init__(self, store: FeatureStore, sources: Mapping[str, Mapping[str, Any]]) -> None:
        self._store = store
        self._sources = sources
        self._plans: dict[tuple[object, ...], Plan | Whole] = {}

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
        self,
        parts: Split | None,
        model: str,
        examples: Examples,
        alive: Callable[[], None] = lambda: None,
    ) -> Features | None:
        """Return the features of a split's images as they are; None where they are not kept.

        Args:
            parts: The model in two parts.
            model: The backbone's name, one of ``sources``.
            examples: The split's images.
            alive: Called as a sign of life while they are computed, here or elsewhere.
        """
        if parts is None or not self._fits(parts, model, len(examples)):
            return None
        values = self._values(parts, model, examples, _Rendered(UNCHANGED, 1, None), alive)
        return Features(parts.suffix, _placed((values,), examples.pixels.device))

    def drawn(
        self,
        parts: Split | None,
        recipe: Recipe,
        examples: Examples,
        views: int,
        precision: Precision | None,
        alive: Callable[[], None] = lambda: None,
    ) -> Features | None:
        """Return the features of each view that a recipe may draw; None where it trains whole.

        Whether they are kept depends on how many views there are for any recipe, not on what is
        kept already, so that a trial is the same whatever the worker did before.

        Args:
            parts: The model in two parts.
            recipe: What the model is trained by.
            examples: The split's images.
            views: How many numbers of views there are; with 0, only images that the recipe leaves
                as they are have features.
            precision: That the model trains in.
            alive: Called as a sign of life while they are computed, here or elsewhere.
        """
        if parts is None or (recipe.changes_images and not views):
            return None
        if (recipe.mixup or recipe.cutmix) and not all(d.is_floating_point for d in parts.dtypes):
            return None  # whole numbers cannot be mixed
        views = max(1, views)
        wanted = possible(recipe, views)
        versions = 1 if wanted == (UNCHANGED,) else KINDS * views
        if not self._fits(parts, recipe.model, versions * len(examples)):
            return None
        values = tuple(
            self._values(parts, recipe.model, examples, _Rendered(view, views, precision), alive)
            for view in wanted
        )
        return Features(parts.suffix, _placed(values, examples.pixels.device), views)

    def _fits(self, parts: Split, model: str, images: int) -> bool:
        what = f"what frozen layers of {model} make of {images} images"
        return self._store.fits(parts.bytes_per_image * images, what)

    def _values(
        self,
        parts: Split,
        model: str,
        examples: Examples,
        rendered: _Rendered,
        alive: Callable[[], None],
    ) -> tuple[Tensor, ...]:
        facts = {
            **self._sources[model],
            **_kernels(examples.pixels.device),
            "cut": parts.plan.key,
            "places": hashlib.sha256(examples.places.cpu().numpy().tobytes()).hexdigest(),
            "view": rendered.view.key(rendered.views),
            "precision": str(rendered.precision and rendered.precision.dtype),
        }
        return self._store.get(
            address(facts),
            len(examples),
            lambda: compute(parts, examples, rendered.view, rendered.views, rendered.precision),
            alive,
        )


@dataclass(frozen=True, slots=True)
class _Rendered:
    """How images come to the prefix."""

    view: View
    views: int
    precision: Precision | None


def _kernels(device: torch.device) -> dict[str, str]:
    """Return whose kernels compute: others may round otherwise."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability()
    return {"device": name, "torch": torch.__version__, "timm": timm.__version__}


def _placed(
    values: tuple[tuple[Tensor, ...], ...], device: torch.device
) -> tuple[tuple[Tensor, ...], ...]:
    """Return the values of all views on the device, or where they are if they are too large."""
    if device.type != "cuda":
        return values
    size = sum(value.nbytes for view in values for value in view)
    if size > _SHARE * torch.cuda.get_device_properties(device).total_memory:
        return values
    return tuple(tuple(value.to(device) for value in view) for view in values)


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
