"""The numbers at the end of a run: the best recipe beside the default one, and what it gained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evoft.analysis.intervals import (
    Interval,
    balanced_gain_interval,
    balanced_interval,
    gain_interval,
    share_interval,
)
from evoft.analysis.largest_class import largest_class_of
from evoft.analysis.metric import metric_of
from evoft.analysis.rungs import Neighbours, neighbours_of
from evoft.lineage import Population
from evoft.lineage.finals import Finalist, leader_of, standard_error, winner_of
from evoft.recipe import whole
from evoft.settings import ACCURACY
from evoft.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """One recipe, how it did, and how sure that is."""

    id: int
    recipe: Mapping[str, Any]
    #: Fitness of each final run, in order of repeat; each had a fresh seed.
    validation_runs: tuple[float, ...]
    #: Their mean, with the interval of one run's images, which a balanced accuracy does not tell:
    #: then the bounds are NaN.
    validation: Interval
    #: Of its best final run, whose weights are exported; None where the test was not read.
    test: Interval | None


@dataclass(frozen=True, slots=True)
class Tie:
    """A winner that is cheaper than the finalist of the best mean, and as good within the noise."""

    winner: Finalist
    leader: Finalist
    #: Of the leader's mean.
    error: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a finished run found."""

    winner: Standing
    #: None when the default recipe never ended well.
    default: Standing | None
    #: On the test images, of the winner less the default; None without a default or a test.
    gain: Interval | None
    #: Fitness of the winner in the search, on its highest rung, less its mean in the final runs:
    #: what choosing the best of many on one validation split made it look better than it is.
    optimism: float
    #: Epochs after which the search judged it there; None: a full training, as the final runs are.
    epochs: float | None
    #: How often the test split was read over the life of the population.
    readings: int
    #: How neighbouring rungs agree; none where that was not measured.
    rungs: tuple[Neighbours, ...] = ()
    #: None where the winner has the best mean.
    tie: Tie | None = None
    #: What the accuracies are, one of ``settings.METRICS``.
    metric: str = ACCURACY
    #: What always saying the largest class has, by split; empty where that is not known.
    largest_class: Mapping[str, float] = field(default_factory=dict)

    @property
    def significant(self) -> bool:
        """Whether the whole interval of the gain is above zero."""
        return self.gain is not None and self.gain.low > 0


def report_of(population: Population) -> Report | None:
    """Return the report of a population; None before its test split was read."""
    if not population.verdicts:
        return None
    verdict = population.verdicts[-1]
    winner = _standing(population, verdict.winner, _test(verdict, 1))
    searched = population.trials(verdict.winner)[-1]
    return Report(
        winner=winner,
        default=_default(population, verdict),
        gain=_gain(verdict),
        optimism=searched.outcome.fitness - winner.validation.estimate,
        epochs=searched.trial.epochs,
        readings=len(population.verdicts),
        rungs=neighbours_of(population),
        tie=_tie(population, verdict.winner),
        metric=metric_of(population),
        largest_class=largest_class_of(population),
    )


def _test(verdict: Verdict, only: int) -> Interval:
    """Return the share of the test images that are right, of those counted in this column too."""
    if verdict.by_class:
        right = [counts[0] + counts[only] for counts in verdict.by_class]
        return balanced_interval(right, [sum(counts) for counts in verdict.by_class])
    alone = (verdict.both, verdict.only_winner, verdict.only_default)[only]
    return share_interval(verdict.both + alone, verdict.images)


def _gain(verdict: Verdict) -> Interval | None:
    if verdict.default < 0:
        return None
    return balanced_gain_interval(verdict) if verdict.by_class else gain_interval(verdict)


def _tie(population: Population, id: int) -> Tie | None:
    finalists = [one for one in population.finalists if one.id in population]
    winner, leader = winner_of(finalists), leader_of(finalists)
    # Final runs that came after the verdict may have another winner.
    if winner is None or leader is None or winner.id != id or winner is leader:
        return None
    return Tie(winner, leader, standard_error(finalists))


def _default(population: Population, verdict: Verdict) -> Standing | None:
    if verdict.default < 0:
        return None
    return _standing(population, verdict.default, _test(verdict, 2))


def _standing(population: Population, id: int, test: Interval) -> Standing:
    runs = tuple(
        record.outcome.fitness
        for record in population.finals(id)
        if record.outcome.score > -math.inf
    )
    mean = sum(runs) / len(runs)
    validation = Interval(mean, math.nan, math.nan)
    if metric_of(population) == ACCURACY:
        images = int(population.header.data["splits"]["val"])
        validation = share_interval(mean * images, images)
    recipe = population.recipe(id)
    return Standing(id, whole(recipe) if recipe else {}, runs, validation, test)
