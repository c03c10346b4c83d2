"""What a search is after: one objective or several, each by name and with its direction.

A score is an objective's value as selection sees it: higher is better, minus infinity for whoever
failed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from evoft.errors import SettingsError
from evoft.outcome import LARGEST, Outcome, Status


class Direction(StrEnum):
    """Which values of an objective are the better ones."""

    MAXIMISE = "max"
    MINIMISE = "min"


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing that a search is after."""

    name: str
    direction: Direction
    #: Whether it is the fitness itself, whatever that is called.
    fitness: bool = False

    def value(self, outcome: Outcome) -> float:
        """Return what a trial measured: its fitness, or the metric of this name; else NaN."""
        if outcome.status is not Status.OK:
            return math.nan
        if self.fitness:
            return outcome.fitness
        return float(outcome.metrics.get(self.name, math.nan))

    def score(self, outcome: Outcome) -> float:
        """Return the value as selection sees it: higher is better, minus infinity for none."""
        value = self.value(outcome)
        if not math.isfinite(value):
            return -math.inf
        return value if self.direction is Direction.MAXIMISE else -value

    def __str__(self) -> str:
        known = self.fitness or self in MEASURED
        return self.name if known else f"{self.name}:{self.direction}"


#: The fitness by each name that it goes by: that of the metric that it is, or its own.
_FITNESS = {
    name: Objective(name, Direction.MAXIMISE, fitness=True)
    for name in ("accuracy", "balanced_accuracy", "fitness")
}
#: The fitness, where it is nothing else than that.
FITNESS = _FITNESS["accuracy"]
#: What evoft measures when it trains: seconds that the model takes for one image; how many
#: parameters it has.
LATENCY = Objective("latency", Direction.MINIMISE)
PARAMETERS = Objective("parameters", Direction.MINIMISE)
#: All that fine-tuning reports, where the fitness is the accuracy.
MEASURED = (FITNESS, LATENCY, PARAMETERS)
_KNOWN = {**{objective.name: objective for objective in MEASURED}, **_FITNESS}


def objective_of(text: str) -> Objective:
    """Return the objective that a text names: a known one, or ``NAME:max`` or ``NAME:min``.

    Raises:
        SettingsError: It names none.
    """
    if isinstance(text, str) and text in _KNOWN:
        return _KNOWN[text]
    parts = re.fullmatch(r"([^\s:]+):(max|min)", text) if isinstance(text, str) else None
    if parts and parts[1] in {FITNESS.name, "fitness"}:  # neither is a metric beside it
        raise SettingsError(
            f"the fitness is maximised, and as an objective is `{parts[1]}` alone, but is "
            f"{text!r}: where less is better return the negative, or a metric of another name, as "
            "in energy:min"
        )
    if parts is None:
        is_name = isinstance(text, str) and re.fullmatch(r"[^\s:]+", text)
        way_out = f": say {text}:min or {text}:max of a metric" if is_name else ""
        raise SettingsError(
            f"an objective is {', '.join(map(str, MEASURED))}, or another name of the fitness "
            f"({', '.join(name for name in _FITNESS if name != FITNESS.name)}), or a metric of "
            f"one's own as in energy:min or f1:max, but is {text!r}{way_out}"
        )
    return Objective(parts[1], Direction(parts[2]))


def objectives_of(texts: Sequence[Objective | str]) -> tuple[Objective, ...]:
    """Return the objectives that texts name, and those that are there already.

    Raises:
        SettingsError: No list, none at all, one twice, the fitness by two names, or a text that
            names none.
    """
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise SettingsError(f"`objectives` must be a list of names, but is {texts!r}")
    objectives = tuple(one if isinstance(one, Objective) else objective_of(one) for one in texts)
    if not objectives:
        raise SettingsError("`objectives` must name at least one objective, but names none")
    names = [objective.name for objective in objectives]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SettingsError(f"`objectives` must be different, but {twice[0]} stands there twice")
    if len(both := [one.name for one in objectives if one.fitness]) > 1:
        raise SettingsError(
            f"`objectives` must have the fitness once, but it stands there as {' and '.join(both)}"
        )
    return objectives


def scores_of(objectives: Sequence[Objective], outcome: Outcome | None) -> tuple[float, ...]:
    """Return an outcome's score for each objective; minus infinity for all where one has none."""
    if outcome is None:
        return (-math.inf,) * len(objectives)
    scores = tuple(objective.score(outcome) for objective in objectives)
    return scores if -math.inf not in scores else (-math.inf,) * len(objectives)


def reporting(objectives: Sequence[Objective], outcome: Outcome) -> Outcome:
    """Return an outcome that reports all objectives: itself, or else a failure that says why."""
    if outcome.status is not Status.OK:
        return outcome
    for objective in objectives:
        if not objective.fitness and not abs(objective.value(outcome)) <= LARGEST:
            reason = _missing(objective, outcome.metrics)
            return replace(outcome, status=Status.FAILED, fitness=math.nan, reason=reason)
    return outcome


def check_reported(names: Collection[str], outcomes: Collection[Outcome]) -> None:
    """Refuse trials that ended well without what nobody has reported: that is no trial's failure.

    Args:
        names: Of the objectives that no trial before has reported.
        outcomes: Of the trials that have ended now.

    Raises:
        SettingsError: Which objectives, and what to return.
    """
    unheard = [name for name in names if not any(name in o.metrics for o in outcomes)]
    if unheard and any(outcome.status is Status.OK for outcome in outcomes):
        raise SettingsError(
            f"the search is after {' and '.join(f'`{name}`' for name in unheard)}, which no trial "
            f"has reported: return (or tell) {_returned(unheard)}, and go on with the population"
        )


def _missing(objective: Objective, metrics: Mapping[str, float]) -> str:
    if objective.name in metrics:
        value = metrics[objective.name]
        wrong = "beyond 1e150" if math.isfinite(value) else "no finite number"
        return f"the objective `{objective.name}` is {value}, {wrong}"
    return (
        f"the trial does not report the objective `{objective.name}`: return "
        f"{_returned([objective.name])}"
    )


def _returned(names: Sequence[str]) -> str:
    metrics = ", ".join(f"'{name}': ..." for name in names)
    return f"evoft.Outcome.of_fitness(fitness, metrics={{{metrics}}})"
