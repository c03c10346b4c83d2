"""What a population file says of the run as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    #: The data: name or path, fingerprint, classes, sizes of the splits.  Empty for a fitness
    #: function of one's own.
    data: Mapping[str, Any] = field(default_factory=dict)
    #: One record a backbone: name, layer groups, parameters, preprocessing, weights' fingerprint.
    backbones: tuple[Mapping[str, Any], ...] = ()
    #: Versions of evoft, Python and the libraries; the devices.
    environment: Mapping[str, Any] = field(default_factory=dict)
