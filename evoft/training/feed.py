"""What a trial trains on: its batches, in its order, changed and mixed as its recipe has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.recipe import Recipe
from evoft.seeds import derive
from evoft.training.augmentation import Dice, augment
from evoft.training.balance import class_weights
from evoft.training.examples import Examples
from evoft.training.mixing import draw, mix
from evoft.training.optimization import Inputs
from evoft.training.views import choose


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the batches of an epoch hold, ``(batches, batch)`` each, int64."""

    #: Places of the images in their split.
    places: Tensor
    #: Which of ``Feed.pools`` each is from.
    views: Tensor
    #: The images' classes.
    labels: Tensor

    def between(self, first: int, stop: int | None = None) -> Drawn:
        """Return the batches from one to before another."""
        some = slice(first, stop)
        return Drawn(self.places[some], self.views[some], self.labels[some])


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
        # What mixing draws is needed here, to tell what to do, and not on the device.
        self._mixed = Dice(derive(seed, "mix"), torch.device("cpu"))
        self._drawn = Dice(derive(seed, "views"), torch.device("cpu"))
        #: What the current epoch was drawn from.
        self._before: dict[str, Tensor] = {}
        #: Images in a batch.
        self.batch = min(recipe.batch_size, len(train))
        #: Batches in an epoch; what is left over waits for another epoch's order.
        self.steps = len(train) // self.batch

    @property
    def class_weights(self) -> Tensor | None:
        """What each class weighs in the loss, ``(classes,)``; None: all the same."""
        if self._recipe.class_weights == "none":
            return None
        return class_weights(self._train.labels, self._train.classes)

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed with one another."""
        return bool(self._recipe.mixup or self._recipe.cutmix)

    @property
    def pools(self) -> tuple[Tensor, ...]:
        """What a frozen prefix made of each view, ``(images, ...)``: the first value at the cut."""
        features = self._train.features
        return () if features is None else tuple(values[0] for values in features.values)

    def state(self, taken: int) -> dict[str, Tensor]:
        """Return what `resume` goes on from.

        Args:
            taken: Batches of the current epoch that were taken; 0 where it is over.
        """
        before = self._before if taken else self._sources()
        return {**before, "augment": self._dice.state, "mix": self._mixed.state}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned, with as many batches of an epoch taken."""
        self._order.state, self._drawn.state = state["order"], state["views"]
        self._dice.state, self._mixed.state = state["augment"], state["mix"]

    def _sources(self) -> dict[str, Tensor]:
        return {"order": self._order.state, "views": self._drawn.state}

    def draw(self) -> Drawn:
        """Draw the next epoch."""
        self._before = self._sources()
        device = self._train.pixels.device
        count = self.steps * self.batch
        places = self._order.order(len(self._train))[:count].to(device, non_blocking=True)
        views = torch.zeros_like(places)
        if (features := self._train.features) is not None:
            views = choose(self._recipe, features.views, count, self._drawn)
            views = views.to(device, non_blocking=True)
        shape = self.steps, self.batch
        labels = self._train.labels[places]
        return Drawn(places.view(shape), views.view(shape), labels.view(shape))

    def mixture(self) -> tuple[float, Tensor]:
        """Draw how the next batch is mixed, of vectors: what each keeps, and partners ``(batch,)``.

        Vectors have no places, so that CutMix blends them as mixup does.
        """
        _, share, partner = draw(self.batch, self._recipe, self._mixed)
        return share, partner

    def mix(self, inputs: Inputs, labels: Tensor) -> tuple[Inputs, Tensor]:
        """Return the next batch's inputs, mixed if the recipe says so, and its targets."""
        return mix(inputs, labels, self._train.classes, self._recipe, self._mixed)

    def epoch(self, taken: int = 0) -> Iterator[tuple[Inputs, Tensor, Tensor]]:
        """Yield the batches of the next epoch, which must be taken to the end.

        Args:
            taken: How many of its first batches were taken already, before a `resume`.

        Yields:
            What goes into ``Examples.through``; targets ``(batch, classes)``, rows that sum to
            one; and labels ``(batch,)``, of the images before they were mixed.
        """
        drawn = self.draw().between(taken)
        for inputs, labels in zip(self._inputs(drawn), drawn.labels, strict=True):
            mixed, targets = self.mix(inputs, labels)
            # Images are mixed as such, before they are normalised.
            yield (
                self._train.normalise(mixed) if isinstance(mixed, Tensor) else mixed,
                targets,
                labels,
            )

    def _inputs(self, drawn: Drawn) -> Iterator[Inputs]:
        """Yield the batches of an epoch, changed and not yet mixed."""
        if (features := self._train.features) is not None:
            yield from features.batches(drawn.places, drawn.views)
            return
        for places in drawn.places:
            yield augment(self._train.batch(places), self._recipe, self._dice)
