"""One table of a configuration, as the record that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from evoft.errors import SettingsError
from evoft.quantities import seconds, size
from evoft.settings.run import RunSettings
from evoft.settings.search import SearchSettings
from evoft.settings.training import TrainingSettings

_R = TypeVar("_R", SearchSettings, TrainingSettings, RunSettings)


def table(data: object, name: str) -> Mapping[str, Any]:
    """Return a table of a configuration.

    Raises:
        SettingsError: It is none.
    """
    if not isinstance(data, Mapping):
        raise SettingsError(f"`{name}` must be a table, but is {data!r}")
    return data


def record_of(kind: type[_R], data: object, name: str) -> _R:
    """Return the record of one table of settings.

    Raises:
        SettingsError: A name that the record does not have, or a value that breaks its rule.
    """
    values = dict(table(data, name))
    known = {f.name for f in fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise SettingsError(f"[{name}] has no `{unknown[0]}`; it has {', '.join(sorted(known))}")
    for key, value in values.items():
        if isinstance(value, list):
            values[key] = tuple(value)
        elif isinstance(value, str) and key in ("budget", "trial_timeout", "stall_timeout"):
            values[key] = seconds(value)
        elif isinstance(value, str) and key in ("cache_size", "max_disk"):
            values[key] = size(value)
        elif value == "auto" and key == "workers_per_device":
            values[key] = None
    try:
        return kind(**values)
    except TypeError as error:
        raise SettingsError(f"[{name}]: {error}") from None
