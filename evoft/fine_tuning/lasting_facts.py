"""Each backbone's latency: measured before a population's first trial, then read from its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evoft.header import Header
from evoft.objectives import LATENCY, objectives_of
from evoft.settings import Settings
from evoft.training.facts import BackboneFacts


def latencies_in(header: Header) -> dict[str, float]:
    """Return the seconds for one image that a population's header has, by model.

    A model of an earlier evoft's population has none.
    """
    found = {facts["model"]: facts.get("latency") for facts in header.backbones}
    return {model: float(seconds) for model, seconds in found.items() if seconds is not None}


def to_measure(settings: Settings, known: Mapping[str, float]) -> tuple[str, ...]:
    """Return the models whose latency the search is after and which is not known yet."""
    if LATENCY not in objectives_of(settings.search.objectives):
        return ()
    return tuple(model for model in settings.training.models if model not in known)


def with_latencies(
    backbones: Sequence[BackboneFacts], known: Mapping[str, float]
) -> tuple[BackboneFacts, ...]:
    """Return the facts with the latencies that are known in place of what they say."""
    return tuple(replace(one, latency=known.get(one.model, one.latency)) for one in backbones)


def amended(header: Header, backbones: Sequence[BackboneFacts]) -> tuple[Mapping[str, Any], ...]:
    """Return what a header is to say of its backbones: what it did, and what was measured now."""
    return tuple(
        before if facts.latency is None else {**before, "latency": facts.latency}
        for before, facts in zip(header.backbones, backbones, strict=True)
    )
