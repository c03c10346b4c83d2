"""Rules for numbers, and the one sentence that tells when one is broken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from evoft.errors import SettingsError

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
