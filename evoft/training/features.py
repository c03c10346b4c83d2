"""Features: what a frozen prefix gives for a split's images, computed once for all trials.

Images that are the same in every epoch (those of validation, and those of training where a recipe
changes none) pass through the frozen layers once in a worker's life, not once an epoch and trial.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evoft.recipe import Recipe
from evoft.training.examples import Examples
from evoft.training.prefix import Plan, Split, Suffix, Whole, split

_logger = logging.getLogger(__name__)

#: Images that pass through the prefix at a time.  Kernels choose their blocks by the batch, so
#: that only one size gives every worker the same bits.
_BATCH = 256
#: Most bytes of features that a worker keeps; the least recently used go first.
_MOST = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Features:
    """A split's images as the frozen prefix leaves them, and the model from there on."""

    suffix: Suffix
    #: ``(images, ...)``, one tensor for each value at the cut, in the order of the split.
    values: tuple[Tensor, ...]

    def batch(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """Return what is kept of some images, ``(batch, ...)`` each."""
        return tuple(value[chosen] for value in self.values)


class FeatureCache:
    """The plans and features of one worker, for one data set and one set of start weights."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._plans: dict[tuple[object, ...], Plan | Whole] = {}
        self._kept: OrderedDict[tuple[str, str, str], tuple[Tensor, ...]] = OrderedDict()

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

    def features(
        self, parts: Split | None, model: str, name: str, examples: Examples
    ) -> Features | None:
        """Return the features of a split; None where they are too large to keep.

        Args:
            parts: The model in two parts.
            model: The backbone's name, which stands for its weights.
            name: The split's name.
            examples: Its images.
        """
        if parts is None or parts.bytes_per_image * len(examples) > self._most:
            return None
        key = (model, parts.plan.key, name)
        if key not in self._kept:
            self._make_room(parts.bytes_per_image * len(examples))
            self._kept[key] = _compute(parts, examples)
        self._kept.move_to_end(key)
        return Features(parts.suffix, self._kept[key])

    def _make_room(self, needed: int) -> None:
        sizes = {key: sum(v.nbytes for v in values) for key, values in self._kept.items()}
        total = sum(sizes.values())
        for key, size in sizes.items():
            if total + needed <= self._most:
                return
            del self._kept[key]
            total -= size


def _compute(parts: Split, examples: Examples) -> tuple[Tensor, ...]:
    places = torch.arange(len(examples), device=examples.pixels.device)
    batches = [
        parts.prefix(examples.normalise(examples.batch(places[first : first + _BATCH])))
        for first in range(0, len(examples), _BATCH)
    ]
    return tuple(torch.cat(values) for values in zip(*batches, strict=True))
