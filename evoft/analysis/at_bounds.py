"""Genes of the best that stand where the search could go no further."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evoft.analysis.wording import plain
from evoft.errors import SettingsError
from evoft.lineage import Population, expressed
from evoft.recipe import Recipe

#: Share of a gene's range, on its own scale, within which a value is at its end.
_NEAR = 0.02
#: So much of the range beyond the end, a value must still mean something.
_BEYOND = 0.1


@dataclass(frozen=True, slots=True)
class AtBound:
    """A gene of the best individual whose value is at an end of the gene's range."""

    gene: str
    value: float
    low: float
    high: float


def at_bounds(population: Population) -> tuple[AtBound, ...]:
    """Return the real and whole genes of the winner that stand at a bound that could be wider.

    A bound that no recipe can go beyond, such as no weight decay at all, is none that binds, nor is
    one at which the default stands.
    """
    winner, space = population.winner, population.header.space
    if winner is None:
        return ()
    genes = expressed(population, winner)
    found = []
    for name, value in genes.items():
        gene = space.get(name, {})
        if gene.get("type") not in ("float", "integer") or name == "freeze_depth":
            continue
        end = _end(gene, value)
        if not end or ("default" in gene and end == _end(gene, gene["default"])):
            continue
        if not population.header.data or _can_be(name, _beyond(gene, end)):
            found.append(AtBound(name, value, gene["low"], gene["high"]))
    return tuple(found)


def at_bounds_sentences(population: Population, file: Path | None) -> list[str]:
    """Return what stands at a bound, and how to look beyond it; nothing where nothing does.

    Args:
        population: What has been found.
        file: Where it is kept; None: nowhere.
    """
    found = at_bounds(population)
    if not found:
        return []
    named = ", ".join(
        f"{one.gene} {plain(one.value)} of {plain(one.low)} to {plain(one.high)}" for one in found
    )
    said = f"At the end of its range in the best: {named}. What is better may lie beyond"
    settings = population.header.settings.get("search", {})
    if file is None or settings.get("strategy") == "grid":
        return [f"{said}."]
    quoted = shlex.quote(str(file))
    return [f"{said}: `evoft space {quoted} > wider.toml`, then resume with --space wider.toml."]


def _end(gene: Mapping[str, Any], value: float) -> int:
    """Return -1 for a value at the low end of a gene's range, 1 at the high one, 0 elsewhere."""
    low, high, here = (_placed(gene, v) for v in (gene["low"], gene["high"], value))
    near = 0.0 if gene["type"] == "integer" else _NEAR * (high - low)
    return (high - here <= near) - (here - low <= near)


def _beyond(gene: Mapping[str, Any], end: int) -> float:
    """Return a value somewhat beyond an end of a gene's range."""
    low, high = (_placed(gene, gene[name]) for name in ("low", "high"))
    place = (high if end > 0 else low) + end * _BEYOND * (high - low)
    there = math.exp(place) if gene.get("log") else place
    if gene["type"] != "integer":
        return there
    return math.ceil(there) if end > 0 else math.floor(there)


def _placed(gene: Mapping[str, Any], value: float) -> float:
    return math.log(value) if gene.get("log") else value


def _can_be(name: str, value: float) -> bool:
    """Tell whether a recipe may have a value."""
    try:
        Recipe.of({"model": "any", "epochs": 1, name: value}, layer_groups=1)
    except SettingsError:
        return False
    return True
