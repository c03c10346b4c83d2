"""Features: what a frozen prefix gives for a split's images, computed once for all trials.

Images of which there is a fixed number of versions (those of validation have one, those of training
as many as a recipe may draw views) pass through the frozen layers once in a run, not once an epoch
and trial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn

from evoft.recipe import Recipe
from evoft.training.examples import Examples
from evoft.training.features.kept import Features
from evoft.training.features.passes import Rendered, made_of, passed
from evoft.training.features.placing import Placed
from evoft.training.features.plans import Plans
from evoft.training.features.store import FeatureStore, address
from evoft.training.memory import is_out_of_memory
from evoft.training.precision import Precision
from evoft.training.prefix.split import Plan, Split, Whole, split
from evoft.training.prefix.trunk import Stretch, Trunk, make_trunk
from evoft.training.views import KINDS, UNCHANGED, possible


@dataclass(frozen=True, slots=True)
class Prospects:
    """What is known beforehand of the recipes that will come, for each backbone alike."""

    #: For each backbone, freeze depths of which features are made one from another.
    depths: Mapping[str, tuple[int, ...]]
    #: Training images.
    images: int


class FeatureCache:
    """The plans and the features that a worker shares with the others.

    Args:
        store: Where they are.
        sources: For each backbone, as plain JSON data, what features follow from beside the cut:
            the images, how they are prepared, and the weights.
        views: How many numbers of views there are; with 0, only images that a recipe leaves as they
            are have features.
        precisions: For each backbone, what it trains in and is judged in; None, or none of
            them named: float32.
        prospects: Where features of a depth are made of those of another; None: all of them are
            made of the images.
    """

    def __init__(
        self,
        store: FeatureStore,
        sources: Mapping[str, Mapping[str, Any]],
        *,
        views: int,
        precisions: Mapping[str, Precision | None] | None = None,
        prospects: Prospects | None = None,
    ) -> None:
        self._store = store
        self._sources = sources
        self._views = views
        self._precisions = precisions or {}
        self._prospects = prospects
        #: By backbone and cut, bytes that are kept of an image.
        self._sizes: dict[tuple[str, str], int] = {}
        self._plans = Plans(store.folder if store.limit else None)
        self._placed = Placed()

    def parts(self, model: nn.Module, recipe: Recipe, examples: Examples) -> Split | None:
        """Return a frozen model in two parts; None where it trains whole.

        Args:
            model: Built for ``recipe`` and frozen, on the device.
            recipe: Whose depth and rates tell which plan fits.
            examples: Images as the model gets them.
        """
        built: tuple[object, ...] = (recipe.freeze_depth, recipe.drop > 0, recipe.drop_path > 0)
        plan = self._plan(model, recipe, examples, built)
        if isinstance(plan, Plan) and plan.rates_inside:
            built = (*built, recipe.drop, recipe.drop_path)
            plan = self._plan(model, recipe, examples, built)
        return None if isinstance(plan, Whole) else plan.bind(model)

    def _plan(
        self, model: nn.Module, recipe: Recipe, examples: Examples, built: tuple[object, ...]
    ) -> Plan | Whole:
        def make() -> Plan | Whole:
            found = split(model, recipe.freeze_depth, _example(examples))
            if isinstance(found, Split):
                return found.plan
            if recipe.freeze_depth:
                self._say_whole(recipe.model, found.reason)
            return found

        facts = {"plan": built, **self._facts(recipe.model, examples)}
        try:
            return self._plans.get(address(facts), make)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Another trial may find more of it.
        self._say_whole(recipe.model, reason := "memory ran out while it was split")
        return Whole(reason)

    def _say_whole(self, model: str, reason: str) -> None:
        """Say that nothing is saved by freezing layers of a model: once, whatever the depth."""
        self._store.say(
            f"whole-{address({'model': model})}",
            f"{model} trains whole, for {reason}: what its frozen layers make of images is "
            "computed anew in each trial, which takes longer",
        )

    def _facts(self, model: str, examples: Examples) -> dict[str, Any]:
        return {"model": model, **self._sources[model], **_kernels(examples.pixels.device)}

    def _way(
        self, parts: Split, model: str, examples: Examples, alive: Callable[[], None]
    ) -> tuple[Stretch, ...]:
        """Return how images come to a cut by others; empty where they come there straight."""
        prospects = self._prospects
        depths = () if prospects is None else prospects.depths.get(model, ())
        if prospects is None or len(depths) < 2 or not prospects.images:
            return ()
        # Images and views of them, the most that a recipe's features may be of.
        most = self._store.limit // (prospects.images * KINDS * max(1, self._views))
        facts = {"trunk": depths, "most": most, **self._facts(model, examples)}
        batch = min(examples.passing, prospects.images)

        def make() -> Trunk:
            example = _example(examples)
            return make_trunk(parts.model, example, depths, most=most, batch=batch, alive=alive)

        try:
            return self._plans.get(address(facts), make, alive).way(parts.plan)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        return ()  # straight from the images it takes less

    def unchanged(
        self,
        parts: Split | None,
        model: str,
        examples: Examples,
        alive: Callable[[], None] = lambda: None,
        apart: bool = False,
    ) -> Features | None:
        """Return the features of a split's images as they are; None where they are not kept.

        Args:
            parts: The model in two parts.
            model: The backbone's name, one of ``sources``.
            examples: The split's images.
            alive: Called as a sign of life while they are computed, here or elsewhere.
            apart: Have each view by itself on a GPU, once for all who hold it at a time; else all
                in one piece, from which batches are gathered faster.
        """
        if parts is None or not self._fits(parts, model, examples, 1):
            return None
        rendered = [Rendered(UNCHANGED, 1, self._precisions.get(model))]
        return self._of(parts, model, examples, rendered, alive, apart)

    def drawn(
        self,
        parts: Split | None,
        recipe: Recipe,
        examples: Examples,
        alive: Callable[[], None] = lambda: None,
        apart: bool = False,
    ) -> Features | None:
        """Return the features of each view that a recipe may draw; None where it trains whole.

        Whether they are kept depends on how many views there are for any recipe, not on what is
        kept already, so that a trial is the same whatever the worker did before.

        Args:
            parts: The model in two parts.
            recipe: What the model is trained by.
            examples: The split's images.
            alive: Called as a sign of life while they are computed, here or elsewhere.
            apart: Have each view by itself on a GPU, once for all who hold it at a time; else all
                in one piece, from which batches are gathered faster.
        """
        if parts is None or (recipe.changes_images and not self._views):
            return None
        if (recipe.mixup or recipe.cutmix) and not all(d.is_floating_point for d in parts.dtypes):
            return None  # whole numbers cannot be mixed
        views = max(1, self._views)
        wanted = possible(recipe, views)
        versions = 1 if wanted == (UNCHANGED,) else KINDS * views
        if not self._fits(parts, recipe.model, examples, versions):
            return None
        precision = self._precisions.get(recipe.model)
        rendered = [Rendered(view, views, precision) for view in wanted]
        return self._of(parts, recipe.model, examples, rendered, alive, apart)

    def _fits(self, parts: Split, model: str, examples: Examples, versions: int) -> bool:
        images = versions * len(examples)
        what = f"what frozen layers of {model} make of {images} images"
        return self._store.fits(self._bytes_per_image(parts, model, examples) * images, what)

    def _bytes_per_image(self, parts: Split, model: str, examples: Examples) -> int:
        """Return what is kept of an image in the precision that the backbone trains in."""
        precision, name = self._precisions.get(model), (model, parts.plan.key)
        if precision is None:
            return parts.bytes_per_image
        if name not in self._sizes:
            # Which values then have fewer bits is up to the layers that they come from.
            device = examples.pixels.device
            kept = made_of(parts, [_example(examples)], device, precision)
            self._sizes[name] = sum(value[0].nbytes for value in kept)
        return self._sizes[name]

    def _of(
        self,
        parts: Split,
        model: str,
        examples: Examples,
        rendered: Sequence[Rendered],
        alive: Callable[[], None],
        apart: bool,
    ) -> Features:
        """Return the features of views, on the device if there is room for them."""
        values = tuple(self._values(parts, model, examples, one, alive) for one in rendered)

        def names() -> list[str]:
            return [self._naming(model, examples, one)(parts.plan.key) for one in rendered]

        features = Features(parts.suffix, values, rendered[0].views)
        return self._placed.place(features, examples.pixels.device, names if apart else None)

    def _naming(self, model: str, examples: Examples, rendered: Rendered) -> Callable[[str], str]:
        """Return what names an entry by its cut."""
        facts = {
            **self._sources[model],
            **_kernels(examples.pixels.device),
            "places": hashlib.sha256(examples.places.cpu().numpy().tobytes()).hexdigest(),
            "view": rendered.view.key(rendered.views),
            "precision": str(rendered.precision and rendered.precision.dtype),
        }

        def named(key: str) -> str:
            # By what the values are, not by how they are made: that is the same to the bit.
            return address({**facts, "cut": key})

        return named

    def _values(
        self,
        parts: Split,
        model: str,
        examples: Examples,
        rendered: Rendered,
        alive: Callable[[], None],
    ) -> tuple[Tensor, ...]:
        named = self._naming(model, examples, rendered)
        if (values := self._store.find(named(parts.plan.key))) is not None:
            return values
        way = self._way(parts, model, examples, alive)
        names = [named(stretch.key) for stretch in way] or [named(parts.plan.key)]
        done, values = self._nearest(names)
        # Each is in this process's hands before the next is asked for: no lock is waited for
        # while another is held.
        for place in range(done, len(names)):
            through = way[place].bind(parts.model) if way else parts
            make = partial(passed, through, values, examples, rendered)
            values = self._store.get(names[place], len(examples), make, alive)
        assert values is not None
        return values

    def _nearest(self, names: Sequence[str]) -> tuple[int, tuple[Tensor, ...] | None]:
        """Return how many of the steps to the last entry need not be done, and what is there."""
        for done in range(len(names), 0, -1):
            if (values := self._store.find(names[done - 1])) is not None:
                return done, values
        return 0, None


def _kernels(device: torch.device) -> dict[str, str]:
    """Return whose kernels compute: others may round otherwise."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability()
    return {"device": name, "torch": torch.__version__, "timm": timm.__version__}


def _example(examples: Examples) -> Tensor:
    """Return a batch as it comes to the model."""
    return examples.normalise(examples.batch(torch.zeros(2, dtype=torch.int64)))
