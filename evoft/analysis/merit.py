"""What of a search is compared: its highest fitness so far, or the hypervolume of its front."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from evoft.analysis.pareto import objectives_in
from evoft.analysis.wording import plain
from evoft.errors import NoResultError, SettingsError
from evoft.lineage import Population, Record
from evoft.objectives import Direction, Objective, scores_of
from evoft.trial import Stage

_Real = NDArray[np.float64]

#: How far below the worst of the front of all the reference point lies, as a share of the front's
#: range: were it the worst itself, the ends of a front would dominate nothing.
_BELOW = 0.1


class By(StrEnum):
    """By what populations are compared."""

    FITNESS = "fitness"
    HYPERVOLUME = "hypervolume"


@dataclass(frozen=True, slots=True)
class Merit:
    """What a search had found, as a number that never falls; higher is better."""

    by: By
    objectives: tuple[Objective, ...]
    #: Of the scores of trials in order, ``(trials, objectives)``, the number after each,
    #: ``(trials,)``; minus infinity before a trial has ended well.
    so_far: Callable[[_Real], _Real]
    #: What to know of it, a sentence each.
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the number is, as a heading."""
        return f"best {self.by} so far"

    def of(self, records: Sequence[Record]) -> _Real:
        """Return the number after each of some records, ``(records,)``."""
        scores = [scores_of(self.objectives, record.outcome) for record in records]
        return self.so_far(np.array(scores).reshape(len(records), len(self.objectives)))


def merit_of(populations: Sequence[Population], by: By | None = None) -> Merit:
    """Return what populations are compared by.

    Args:
        populations: All that are compared.
        by: What was asked for; None: the hypervolume where all were bred for the same several
            objectives, else the fitness.

    Raises:
        SettingsError: The hypervolume was asked for of populations that have none in common.
    """
    sought = {objectives_in(population) for population in populations}
    several = [objectives for objectives in sought if len(objectives) > 1]
    if by is not By.FITNESS and len(sought) == 1 and several:
        return _hypervolume(populations, *several)
    if by is By.HYPERVOLUME:
        raise SettingsError(
            "populations are compared by hypervolume where all were bred for the same several "
            "objectives, which these were not: compare them with --by fitness"
        )
    fitness = next(one for one in objectives_in(populations[0]) if one.fitness)
    notes = ("they were bred for different objectives: compared by fitness alone",)
    return Merit(
        By.FITNESS,
        (fitness,),
        lambda scores: np.maximum.accumulate(scores[:, 0]),
        notes if by is None and several else (),
    )


def _hypervolume(populations: Sequence[Population], objectives: tuple[Objective, ...]) -> Merit:
    """Return the share that a front dominates of what all fronts together dominate.

    The reference point follows Ishibuchi and others (2018, "How to specify a reference point in
    hypervolume calculation for fair performance comparison"): beyond the worst of the joint front.
    """
    from evoft.kernels.ranking import ranks_of

    scores = np.array([
        scores_of(objectives, record.outcome)
        for population in populations
        for record in population.records.values()
        if record.trial.stage is Stage.SEARCH
    ])  # fmt: skip
    good = scores[np.isfinite(scores).all(axis=1)]
    front = good[ranks_of(good) == 0]
    best, worst = front.max(axis=0), front.min(axis=0)
    # Where all of the front have one value, who else ended well says what a step of it is.
    worst = np.where(worst < best, worst, good.min(axis=0))
    scale = np.where(worst < best, best - worst, 1.0)
    reference = worst - _BELOW * scale
    whole = _volume((front - reference) / scale)

    def so_far(scores: _Real) -> _Real:
        return _dominated_so_far((scores - reference) / scale) / whole

    return Merit(By.HYPERVOLUME, objectives, so_far, (_told(objectives, reference),))


def _told(objectives: Sequence[Objective], reference: _Real) -> str:
    """Return what the number means, with the reference point in the objectives' own values."""
    at = ", ".join(
        f"{one.name} {plain(float(score if one.direction is Direction.MAXIMISE else -score))}"
        for one, score in zip(objectives, reference, strict=True)
    )
    return f"hypervolumes are above {at}; 1 is what all runs together dominate"


def _dominated_so_far(scores: _Real) -> _Real:
    """Return the hypervolume above 0 of the front after each of ``(trials, objectives)`` scores."""
    front = np.empty((0, scores.shape[1]))
    volume = -math.inf
    volumes = np.empty(len(scores))
    for place, score in enumerate(scores):
        if np.isfinite(score).all() and not (front >= score).all(axis=1).any():
            front = np.vstack([front[~(score >= front).all(axis=1)], score])
            volume = _volume(front)
        volumes[place] = volume
    return volumes


def _volume(front: _Real) -> float:
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.hypervolume import hypervolume_of

    try:
        return hypervolume_of(front, np.zeros(front.shape[1]))
    except ValueError as error:
        raise NoResultError(f"{error}, or compare with --by fitness") from error
