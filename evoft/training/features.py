"""Features: what a frozen prefix gives for a split's images, computed once for all trials.

Images that are the same in every epoch (those of validation, and those of training where a recipe
changes none) pass through the frozen layers once in a run, not once an epoch and trial.
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
from evoft.training.prefix import Plan, Split, Suffix, Whole, split
from evoft.training.store import FeatureStore, address

_logger = logging.getLogger(__name__)

#: Images that pass through the prefix at a time.  Kernels choose their blocks by the batch, so
#: that only one size gives every worker the same bits.
_BATCH = 256


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

    def features(
        self,
        parts: Split | None,
        model: str,
        examples: Examples,
        alive: Callable[[], None] = lambda: None,
    ) -> Features | None:
        """Return the features of a split; None where they are too large to keep.

        Args:
            parts: The model in two parts.
            model: The backbone's name, one of ``sources``.
            examples: The split's images.
            alive: Called as a sign of life while they are computed, here or elsewhere.
        """
        if parts is None or not self._store.fits(parts.bytes_per_image * len(examples)):
            return None
        facts = {
            **self._sources[model],
            **_environment(examples.pixels.device),
            "cut": parts.plan.key,
            "places": hashlib.sha256(examples.places.cpu().numpy().tobytes()).hexdigest(),
        }
        values = self._store.get(
            address(facts), len(examples), lambda: _compute(parts, examples), alive
        )
        return Features(parts.suffix, tuple(value.to(examples.pixels.device) for value in values))


def _compute(parts: Split, examples: Examples) -> Iterator[tuple[Tensor, ...]]:
    places = torch.arange(len(examples), device=examples.pixels.device)
    for first in range(0, len(examples), _BATCH):
        images = examples.batch(places[first : first + _BATCH])
        yield parts.prefix(examples.normalise(images))


def _environment(device: torch.device) -> dict[str, str]:
    """Return whose kernels make the values: others may round otherwise."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability()
    return {"device": name, "torch": torch.__version__, "timm": timm.__version__}
