"""Which freeze depths a population's recipes will have, as far as that is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evoft.genome import Value
from evoft.recipe import Recipe
from evoft.search.gene import Gene
from evoft.search.genes import Choice, Integer, Ordinal
from evoft.search.space import SearchSpace
from evoft.training.facts import BackboneFacts

#: At most so many depths of a backbone have features that others are made of: more take room.
_MOST = 6


def freeze_depths(
    space: SearchSpace, fixed: Mapping[str, Any], facts: BackboneFacts
) -> tuple[int, ...]:
    """Return depths at which recipes freeze a backbone, in layer groups, in order, none of them 0.

    All that a list has or a range of whole numbers, thinned evenly where they are many; of a range
    of shares, its quarters.

    Args:
        space: What is searched.
        fixed: What is the same for all recipes.
        facts: Of the backbone.
    """
    values = (
        _values(space["freeze_depth"], facts.layer_groups)
        if "freeze_depth" in space
        else [fixed.get("freeze_depth", 0)]
    )
    known = {"model": facts.model, "epochs": 1}
    recipes = (
        Recipe.of({**known, "freeze_depth": value}, layer_groups=facts.layer_groups)
        for value in values
    )
    depths = sorted({recipe.freeze_depth for recipe in recipes} - {0})
    last = len(depths) - 1
    if last < _MOST:
        return tuple(depths)
    return tuple(depths[round(place * last / (_MOST - 1))] for place in range(_MOST))


def _values(gene: Gene, groups: int) -> list[Value]:
    if isinstance(gene, Ordinal | Choice):
        return list(gene.values)
    if isinstance(gene, Integer):
        return list(range(min(gene.low, groups), min(gene.high, groups) + 1))
    return [gene.at(unit) for unit in (0.0, 0.25, 0.5, 0.75, 1.0)]
