"""Genes whose part the rungs play."""

from __future__ import annotations

from collections.abc import Collection

from evoft.errors import SettingsError
from evoft.search.prior import Prior
from evoft.search.space import SearchSpace
from evoft.settings import CLIMBING, SearchSettings


def check_settled(
    names: Collection[str], settled: str, settings: SearchSettings, way_out: str
) -> None:
    """Refuse a gene, or a fixed value, that is for the rungs to settle.

    Args:
        names: Of all genes, and of all that is fixed.
        settled: What the rungs settle.
        settings: The search's.
        way_out: What to do instead.

    Raises:
        SettingsError: ``settled`` is among the names.
    """
    if settled in names:
        raise SettingsError(
            f"`{settled}` cannot be a gene for the strategy {settings.strategy!r}, nor fixed, for "
            f"its rungs settle it for all: {way_out}"
        )


def check_epochs(names: Collection[str], settings: SearchSettings) -> None:
    """Refuse epochs of an individual's own where the rungs give it its epochs.

    Args:
        names: Of all genes.
        settings: The search's.

    Raises:
        SettingsError: The strategy judges on rungs, and ``epochs`` is among the names.
    """
    if settings.strategy in CLIMBING:
        way_out = "take it out of the space, or take the strategy 'ga'"
        check_settled(names, "epochs", settings, way_out)


def unheeded(space: SearchSpace, settings: SearchSettings) -> str | None:
    """Return a sentence on what the strategy makes nothing of; None: there is no such thing.

    Args:
        space: The genes.
        settings: The search's.
    """
    prior = Prior.of(space)
    if prior is None or settings.strategy != "grid":
        return None
    genes = f"{'gene' if len(prior.beliefs) == 1 else 'genes'} {', '.join(prior.beliefs)}"
    return (
        f"the strategy 'grid' makes nothing of the confidence of the {genes}: the defaults are "
        "born first, and then a grid over the whole space"
    )
