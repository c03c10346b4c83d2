"""Scores on the referee's scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evoft.search.evolution.encoding import Array


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A monotone map of scores to about zero mean and unit variance.

    Scores far below the middle are clipped: whether a run was bad or ten times as bad does not
    matter, and its outliers must not rule the scale.  A failure, minus infinity, gets the clip's
    value: it warns as a bad run does.  A power (Yeo and Johnson 2000) then takes what skew is left.
    """

    #: The largest of the scores; the next three are shares of it, for scores may be of any size.
    unit: float
    #: The clip, the median, and the distance from it to the best.
    low: float
    middle: float
    spread: float
    power: float
    mean: float
    deviation: float

    @staticmethod
    def of(scores: Array, *, reach: float) -> Yardstick:
        """Return the yardstick of some scores, ``(n,)``, minus infinity for failures.

        Args:
            scores: Those that are known.
            reach: The clip lies this many times the distance from the median to the best below
                the median.
        """
        good = scores[np.isfinite(scores)]
        unit = float(np.abs(good).max(initial=0.0)) or 1.0
        good = good / unit
        if len(good) == 0:
            return Yardstick(unit, -1.0, 0.0, 1.0, 1.0, 0.0, 1.0)
        middle, best = float(np.median(good)), float(good.max())
        spread = best - middle or middle - float(good.min()) or 1.0
        low = middle - reach * spread
        scaled = (np.maximum(good, low) - middle) / spread
        power = _likeliest_power(scaled)
        warped = yeo_johnson(scaled, power)
        mean, deviation = float(warped.mean()), _deviation(warped)
        return Yardstick(unit, low, middle, spread, power, mean, deviation)

    def __call__(self, scores: Array) -> Array:
        """Return scores, ``(n,)``, on the referee's scale."""
        scaled = (np.maximum(scores / self.unit, self.low) - self.middle) / self.spread
        return np.asarray((yeo_johnson(scaled, self.power) - self.mean) / self.deviation)

    def undo(self, scaled: Array) -> Array:
        """Return the scores, ``(n,)``, that stand at places on the referee's scale.

        What lies below the clip has the clip's.
        """
        warped = self.mean + self.deviation * scaled
        low = (self.low - self.middle) / self.spread
        plain = np.maximum(undo_yeo_johnson(warped, self.power), low)
        return np.asarray((plain * self.spread + self.middle) * self.unit)


def yeo_johnson(x: Array, power: float) -> Array:
    """Return Yeo and Johnson's transform (2000, equation 2.1), ``(n,)``.

    Args:
        x: Numbers of either sign, ``(n,)``.
        power: 0 to 4; 1 changes nothing.
    """
    up, down = np.maximum(x, 0.0), np.maximum(-x, 0.0)
    return np.asarray(_power(up, power) - _power(down, 2.0 - power))


def undo_yeo_johnson(y: Array, power: float) -> Array:
    """Return what Yeo and Johnson's transform makes ``y``, ``(n,)``, of; infinite beyond its range.

    Args:
        y: Numbers of either sign, ``(n,)``.
        power: 0 to 4.
    """
    up, down = np.maximum(y, 0.0), np.maximum(-y, 0.0)
    return np.asarray(_undo_power(up, power) - _undo_power(down, 2.0 - power))


def _power(x: Array, power: float) -> Array:
    """Return ``((1 + x) ** power - 1) / power``, and its limit at 0."""
    logs = np.log1p(x)
    return logs if abs(power) < 1e-9 else np.expm1(power * logs) / power


def _undo_power(y: Array, power: float) -> Array:
    if abs(power) < 1e-9:
        return np.expm1(y)
    # A negative power never comes to -1 / power.
    inner = np.maximum(power * y, -1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.expm1(np.log1p(inner) / power))


#: Powers that are tried.  Near 1 they are no change.
_POWERS = np.linspace(0.0, 4.0, 17)
#: Standard deviation of the power's prior, around no change: it keeps a handful of scores from
#: bending the scale.
_BENDING = 0.7


def _likeliest_power(x: Array) -> float:
    best, chosen = -math.inf, 1.0
    jacobian = float(np.sum(np.sign(x) * np.log1p(np.abs(x))))
    for power in _POWERS:
        variance = float(yeo_johnson(x, float(power)).var())
        if variance <= 1e-12:
            return 1.0
        likelihood = -0.5 * len(x) * math.log(variance) + (power - 1.0) * jacobian
        likelihood -= 0.5 * ((power - 1.0) / _BENDING) ** 2
        if likelihood > best:
            best, chosen = likelihood, float(power)
    return chosen


def _deviation(warped: Array) -> float:
    deviation = float(warped.std())
    return deviation if deviation > 1e-9 else 1.0
