"""Who stands where after the final runs: the finalists by the mean of their fresh seeds."""

from __future__ import annotations

import math
import statistics

import numpy as np
from numpy.typing import NDArray

from evoft.lineage import Population
from evoft.trial import Stage, TrialKey
from evoft.verdict import Verdict


def candidates(population: Population) -> list[int]:
    """Return the ids of those that were run again and did well."""
    ids = {key[1] for key in population.records if key[0] is Stage.FINAL}
    return sorted(id for id in ids if _final_scores(population, id))


def _final_scores(population: Population, id: int) -> list[tuple[float, int]]:
    runs = population.finals(id)
    scores = [(record.outcome.score, record.trial.repeat) for record in runs]
    return [(score, repeat) for score, repeat in scores if score > -math.inf]


def final_mean(population: Population, id: int) -> float:
    """Return the mean fitness of an individual's final runs; NaN if none did well."""
    scores = [score for score, _ in _final_scores(population, id)]
    # Sorted, so that the mean does not depend on the order in which the runs ended.
    return statistics.fmean(sorted(scores)) if scores else math.nan


def best_run(population: Population, ids: list[int]) -> TrialKey | None:
    """Return the best final run of the individual with the best mean, the elder of equals."""
    good = [id for id in ids if id in population and _final_scores(population, id)]
    if not good:
        return None
    id = max(good, key=lambda id: (final_mean(population, id), -id))
    _, repeat = max(_final_scores(population, id), key=lambda run: (run[0], -run[1]))
    return (Stage.FINAL, id, repeat)


def verdict_of(
    winner: TrialKey, default: TrialKey | None, right: list[NDArray[np.bool_]]
) -> Verdict:
    """Return the verdict of two runs from what each got right.

    Args:
        winner: The winner's run.
        default: The default recipe's run; None if it never ended well, and is then not compared.
        right: Which test images each of these runs got right, ``(test images,)``.
    """
    mine, other = right[0], right[-1]
    return Verdict(
        winner=winner[1],
        winner_repeat=winner[2],
        default=default[1] if default else -1,
        default_repeat=default[2] if default else -1,
        both=int((mine & other).sum()),
        only_winner=int((mine & ~other).sum()),
        only_default=int((~mine & other).sum()),
        neither=int((~mine & ~other).sum()),
    )
