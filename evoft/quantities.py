"""Lengths of time and sizes as people write them."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from evoft.errors import SettingsError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def seconds(text: str) -> float:
    """Return the seconds of a length of time as in ``90s``, ``30m``, ``1h30m``, ``2d`` or ``45``.

    Raises:
        SettingsError: Not a length of time, or not above zero.
    """
    parts = re.fullmatch(r"\s*((?:\d+(?:\.\d+)?\s*[smhd]\s*)+|\d+(?:\.\d+)?)\s*", text.lower())
    total = 0.0
    if parts:
        for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([smhd]?)", parts[1]):
            total += float(number) * _UNITS[unit or "s"]
    if not (parts and 0 < total < math.inf):
        raise SettingsError(f"a length of time is written as 90s, 30m, 1h30m or 2d, not {text!r}")
    return total


def size(text: str) -> int:
    """Return the bytes of a size as in ``512M``, ``4G``, ``1.5 GiB``, ``1T`` or ``4096``.

    A unit stands for a power of 1024.

    Raises:
        SettingsError: Not a size.
    """
    parts = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if not parts:
        raise SettingsError(f"a size is written as 512M, 4G, 1T or in bytes, not {text!r}")
    return int(Fraction(parts[1]) * 1024 ** _POWERS[parts[2]])


def moment(text: str) -> float:
    """Return the seconds of a short time as in ``5ms``, ``800us``, ``0.1s`` or ``0.1``.

    Raises:
        SettingsError: Not a length of time, or not above zero.
    """
    parts = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(us|ms|s|)\s*", text.lower())
    # By whole numbers, so that 4.1ms is the number 0.0041 and not the one next to it.
    parted = {"us": 10**6, "ms": 10**3}.get(parts[2], 1) if parts else 1
    length = float(Fraction(parts[1]) / parted) if parts else 0.0
    if not length > 0:
        raise SettingsError(f"a short time is written as 5ms, 800us or 0.1s, not {text!r}")
    return length


def count(text: str) -> float:
    """Return a number of things as in ``10M``, ``300k``, ``1.5G`` or ``5288548``.

    A unit stands for a power of 1000.

    Raises:
        SettingsError: Not a number, or not above zero.
    """
    parts = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([kmgt]?)\s*", text.lower())
    number = float(Fraction(parts[1]) * 1000 ** _POWERS[parts[2]]) if parts else 0.0
    if not number > 0:
        raise SettingsError(f"a number is written as 10M, 300k or 5288548, not {text!r}")
    return number


def size_text(count: int) -> str:
    """Return a number of bytes for people, as `size` reads it: ``4G``, ``1.5M``, ``512``."""
    power = max((p for p in range(5) if count >= 1024**p), default=0)
    return f"{count / 1024**power:.4g}{' KMGT'[power].strip()}"


def count_text(number: float) -> str:
    """Return a number of things for people, as `count` reads it: ``372.9k``, ``25.56M``."""
    power = max((p for p in range(5) if number >= 1000**p), default=0)
    return f"{number / 1000**power:.4g}{' kMGT'[power].strip()}"


def moment_text(seconds: float) -> str:
    """Return a short time for people, as `moment` reads it: ``4.1ms``, ``800us``, ``1.2s``."""
    for unit, length in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= length:
            return f"{seconds / length:.3g}{unit}"
    return f"{seconds / 1e-6:.3g}us"


def fitness_text(fitness: float) -> str:
    """Return a fitness for people: with four decimals, as an accuracy, where they tell enough."""
    plain = fitness == 0 or 1e-2 <= abs(fitness) < 1e4
    return f"{fitness:.4f}" if plain else f"{fitness:.4g}"
