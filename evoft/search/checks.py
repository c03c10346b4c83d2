"""Genes whose part the rungs play, and what is set that a strategy makes nothing of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields

from evoft.errors import SettingsError
from evoft.search.prior import Prior
from evoft.search.space import SearchSpace
from evoft.settings import BLIND, CLIMBING, STRATEGIES, SearchSettings, Settings, TrainingSettings

_ON_RUNGS = tuple(one for one in STRATEGIES if one in CLIMBING)

#: The strategies that heed a setting; all heed the settings that are not here.
HEEDED_BY: Mapping[str, tuple[str, ...]] = {
    "first_rung": _ON_RUNGS,
    "rung_factor": _ON_RUNGS,
    "cooldown": _ON_RUNGS,
    "points": ("grid",),
    "sampler": ("bayes",),
    "cxpb": ("ga",),
    "mutpb": ("ga",),
    "indpb": ("ga",),
    "sigma": ("evolution", "ga"),
    "eta": ("ga",),
    "tournsize": ("evolution", "ga"),
    "elite": ("ga",),
    "lookahead": tuple(one for one in STRATEGIES if one not in BLIND),
}


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


def unheeded_settings(settings: Settings, *, fine_tuning: bool) -> str | None:
    """Return a sentence on what differs from its default in vain; None: nothing does.

    Args:
        settings: Those of a run whose rungs fit its epochs.
        fine_tuning: Whether trials are fine-tuning, which has settings of its own.

    Raises:
        SettingsError: The rungs do not fit the epochs of a full training.
    """
    strategy = settings.search.strategy
    chosen = _chosen(settings.search)
    if fine_tuning:
        chosen += [name for name in _chosen(settings.training) if name in HEEDED_BY]
    # What a strategy of the user's own heeds is not known here.
    words = [
        f"`{name}` (of {', '.join(HEEDED_BY[name])})"
        for name in chosen
        if strategy in STRATEGIES and strategy not in HEEDED_BY.get(name, (strategy,))
    ]
    if strategy in CLIMBING and len(settings.ladder(fine_tuning=fine_tuning)) == 1:
        vain = {"rung_factor", "cooldown"}
        if settings.epochs(fine_tuning=fine_tuning) is None:
            vain.add("first_rung")
        words += [f"`{name}` (of several rungs)" for name in chosen if name in vain]
    if not words:
        return None
    changes = "it changes" if len(words) == 1 else "they change"
    return f"the strategy {strategy!r} does not heed {', '.join(words)}: {changes} nothing here"


def kept_busy(settings: SearchSettings, workers: int) -> int:
    """Return how many of so many workers the search can keep busy."""
    if settings.strategy in BLIND:
        return workers
    return min(workers, settings.births_ahead + 1)


def idle(settings: Settings) -> str | None:
    """Return a sentence on workers that the search cannot keep busy; None where it can."""
    workers, size = settings.run.workers or 1, settings.search.population_size
    if (busy := kept_busy(settings.search, workers)) == workers:
        return None
    most = min(workers, size)
    way_out = f"lookahead={most - 1} keeps {'all' if most == workers else most} of them so"
    if most < workers:
        way_out += ", and a larger population_size more"
    return (
        f"of {workers} workers the search keeps at most {busy} busy, for lookahead = {busy - 1}: "
        f"{way_out}, and each decision knows less"
    )


def in_vain(space: SearchSpace, settings: Settings, *, fine_tuning: bool) -> list[str]:
    """Return a sentence on each thing that is set and changes nothing.

    Args:
        space: The genes.
        settings: Those of a run whose rungs fit its epochs.
        fine_tuning: Whether trials are fine-tuning, which has settings of its own.
    """
    said = (
        unheeded(space, settings.search),
        unheeded_settings(settings, fine_tuning=fine_tuning),
    )
    return [sentence for sentence in said if sentence]


def _chosen(record: SearchSettings | TrainingSettings) -> list[str]:
    """Return the names of the settings that differ from their defaults."""
    standard = type(record)()
    return [f.name for f in fields(record) if getattr(record, f.name) != getattr(standard, f.name)]
