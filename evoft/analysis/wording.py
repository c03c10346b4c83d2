"""Numbers as people read them."""

from __future__ import annotations

import math

from evoft.analysis.intervals import Interval


def plain(value: object) -> str:
    """Return a value as short as it can be told: four significant digits for a number."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def percent(interval: Interval | None) -> str:
    """Return an accuracy and its interval in per cent, as in ``98.1 % (96.1 to 99.1)``."""
    if interval is None:
        return ""
    if math.isnan(interval.low):
        return f"{100 * interval.estimate:.1f} %"
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.estimate:.1f} % ({low:.1f} to {high:.1f})"


def epochs_text(epochs: float) -> str:
    """Return a number of epochs with its unit."""
    return "1 epoch" if epochs == 1 else f"{plain(epochs)} epochs"
