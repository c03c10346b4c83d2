"""The settings that a configuration file and flags make.

Flags win over the file, which wins over the defaults.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evoft.errors import SettingsError
from evoft.search.space import SearchSpace
from evoft.settings import Settings

#: The tables of a configuration file.
_TABLES = ("training", "search", "run", "fixed", "founders", "space")


def overlaid(base: Mapping[str, Any], flags: Mapping[str, Any]) -> Settings:
    """Return the settings of a configuration with the flags that were given laid over it.

    Raises:
        SettingsError: A name or value that cannot be set.
    """
    data: dict[str, Any] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in base.items()}
    for name, value in flags.items():
        table, _, field = name.partition("__")
        if value is None or not field:
            continue
        if table == "top":
            data[field] = value
        else:
            data.setdefault(table, {})[field] = value
    return Settings.from_dict(data)


def unreadable(what: str, error: OSError | UnicodeDecodeError) -> SettingsError:
    """Return the error that a text file on the command line cannot be read, and why."""
    why = error.strerror if isinstance(error, OSError) else "it is not a text in UTF-8"
    return SettingsError(f"{what} cannot be read ({why}): give the path of a TOML file")


def space_of(path: Path) -> SearchSpace:
    """Return the space of a file of genes.

    Raises:
        SettingsError: The file cannot be read, or is no space.
    """
    try:
        return SearchSpace.from_toml(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(f"the search space {path}", error) from error


def configuration(path: Path | None) -> dict[str, Any]:
    """Return the tables of a configuration file; none without a file.

    Raises:
        SettingsError: The file cannot be read, or is not TOML.
    """
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(f"the configuration {path}", error) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the configuration {path} is not valid TOML: {error}") from error
    if unknown := sorted(tables.keys() - {"seed", *_TABLES}):
        raise SettingsError(
            f"the configuration has no `{unknown[0]}`; it has `seed` and the tables "
            f"{', '.join(_TABLES)}: mend {path}"
        )
    for name in _TABLES:
        if not isinstance(tables.get(name, {}), dict):
            raise SettingsError(
                f"the configuration {path}: `{name}` must be a table, but is {tables[name]!r}"
            )
    return tables
