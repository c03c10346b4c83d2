"""Who stands where after the final runs, and what the reading of the test split says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evoft.lineage import Population
from evoft.lineage.finals import winner_of
from evoft.trial import Stage, TrialKey
from evoft.verdict import Counts, Verdict


def best_run(population: Population, ids: Sequence[int] | None = None) -> TrialKey | None:
    """Return the best final run of who wins the final runs (``winner_of``).

    Args:
        population: With its final runs.
        ids: Among whom; None: all who were run again.
    """
    finalists = [one for one in population.finalists if ids is None or one.id in ids]
    winner = winner_of([one for one in finalists if one.id in population])
    if winner is None:
        return None
    runs = [record for record in population.finals(winner.id) if record.outcome.score > -math.inf]
    best = max(runs, key=lambda record: (record.outcome.score, -record.trial.repeat))
    return (Stage.FINAL, winner.id, best.trial.repeat)


def verdict_of(
    winner: TrialKey,
    default: TrialKey | None,
    right: list[NDArray[np.bool_]],
    labels: NDArray[np.int64] | None = None,
) -> Verdict:
    """Return the verdict of two runs from what each got right.

    Args:
        winner: The winner's run.
        default: The default recipe's run; None if it never ended well, and is then not compared.
        right: Which test images each of these runs got right, ``(test images,)``.
        labels: Their classes, ``(test images,)``, to be counted by; None: all together.
    """
    mine, other = right[0], right[-1]
    both, only_winner, only_default, neither = _counts(mine, other)
    alike = [] if labels is None else [labels == label for label in np.unique(labels)]
    return Verdict(
        winner=winner[1],
        winner_repeat=winner[2],
        default=default[1] if default else -1,
        default_repeat=default[2] if default else -1,
        both=both,
        only_winner=only_winner,
        only_default=only_default,
        neither=neither,
        by_class=tuple(_counts(mine[those], other[those]) for those in alike),
    )


def _counts(mine: NDArray[np.bool_], other: NDArray[np.bool_]) -> Counts:
    return (
        int((mine & other).sum()),
        int((mine & ~other).sum()),
        int((~mine & other).sum()),
        int((~mine & ~other).sum()),
    )
