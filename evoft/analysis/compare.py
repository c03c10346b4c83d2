"""Populations side by side at equal cost: what each group had found, and which one is better."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoft.analysis.curves import Cost, Curve, cost_of_training, curve_of
from evoft.analysis.groups import Group, notes_on
from evoft.analysis.intervals import Interval, difference_interval, mean_interval
from evoft.analysis.merit import By, Merit, merit_of
from evoft.analysis.wording import plain
from evoft.errors import NoResultError

#: Costs at which groups are compared.
_POINTS = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """What one group's runs had found at one cost: the highest fitness, or the hypervolume."""

    cost: Cost
    spent: float
    label: str
    #: One a run, in the order of the group.
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def median(self) -> float:
        """Their median."""
        return statistics.median(self.values)

    @property
    def interval(self) -> Interval | None:
        """Their mean within its 95 % interval; None of a single run."""
        return mean_interval(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found."""

    groups: tuple[Group, ...]
    merit: Merit
    #: At each cost that all groups reached, one reading a group, in their order.
    readings: tuple[tuple[Reading, ...], ...]
    #: What to know of the groups, a sentence each.
    notes: tuple[str, ...]
    #: Which is better at the highest cost of either kind, a sentence each.
    conclusions: tuple[str, ...]

    @property
    def costs(self) -> tuple[Cost, ...]:
        """In what cost is counted."""
        return tuple(dict.fromkeys(readings[0].cost for readings in self.readings))


def compare(groups: Sequence[Group], by: By | None = None) -> Comparison:
    """Compare groups at equal cost, in training and in seconds.

    Where they share no time, for one took long to begin, they are compared in training alone.

    Args:
        groups: What is compared.
        by: By what; None: the hypervolume where all were bred for the same several objectives, else
            the fitness.

    Raises:
        NoResultError: One had trained all that it did before another had found anything; or there
            are too many of too many objectives for their hypervolume.
        SettingsError: They have no hypervolume in common.
    """
    members = [population for group in groups for population in group.populations]
    merit = merit_of(members, by)
    readings = readings_of(groups, cost_of_training(members), merit, _POINTS)
    conclusions, notes = conclude(readings[-1]), [*notes_on(groups), *merit.notes]
    try:
        timed = readings_of(groups, Cost.SECONDS, merit, _POINTS)
    except NoResultError as error:
        notes.append(str(error))
    else:
        readings += timed
        conclusions += conclude(timed[-1])
    return Comparison(tuple(groups), merit, tuple(readings), tuple(notes), tuple(conclusions))


def readings_of(
    groups: Sequence[Group], cost: Cost, merit: Merit, points: int
) -> list[tuple[Reading, ...]]:
    """Return one reading a group at each of about so many costs, ascending.

    Raises:
        NoResultError: One had spent all before another had found anything.
    """
    curves = [
        [curve_of(population, cost, merit) for population in group.populations] for group in groups
    ]
    grid = _grid(list(itertools.chain(*curves)), cost, points)
    values = [np.array([curve.at(grid) for curve in own]) for own in curves]
    return [
        tuple(
            Reading(cost, float(spent), group.label, tuple(own[:, place].tolist()))
            for group, own in zip(groups, values, strict=True)
        )
        for place, spent in enumerate(grid)
    ]


def _grid(curves: Sequence[Curve], cost: Cost, points: int) -> NDArray[np.float64]:
    """Return costs that all curves reach, evenly spread in the logarithm, of few digits."""
    first, last = max(c.first for c in curves), min(c.last for c in curves)
    if first > last:
        raise NoResultError(
            f"there is no equal cost to compare at: one population had spent {plain(last)} {cost} "
            f"in all, and another {plain(first)} when its first trial had ended well"
        )
    low = max(first, last * 1e-3)
    spread = np.geomspace(low, last, points) if low > 0 else np.array([last])
    short = np.array([float(f"{spent:.2g}") for spent in spread])
    inside = short[(short >= first) & (short < 0.9 * last)]
    return np.unique([*inside, last])


def conclude(readings: Sequence[Reading]) -> list[str]:
    """Return which group is better at one cost, the best against each other one.

    The intervals hold all at once (Bonferroni): with many groups one is soon the best by chance.
    """
    best = max(readings, key=lambda reading: reading.mean)
    others = [reading for reading in readings if reading is not best]
    if not others:
        return []
    if min(len(reading.values) for reading in readings) < 2:
        return [_of_single_runs(readings)]
    level = 1.0 - 0.05 / (len(readings) * (len(readings) - 1) / 2)
    return [_verdict(best, other, level) for other in others]


def _where(reading: Reading) -> str:
    return f"at {plain(reading.spent)} {reading.cost}"


def _of_single_runs(readings: Sequence[Reading]) -> str:
    found = ", ".join(f"{reading.label} {plain(reading.mean)}" for reading in readings)
    return (
        f"{_where(readings[0])}: {found}; which is better cannot be told, for a group has a single "
        "run: run it with more seeds"
    )


def _verdict(best: Reading, other: Reading, level: float) -> str:
    gain = difference_interval(best.values, other.values, level)
    numbers = (
        f"{gain.estimate:+.4g} (95 % interval {gain.low:+.4g} to {gain.high:+.4g}; "
        f"{len(best.values)} and {len(other.values)} runs)"
    )
    if gain.low > 0:
        return f"{_where(best)} {best.label} is better than {other.label}: {numbers}"
    return (
        f"{_where(best)} no significant difference between {best.label} and {other.label}: "
        f"{numbers}"
    )
