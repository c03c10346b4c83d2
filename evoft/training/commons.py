"""What the trials of a worker share: images on the device, features, start weights.

Torch is imported where the work is, in the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training.device import the_device
from evoft.training.expression import Expression
from evoft.training.pixels import Pixels, examples_of

if TYPE_CHECKING:
    import torch

    from evoft.training.examples import Examples
    from evoft.training.features.cache import FeatureCache
    from evoft.training.precision import Precision
    from evoft.training.prefix.split import Split
    from evoft.training.start import Start


@dataclass
class Commons:
    """Makes what trials share when the first of them asks, and keeps it for the others."""

    settings: TrainingSettings
    express: Expression
    pixels: Pixels
    #: Folder of the features that a run's workers share; None: each keeps its own.
    cache: Path | None
    #: For each backbone, freeze depths that recipes will have, in layer groups.
    depths: Mapping[str, tuple[int, ...]]
    #: How many workers share the limit on the features.
    workers: int
    kept: dict[tuple[str, str], Any] = field(default_factory=dict)

    def keep(self, key: tuple[str, str], make: Callable[[], Any]) -> Any:
        """Return what is kept under a key, made the first time."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def examples(self, model: str, split: str) -> Examples:
        """Return the images of a split as a backbone takes them, on the device."""
        import torch

        images = self.pixels.images[model]
        preprocessing = self.express.facts[model].preprocessing

        def load() -> torch.Tensor:
            return torch.from_numpy(images.open()).to(the_device())

        def make() -> Examples:
            pixels = self.keep(("pixels", str(images)), load)
            return examples_of(self.pixels, split, pixels, preprocessing)

        return self.keep((split, model), make)  # type: ignore[no-any-return]

    def splits(
        self, model: torch.nn.Module, recipe: Recipe, alive: Callable[[], None]
    ) -> tuple[Examples, Examples]:
        """Return the images of training and validation, with the features that can be shared."""
        return self.with_features(self.parts(model, recipe), recipe, alive)

    def parts(self, model: torch.nn.Module, recipe: Recipe) -> Split | None:
        """Freeze a recipe's model, and return it in two parts; None where it trains whole."""
        from evoft.training.freezing import freeze

        # Frozen layers that started from random weights are other layers in each trial.
        if not recipe.freeze_depth or not self.express.facts[recipe.model].weights:
            return None
        freeze(model, recipe.freeze_depth)
        return self.features.parts(model, recipe, self.examples(recipe.model, "val"))

    def with_features(
        self, parts: Split | None, recipe: Recipe, alive: Callable[[], None], apart: bool = False
    ) -> tuple[Examples, Examples]:
        """Return the images of training and validation with what the first part gives of them.

        Args:
            parts: The model in two parts; None: it trains whole, and there are no features.
            recipe: Whose images they are.
            alive: Called now and then while features are made.
            apart: Whether they are for heads alone, which train without their model.
        """
        train, val = self.examples(recipe.model, "train"), self.examples(recipe.model, "val")
        drawn = self.features.drawn(parts, recipe, train, alive, apart)
        unchanged = self.features.unchanged(parts, recipe.model, val, alive, apart)
        return replace(train, features=drawn), replace(val, features=unchanged)

    def precision(self, model: str) -> Precision | None:
        """Return what a backbone is trained and judged in."""
        from evoft.training.precision import precision_of

        return precision_of(self.settings, self.express.facts[model])

    @cached_property
    def features(self) -> FeatureCache:
        """The features of all splits and backbones."""
        from evoft.training.features.cache import FeatureCache, Prospects
        from evoft.training.features.store import FeatureStore

        sources = {
            name: {
                "images": self.pixels.fingerprint,
                "preprocessing": asdict(facts.preprocessing),
                "weights": facts.weights,
            }
            for name, facts in self.express.facts.items()
        }
        return FeatureCache(
            FeatureStore(self.cache, self.settings.cache_size, self.workers),
            sources,
            views=self.settings.views,
            precisions={name: self.precision(name) for name in self.express.facts},
            prospects=Prospects(self.depths, len(self.pixels.splits["train"])),
        )

    @cached_property
    def start(self) -> Start:
        """The weights that trainings begin from."""
        from evoft.training.start import Start

        return Start(self.settings, self.pixels.classes, self.express.facts)
