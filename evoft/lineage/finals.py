"""Who wins the final runs: of those that the noise of a seed does not tell apart, the cheapest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evoft.header import Header
from evoft.lineage.record import Record
from evoft.trial import Stage


@dataclass(frozen=True, slots=True)
class Finalist:
    """An individual with those of its final runs that ended well."""

    id: int
    #: Fitness of each, at least one, ascending: so nothing depends on which of them ended first.
    scores: tuple[float, ...]
    #: Of its backbone with the classifier; infinite where the file does not say.
    parameters: float = math.inf
    #: Layer groups that it freezes.
    frozen: int = 0

    @property
    def mean(self) -> float:
        """The mean of its final runs."""
        return statistics.fmean(self.scores)


def finalists_of(records: Iterable[Record], header: Header) -> list[Finalist]:
    """Return those of whom a final run ended well, in order of birth."""
    runs: dict[int, list[Record]] = {}
    for record in records:
        if record.trial.stage is Stage.FINAL and record.outcome.score > -math.inf:
            runs.setdefault(record.trial.individual, []).append(record)
    found = []
    for id in sorted(runs):
        scores = tuple(sorted(record.outcome.score for record in runs[id]))
        parameters, minus_frozen = model_cost_of(runs[id][0].recipe, header)
        found.append(Finalist(id, scores, parameters, -minus_frozen))
    return found


def model_cost_of(recipe: Mapping[str, Any] | None, header: Header) -> tuple[float, int]:
    """Return what a recipe's model costs, the lower the cheaper.

    That is the parameters of its backbone with the classifier, infinite where the file does not
    say, and the layer groups that it freezes, negative.
    """
    known = recipe or {}
    sizes = {facts.get("model"): facts.get("parameters", math.inf) for facts in header.backbones}
    size = float(sizes.get(known.get("model"), math.inf))
    return size, -int(known.get("freeze_depth", 0))


def leader_of(finalists: Sequence[Finalist]) -> Finalist | None:
    """Return the finalist of the best mean, the elder of equals; None where there is none."""
    return max(finalists, key=lambda one: (one.mean, -one.id), default=None)


def standard_error(finalists: Sequence[Finalist]) -> float:
    """Return the standard error of the leader's mean.

    The variance of a run is pooled over all finalists, each about its own mean, for a few repeats
    of one alone say little of it.  0 where nobody has two runs: then the noise is not known.
    """
    leader = leader_of(finalists)
    freedom = sum(len(one.scores) - 1 for one in finalists)
    if leader is None or not freedom:
        return 0.0
    squares = math.fsum((score - one.mean) ** 2 for one in finalists for score in one.scores)
    return math.sqrt(squares / freedom / len(leader.scores))


def winner_of(finalists: Sequence[Finalist]) -> Finalist | None:
    """Return the cheapest of those whose means lie within one standard error of the best mean.

    That is the rule of one standard error of Breiman and others (1984, section 3.4.3).  Cheaper
    is who has fewer parameters; of equals who freezes more layer groups, then the elder.  Seconds
    are no part of it, for they would be others on each machine.
    """
    leader = leader_of(finalists)
    if leader is None:
        return None
    least = leader.mean - standard_error(finalists)
    equals = [one for one in finalists if one.mean >= least or one is leader]
    return min(equals, key=lambda one: (one.parameters, -one.frozen, one.id))
