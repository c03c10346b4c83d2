"""What is found out of backbones before a population's first trial, then read from its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evoft.header import Header
from evoft.objectives import LATENCY, objectives_of
from evoft.settings import Settings
from evoft.training.facts import BackboneFacts


def to_measure(settings: Settings, before: Header | None) -> tuple[str, ...]:
    """Return the models whose latency the search is after and which is not known yet."""
    if LATENCY not in objectives_of(settings.search.objectives):
        return ()
    known = {facts["model"]: facts.get("latency") for facts in before.backbones} if before else {}
    return tuple(model for model in settings.training.models if known.get(model) is None)


def as_before(backbones: Sequence[BackboneFacts], before: Header) -> tuple[BackboneFacts, ...]:
    """Return the facts with what a population's header has of them in place of what they say.

    Args:
        backbones: As they were found now, in the header's order.
        before: The header.  An earlier evoft's may have no latency, which then is that of now, and
            no density, which then is 0: its models go on in the precision that they began in.
    """
    return tuple(
        replace(
            facts,
            latency=facts.latency if (known := one.get("latency")) is None else float(known),
            density=float(one.get("density", 0.0)),
        )
        for facts, one in zip(backbones, before.backbones, strict=True)
    )


def amended(header: Header, backbones: Sequence[BackboneFacts]) -> tuple[Mapping[str, Any], ...]:
    """Return what a header is to say of its backbones: what it did, and what was measured now."""
    return tuple(
        before if facts.latency is None else {**before, "latency": facts.latency}
        for before, facts in zip(header.backbones, backbones, strict=True)
    )
