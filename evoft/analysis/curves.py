"""Best-so-far curves: what a search had found when it had spent so much."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from evoft.analysis.merit import Merit
from evoft.header import Header
from evoft.ladder import Ladder
from evoft.lineage import Population, Record
from evoft.settings import Settings
from evoft.trial import Stage

#: A share of a cost that two ways of adding it up may differ by.
_EQUAL = 1e-9


class Cost(StrEnum):
    """What is spent by a search."""

    EPOCHS = "epochs"  #: epochs of training, those that a continued trial had before left out
    TRAININGS = "full trainings"  #: the same where trials have no epochs: each is one
    SECONDS = "seconds"  #: of running, whatever the workers were: what a budget is counted in


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What one population's search had spent and found at the end of each of its trials."""

    #: Spent in all, ``(trials,)``, ascending.
    costs: NDArray[np.float64]
    #: What is compared, so far, ``(trials,)``; minus infinity before a trial has ended well.
    best: NDArray[np.float64]

    @property
    def first(self) -> float:
        """Spent when the first trial had ended well; infinity if none has."""
        good = np.flatnonzero(self.best > -math.inf)
        return float(self.costs[good[0]]) if good.size else math.inf

    @property
    def last(self) -> float:
        """Spent in all."""
        return float(self.costs[-1]) if self.costs.size else 0.0

    def at(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what had been found when so much had been spent, ``(costs,)``."""
        places = np.searchsorted(self.costs, costs * (1.0 + _EQUAL), side="right")
        return np.concatenate([[-math.inf], self.best])[places]


def cost_of_training(populations: Sequence[Population]) -> Cost:
    """Return what training is counted in: epochs where all these populations have them."""
    return Cost.EPOCHS if all(map(_has_epochs, populations)) else Cost.TRAININGS


def curve_of(population: Population, cost: Cost, merit: Merit) -> Curve:
    """Return a population's curve, its final runs left out.

    A score counts as it is, on whatever rung it was judged.  Epochs are added up in the order in
    which trials were decided, which no worker changes; seconds in the order in which they ended.
    """
    records = [r for r in population.records.values() if r.trial.stage is Stage.SEARCH]
    if cost is Cost.SECONDS:
        records.sort(key=lambda record: record.elapsed)
        costs = np.array([record.elapsed for record in records])
    else:
        spent = _epochs(population.header) if cost is Cost.EPOCHS else _trainings(population.header)
        records.sort(key=lambda r: (r.trial.number, r.trial.individual, r.trial.rung))
        costs = np.cumsum([spent(record) for record in records])
    return Curve(costs.astype(np.float64), merit.of(records))


def _has_epochs(population: Population) -> bool:
    if _full(population.header) is not None:
        return True
    search = [r for r in population.records.values() if r.trial.stage is Stage.SEARCH]
    return all(r.outcome.curve for r in search if r.outcome.score > -math.inf)


def _full(header: Header) -> float | None:
    """Return the epochs of a full training; None where it has none."""
    return Settings.of_file(header.settings).epochs(fine_tuning=bool(header.data))


def _ladder(header: Header) -> Ladder:
    return Settings.of_file(header.settings).ladder(fine_tuning=bool(header.data))


def _epochs(header: Header) -> Callable[[Record], float]:
    """Return what tells how many epochs a trial trained, those of its lower rungs left out.

    By its learning curve; one that failed before it had any counts as all that was planned.
    """
    full, ladder = _full(header), _ladder(header)

    def trained(record: Record) -> float:
        planned = record.trial.epochs or (record.recipe or {}).get("epochs") or full or 1.0
        curve = record.outcome.curve
        reached = max(point.epoch for point in curve) if curve else float(planned)
        return max(0.0, reached - ladder.begins(record.trial.rung))

    return trained


def _trainings(header: Header) -> Callable[[Record], float]:
    full, ladder = _full(header), _ladder(header)
    if full is None:
        return lambda record: ladder.cost(record.trial.rung)
    epochs = _epochs(header)
    return lambda record: epochs(record) / full
