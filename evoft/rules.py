"""Rules for numbers, and the one sentence that tells when one is broken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from evoft.errors import SettingsError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: Every rule by the words that state it: lowest, highest, and whether each of them is allowed.
_RULES: dict[str, tuple[float, float, bool, bool]] = {
    "> 0": (0.0, math.inf, False, False),
    "> 1": (1.0, math.inf, False, False),
    ">= 0": (0.0, math.inf, True, False),
    ">= 1": (1.0, math.inf, True, False),
    ">= 2": (2.0, math.inf, True, False),
    "in [0, 1)": (0.0, 1.0, True, False),
    "in [0, 1]": (0.0, 1.0, True, True),
    "in (0, 1)": (0.0, 1.0, False, False),
    "in (0, 1]": (0.0, 1.0, False, True),
}


def plain(value: Any) -> Any:
    """Return a scalar of numpy's as Python's own, anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def obeys(value: object, rule: str) -> bool:
    """Tell whether ``value`` is a number that obeys ``rule``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low, high, low_too, high_too = _RULES[rule]
    return (low < value or (low_too and value == low)) and (
        value < high or (high_too and value == high)
    )


def require(
    values: Mapping[str, object], rules: Mapping[str, tuple[str, ...]], instead: str = ""
) -> None:
    """Check named values, None apart, against rules.

    Args:
        values: What was set, by name.
        rules: For each rule the names that must obey it.
        instead: What to do, where the rule does not say it; empty: it does.

    Raises:
        SettingsError: The first name whose value breaks its rule.
    """
    way_out = f": {instead}" if instead else ""
    for rule, names in rules.items():
        for name in names:
            value = values[name]
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                raise SettingsError(f"`{name}` must be a number, but is {value!r}{way_out}")
            if value is not None and not obeys(value, rule):
                # Else it would read as if infinity were not above 0.
                endless = isinstance(value, float) and not math.isfinite(value)
                told = ": give a finite number" if endless else way_out
                raise SettingsError(f"`{name}` must be {rule}, but is {value!r}{told}")


def require_whole(values: Mapping[str, object], names: tuple[str, ...]) -> None:
    """Check that named values are whole numbers or None.

    Raises:
        SettingsError: The first that is not.
    """
    for name in names:
        value = values[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise SettingsError(f"`{name}` must be a whole number, but is {value!r}")


def require_kinds(values: Mapping[str, Any], kinds: Mapping[str, tuple[type, str]]) -> None:
    """Check that named values, None apart, are of their kind.

    Raises:
        SettingsError: The first that is not.
    """
    for name, (kind, words) in kinds.items():
        if values[name] is not None and not isinstance(values[name], kind):
            raise SettingsError(f"`{name}` must be {words}, but is {values[name]!r}")


def require_known(values: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> None:
    """Check that named values, None apart, are among those that are known.

    Raises:
        SettingsError: The first that is not.
    """
    for name, all_of_them in known.items():
        if values[name] is not None and values[name] not in all_of_them:
            raise SettingsError(
                f"`{name}` must be one of {', '.join(all_of_them)}, but is {values[name]!r}"
            )


def plain_fields(record: DataclassInstance) -> None:
    """Have Python's own numbers in a frozen record that is being made, where numpy's were given."""
    for one in fields(record):
        object.__setattr__(record, one.name, plain(getattr(record, one.name)))
