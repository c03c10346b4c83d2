"""Confidence intervals for shares of images classified rightly, and for means of a few runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from evoft.verdict import Verdict

#: The normal quantile of a two-sided interval of 95 %.
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and the bounds within which the truth lies 95 times in a hundred."""

    estimate: float
    low: float
    high: float


def share_interval(right: float, images: float) -> Interval:
    """Return the share ``right / images`` with Wilson's score interval (Wilson 1927).

    Args:
        right: Images classified rightly, ``0 .. images``; a mean of several runs may be no whole
            number.
        images: Above 0.
    """
    share = right / images
    weight = _Z * _Z / images
    centre = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * math.sqrt(share * (1 - share) / images + weight / (4 * images))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def gain_interval(verdict: Verdict) -> Interval:
    """Return the winner's accuracy less the default recipe's, on the same test images.

    The interval is Wald's for paired shares with half an image added to each of the four
    counts (Agresti and Min 2005, section 3), which keeps its promise for small counts too.
    """
    images = verdict.images
    gain = (verdict.only_winner - verdict.only_default) / images
    size = images + 2
    up, down = (verdict.only_winner + 0.5) / size, (verdict.only_default + 0.5) / size
    half = _Z * math.sqrt((up + down - (up - down) ** 2) / size)
    return Interval(gain, max(-1.0, up - down - half), min(1.0, up - down + half))


def balanced_interval(right: Sequence[int], images: Sequence[int]) -> Interval:
    """Return the mean over the classes of the shares ``right / images``.

    The interval is Wilson's for as many images as would tell one share as well as these tell the
    mean (the effective sample size, Korn and Graubard 1998).  For that each class has two images
    more, one of them right: none is certain because it has but few.

    Args:
        right: Images of each class that are classified rightly.
        images: Images of each class, at least 1.
    """
    mean = statistics.fmean(hits / count for hits, count in zip(right, images, strict=True))
    likely = [(hits + 1.0) / (count + 2.0) for hits, count in zip(right, images, strict=True)]
    variance = _variance_of_mean([share * (1.0 - share) for share in likely], images)
    middle = statistics.fmean(likely)
    effective = middle * (1.0 - middle) / variance
    return share_interval(mean * effective, effective)


def balanced_gain_interval(verdict: Verdict) -> Interval:
    """Return the winner's balanced accuracy less the default recipe's, on the same test images.

    The interval is Wald's for the mean over the classes of paired shares, each as uncertain as
    `gain_interval` has it: it is rather too wide where classes have a few images.

    Args:
        verdict: With counts by class.
    """
    images = [sum(counts) for counts in verdict.by_class]
    won = [counts[1] for counts in verdict.by_class]
    lost = [counts[2] for counts in verdict.by_class]
    gain = statistics.fmean(
        (up - down) / count for up, down, count in zip(won, lost, images, strict=True)
    )
    spreads = [
        (up + down + 1.0) / (count + 2.0) - ((up - down) / (count + 2.0)) ** 2
        for up, down, count in zip(won, lost, images, strict=True)
    ]
    half = _Z * math.sqrt(_variance_of_mean(spreads, images))
    return Interval(gain, max(-1.0, gain - half), min(1.0, gain + half))


def _variance_of_mean(variances: Sequence[float], images: Sequence[int]) -> float:
    """Return the variance of the mean over the classes from each one's variance of an image."""
    of_each = [variance / count for variance, count in zip(variances, images, strict=True)]
    return math.fsum(of_each) / len(images) ** 2


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean of a few values with Student's interval.

    Args:
        values: At least two, each of a run of its own.
        level: How often it holds the truth.
    """
    mean, error = statistics.fmean(values), _error(values)
    return _student(mean, error, len(values) - 1, level)


def difference_interval(
    first: Sequence[float], second: Sequence[float], level: float = 0.95
) -> Interval:
    """Return the mean of ``first`` less that of ``second``, with Welch's interval (Welch 1947).

    Args:
        first: At least two values, each of a run of its own.
        second: Likewise; its spread may be another.
        level: How often it holds the truth.
    """
    difference = statistics.fmean(first) - statistics.fmean(second)
    squares = [_error(values) ** 2 for values in (first, second)]
    if not sum(squares):
        return Interval(difference, difference, difference)
    parts = [s * s / (len(v) - 1) for s, v in zip(squares, (first, second), strict=True)]
    return _student(difference, math.sqrt(sum(squares)), sum(squares) ** 2 / sum(parts), level)


def _error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def _student(mean: float, error: float, freedom: float, level: float) -> Interval:
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1.0 + level) / 2.0)) * error
    return Interval(mean, mean - half, mean + half)
