"""Which trials train only linear heads, and with whom; nothing in here needs torch."""

from __future__ import annotations

from collections.abc import Hashable

from evoft.recipe import Recipe
from evoft.training.facts import BackboneFacts

#: The optimizers that ``optimizers`` takes for many heads at once, by timm's names.
HEAD_OPTIMIZERS = frozenset({"adam", "adamw", "rmsprop", "sgd"})


def company_of(recipe: Recipe, facts: BackboneFacts, images: int, views: int) -> Hashable | None:
    """Return what recipes agree on whose classifiers may train together; None for one that may not.

    Whether a classifier is linear shows only in a worker: one that is not trains the ordinary way.

    Args:
        recipe: In canonical form.
        facts: Of its backbone.
        images: To train on.
        views: Numbers of views of each; see ``views.choose``.
    """
    alone = recipe.freeze_depth == facts.layer_groups and recipe.freeze_depth > 0
    # Frozen layers that started from random weights are other layers in each trial.
    if not alone or not facts.weights or recipe.opt not in HEAD_OPTIMIZERS:
        return None
    if recipe.changes_images and not views:
        return None
    return recipe.model, min(recipe.batch_size, images)
