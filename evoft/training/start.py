"""Models as training finds them: pretrained weights, which are read once, a fresh classifier."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from evoft.errors import PopulationMismatchError
from evoft.recipe import Recipe
from evoft.seeds import derive
from evoft.settings import TrainingSettings
from evoft.training.backbone import build, digest, start_weights
from evoft.training.facts import BackboneFacts
from evoft.training.freezing import classifier_names
from evoft.training.memory_format import laid_out


class Start:
    """Where the trials of one worker start from.

    Args:
        settings: Where the weights are.
        classes: Outputs of the classifiers.
        facts: The backbones, by name, with the digests that their weights must have.
    """

    def __init__(
        self, settings: TrainingSettings, classes: int, facts: Mapping[str, BackboneFacts]
    ) -> None:
        self._settings = settings
        self._classes = classes
        self._facts = facts
        self._read: dict[str, dict[str, Tensor]] = {}
        self._templates: dict[str, dict[str, Tensor]] = {}

    def model(self, recipe: Recipe, seed: int) -> nn.Module:
        """Return the recipe's model as training finds it: start weights, a fresh classifier."""
        weights = self._weights(recipe.model)
        torch.manual_seed(derive(seed, "classifier"))
        model = build(
            recipe.model,
            self._settings,
            self._classes,
            pretrained=False,
            drop=recipe.drop,
            drop_path=recipe.drop_path,
        )
        model.load_state_dict({**weights, **self.classifier(recipe.model, seed)}, strict=False)
        return laid_out(model)

    def classifier(self, model: str, seed: int) -> dict[str, Tensor]:
        """Return a fresh classifier's state by name; empty where the frozen layers are fresh too.

        It has the numbers of one that timm made, in a random order: they are drawn independently of
        each other, so any order is as likely, and no model need be built to draw others.
        """
        if not self._facts[model].weights:
            return {}
        fresh = self._template(model)
        generator = torch.Generator().manual_seed(derive(seed, "classifier"))
        return {
            name: tensor.flatten()[torch.randperm(tensor.numel(), generator=generator)].view_as(
                tensor
            )
            for name, tensor in fresh.items()
        }

    def _template(self, model: str) -> dict[str, Tensor]:
        if model not in self._templates:
            self._templates[model] = self._fresh_classifier(model)
        return self._templates[model]

    def _fresh_classifier(self, model: str) -> dict[str, Tensor]:
        torch.manual_seed(derive(0, "classifier"))
        built = build(model, self._settings, self._classes, pretrained=False)
        names = classifier_names(built)
        return {name: tensor for name, tensor in built.state_dict().items() if name in names}

    def _weights(self, model: str) -> dict[str, Tensor]:
        if model not in self._read:
            self._read[model] = self._start_weights(model)
        return self._read[model]

    def _start_weights(self, model: str) -> dict[str, Tensor]:
        # Whether a file has all of them was seen when the facts were made, whose digest they have.
        weights = start_weights(model, self._settings, self._classes)
        if weights and digest(weights) != self._facts[model].weights:
            raise PopulationMismatchError(
                f"the pretrained weights of {model} are not those that this population was made "
                "with: bring them back"
            )
        return weights
