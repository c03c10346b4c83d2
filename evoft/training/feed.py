"""What a trial trains on: its batches, in its order, changed and mixed as its recipe has it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from evoft.recipe import Recipe
from evoft.seeds import derive
from evoft.training.augmentation import Dice, augment
from evoft.training.examples import Examples
from evoft.training.mixing import mix
from evoft.training.optimization import Inputs
from evoft.training.views import choose


class Feed:
    """The batches of one trial, epoch by epoch.

    Order and changes of the images are streams of their own, so that two recipes with one seed see
    the same images in the same order whatever else they draw.

    Args:
        train: What to learn from; with features, batches hold those.
        recipe: Its batch size, augmentation and mixing.
        seed: The trial's.
    """

    def __init__(self, train: Examples, recipe: Recipe, seed: int) -> None:
        self._train = train
        self._recipe = recipe
        self._order = Dice(derive(seed, "order"), torch.device("cpu"))
        self._dice = Dice(derive(seed, "augment"), train.pixels.device)
        self._drawn = Dice(derive(seed, "views"), torch.device("cpu"))
        #: Images in a batch.
        self.batch = min(recipe.batch_size, len(train))
        #: Batches in an epoch; what is left over waits for another epoch's order.
        self.steps = len(train) // self.batch

    def epoch(self) -> Iterator[tuple[Inputs, Tensor, Tensor]]:
        """Yield the batches of the next epoch, which must be taken to the end.

        Yields:
            What goes into ``Examples.through``; targets ``(batch, classes)``, rows that sum to
            one; and labels ``(batch,)``, of the images before they were mixed.
        """
        order = self._order.order(len(self._train)).to(self._train.pixels.device)
        for step in range(self.steps):
            places = order[step * self.batch : (step + 1) * self.batch]
            labels = self._train.labels[places]
            inputs, targets = self._inputs(places, labels)
            yield inputs, targets, labels

    def _inputs(self, places: Tensor, labels: Tensor) -> tuple[Inputs, Tensor]:
        train, recipe = self._train, self._recipe
        if train.features is not None:
            drawn = choose(recipe, train.features.views, len(places), self._drawn)
            kept = train.features.batch(places, drawn)
            return mix(kept, labels, train.classes, recipe, self._dice)
        images = augment(train.batch(places), recipe, self._dice)
        mixed, targets = mix(images, labels, train.classes, recipe, self._dice)
        assert isinstance(mixed, Tensor)
        return train.normalise(mixed), targets
