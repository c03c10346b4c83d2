"""What a population file says of the run as a whole."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from evoft.settings import Settings


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of a run that are settled before its first trial.  All of it is plain JSON data."""

    #: Names the run: a random hexadecimal string.
    run_id: str
    #: When the population was made, ISO 8601 in UTC.
    created: str
    #: The run's seed.
    seed: int
    #: The resolved settings.
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: The search space, as ``SearchSpace.to_dict`` gives it.
    space: Mapping[str, Any] = field(default_factory=dict)
    #: The data: name or path, fingerprints, classes, sizes of the splits.  Empty for a fitness
    #: function of one's own.
    data: Mapping[str, Any] = field(default_factory=dict)
    #: One record a backbone: name, layer groups, parameters, preprocessing, weights' fingerprint.
    backbones: tuple[Mapping[str, Any], ...] = ()
    #: Versions of evoft, Python and the libraries; the devices.
    environment: Mapping[str, Any] = field(default_factory=dict)
    #: What the space was before each change of it: ``{"trials": n, "space": {...}}``, the first n
    #: trials of the search having been decided in that one.
    spaces_before: tuple[Mapping[str, Any], ...] = ()

    @staticmethod
    def new(
        settings: Settings,
        *,
        space: Mapping[str, Any],
        environment: Mapping[str, Any],
        data: Mapping[str, Any] | None = None,
        backbones: tuple[Mapping[str, Any], ...] = (),
    ) -> Header:
        """Return the header of a population that is made now; the arguments are its fields."""
        return Header(
            run_id=secrets.token_hex(16),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=settings.seed,
            settings=settings.to_file(),
            space=space,
            data=data or {},
            backbones=backbones,
            environment=environment,
        )
