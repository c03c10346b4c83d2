"""Views: a fixed number of augmented versions of every image, the same for a whole population.

What lies in a frozen prefix is computed once for each view and shared by all trials that freeze as
deep, so random augmentation in front of it must come from a fixed pool.  A recipe draws a view for
each image anew in each epoch, from those up to its own strength.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from evoft.recipe import Recipe
from evoft.seeds import derive
from evoft.training.augmentation import Dice, change

#: Views of one number: mirrored or not, with a rectangle erased or not.
KINDS = 4


@dataclass(frozen=True, slots=True, order=True)
class View:
    """One version of every training image."""

    #: 0 is moved and coloured not at all; ``n - 1``, of ``n``, with full strength.
    number: int
    #: Every image is mirrored.
    flipped: bool = False
    #: Every image has a rectangle of its own erased.
    erased: bool = False

    def strength(self, views: int) -> float:
        """Return how strongly images are changed, ``[0, 1]``, given how many numbers there are."""
        return self.number / (views - 1) if self.number else 0.0

    def key(self, views: int) -> str:
        """Return a name that two views have only if their images are the same.

        Args:
            views: How many numbers there are, which may not be the same for both.
        """
        return f"{self.strength(views)!r} {self.flipped} {self.erased}"


#: The images as they are.
UNCHANGED = View(0)


def render(images: Tensor, view: View, views: int, first: int) -> Tensor:
    """Return a view of some images, the same whoever renders it for whichever trial.

    Args:
        images: ``(batch, 3, height, width)``, values 0 to 1.
        view: Which view.
        views: How many numbers there are.
        first: Place of the batch's first image in its split; together with the view and the size of
            the batch it settles what is random, each image being changed in its own way.
    """
    dice = Dice(derive(0, "view", view.number, view.flipped, view.erased, first), images.device)
    return change(images, view.strength(views), float(view.flipped), float(view.erased), dice)


def possible(recipe: Recipe, views: int) -> tuple[View, ...]:
    """Return the views that a recipe may draw, in order.

    Args:
        recipe: Its ``augment``, ``hflip`` and ``reprob``.
        views: How many numbers there are, at least 1.
    """
    numbers = range(math.ceil(_top(recipe, views)) + 1)
    kinds = product(numbers, _outcomes(recipe.hflip), _outcomes(recipe.reprob))
    return tuple(View(number, flipped, erased) for number, flipped, erased in kinds)


def choose(recipe: Recipe, views: int, count: int, dice: Dice) -> Tensor:
    """Draw the view of each image of a batch.

    With ``top = augment * (views - 1)``, numbers up to ``floor(top)`` are as likely as one another,
    and the next one ``top - floor(top)`` times as likely, so that the mean strength is continuous
    in ``augment``: less than that, ``augment / (1 + augment)`` with two numbers, near half of it
    with many.

    Args:
        recipe: Its ``augment``, ``hflip`` and ``reprob``.
        views: How many numbers there are, at least 1.
        count: Images in the batch.
        dice: Where the randomness comes from.

    Returns:
        ``(count,)``, int64: places in ``possible(recipe, views)``.
    """
    number, flipped, erased = dice.uniform(3, count)
    top = _top(recipe, views)
    # Rounding may take the product up to top + 1 itself.
    chosen: Tensor = (number * (top + 1.0)).long().clamp_(max=math.ceil(top))
    for drawn, rate in ((flipped, recipe.hflip), (erased, recipe.reprob)):
        outcomes = _outcomes(rate)
        chosen *= len(outcomes)
        if len(outcomes) > 1:
            chosen += drawn < rate
    return chosen


def _top(recipe: Recipe, views: int) -> float:
    """Return the recipe's strength on the scale of numbers; what rounding adds makes no view."""
    return round(recipe.augment * (views - 1), 6)


def _outcomes(rate: float) -> tuple[bool, ...]:
    if rate in (0.0, 1.0):
        return (bool(rate),)
    return (False, True)
