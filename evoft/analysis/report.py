"""The report at the end of a run: the best recipe beside the default one, and what it gained."""

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
from evoft.analysis.largest_class import largest_class_of, largest_class_sentences
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


def metric_of(population: Population) -> str:
    """Return what a population's fitness is; files of earlier versions do not say."""
    metric: str = population.header.settings.get("training", {}).get("metric", ACCURACY)
    return metric


def words_of(metric: str) -> str:
    """Return a metric's name as one says it."""
    return metric.replace("_", " ")


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


def percent(interval: Interval | None) -> str:
    """Return an accuracy and its interval in per cent, as in ``98.1 % (96.1 to 99.1)``."""
    if interval is None:
        return ""
    if math.isnan(interval.low):
        return f"{100 * interval.estimate:.1f} %"
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.estimate:.1f} % ({low:.1f} to {high:.1f})"


def comparison_rows(report: Report) -> list[tuple[str, str, str]]:
    """Return the rows of the table that sets the best recipe beside the default."""
    default = report.default
    rows = []
    for name in report.winner.recipe:
        mine = plain(report.winner.recipe[name])
        other = plain(default.recipe[name]) if default else "failed"
        rows.append((name, mine, other))
    return rows + accuracy_rows(report)


def accuracy_rows(report: Report) -> list[tuple[str, str, str]]:
    """Return the rows of that table that say how good the two are."""
    default, rows = report.default, []
    runs = len(report.winner.validation_runs)
    seeds = "1 fresh seed" if runs == 1 else f"mean of {runs} fresh seeds"
    rows.append(
        (
            f"validation {words_of(report.metric)}, {seeds}",
            percent(report.winner.validation),
            percent(default.validation) if default else "failed",
        )
    )
    rows.append(
        (
            f"test {words_of(report.metric)}",
            percent(report.winner.test),
            percent(default.test) if default else "failed",
        )
    )
    return rows


def result_sentences(report: Report) -> list[str]:
    """Return what there is to say of the test split: what is nothing, and what was gained."""
    return [
        *largest_class_sentences(report.largest_class, "test", report.metric),
        gain_sentence(report),
        *([tie_sentence(report.tie)] if report.tie else []),
    ]


def gain_sentence(report: Report) -> str:
    """Return what the winner gained over the default recipe on the test split, honestly."""
    if report.gain is None:
        return "The default recipe never ended well, so there is nothing to compare with."
    if report.default and report.default.id == report.winner.id:
        return "The default recipe won: nothing that was bred beat it. No gain."
    gain = report.gain
    points = "points" if report.metric == ACCURACY else f"points of {words_of(report.metric)}"
    numbers = (
        f"{100 * gain.estimate:+.1f} {points} on the test images "
        f"(95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )
    if report.significant:
        return f"Gain over the default recipe: {numbers}."
    return f"No significant gain over the default recipe: {numbers}."


def tie_sentence(tie: Tie) -> str:
    """Return why another than the finalist of the best mean won."""
    winner, leader = tie.winner, tie.leader
    if winner.parameters != leader.parameters:
        cheaper = f"it has {winner.parameters:,.0f} parameters, not {leader.parameters:,.0f}"
    elif winner.frozen != leader.frozen:
        cheaper = f"it freezes {winner.frozen} layer groups, not {leader.frozen}"
    else:
        cheaper = "it is the elder"
    return (
        f"The final runs do not tell #{winner.id} from #{leader.id}, whose mean is "
        f"{100 * (leader.mean - winner.mean):.2f} points better (standard error "
        f"{100 * tie.error:.2f}): #{winner.id} won, for {cheaper}."
    )


def optimism_sentence(report: Report) -> str:
    """Return how far the search misjudged the winner, by its final runs."""
    points = round(100 * report.optimism, 1)
    search = "the search"
    finals = "final run" if len(report.winner.validation_runs) == 1 else "final runs"
    if report.epochs is not None:
        search += f", after {epochs_text(report.epochs)},"
    if not points:
        return f"In {search} it looked as good as in its {finals}."
    better = "better" if points > 0 else "worse"
    return f"In {search} it looked {abs(points):.1f} points {better} than in its {finals}."


def epochs_text(epochs: float) -> str:
    """Return a number of epochs with its unit."""
    return "1 epoch" if epochs == 1 else f"{plain(epochs)} epochs"


def readings_sentence(report: Report) -> str:
    """Return how often the test split was read, which makes its numbers less honest each time."""
    if report.readings == 1:
        return "The test split was read once."
    return (
        f"The test split was read {report.readings} times over the life of this population, each "
        "time for another winner: its numbers are a little optimistic."
    )


def plain(value: object) -> str:
    """Return a value as short as it can be told: four significant digits for a number."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
