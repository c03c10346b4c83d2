"""The referee at a decision, made from what is known and kept from one decision to the next.

Its kernel is fitted now and then, to the stints that were learned by that time; later ones are
appended one by one.  So it is a pure function of what was learned, in its order, and what is kept
only saves time: a resumed run comes to the same numbers with one fit, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evoft.search.evolution.compromise import measured
from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.evidence import fit
from evoft.search.evolution.kernel import Observations, Priors
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.evolution.referee import Referee
from evoft.search.evolution.yardstick import Yardstick

#: The kernel is fitted anew when there are this many times as many stints, or so many more: between
#: two fits the referee rests on all that is learned.
_GROWTH, _MORE = 1.2, 100
#: Observations that the kernel is fitted to, and that the referee rests on after a fit.
_FITTED, _SEEN = 240, 640


class Judge:
    """Knows the referee of all that was learned.

    Args:
        knowledge: What was learned.
        genes: Gene of each column of an encoded genome.
        reach: Of the yardstick.
    """

    def __init__(self, knowledge: Knowledge, genes: Indices, reach: float) -> None:
        self._knowledge = knowledge
        self._genes = genes
        self._priors = Priors.of(int(genes.max()) + 1)
        self._reach = reach
        self._due = 0  # stints that the kernel is fitted to
        self._seen = 0  # stints that the referee has seen
        self._places: Indices = np.empty(0, np.intp)
        self._referee: Referee | None = None

    def referee(self, scores: Array) -> tuple[Referee, Yardstick]:
        """Return the referee that has seen every learned stint, and the scale of its scores.

        At least one stint must have been learned.

        Args:
            scores: How good all observations are, ``(n,)``.  With several objectives they may be
                others at each decision: the kernel is the same for all.
        """
        known = self._knowledge
        yardstick = Yardstick.of(scores, reach=self._reach)
        scores = yardstick(scores)
        referee = self._fitted(last_fit(known.learned), scores)
        for stint in range(self._seen, known.learned):
            new = np.arange(known.ends[stint], known.ends[stint + 1], dtype=np.intp)
            referee = referee.extended(known.who[new], known.when[new], known.rows, scores[new])
            self._places = np.append(self._places, new)
        self._seen = known.learned
        data = replace(referee.data, rows=known.rows)
        self._referee = replace(referee, data=data).given(scores[self._places])
        return self._referee, yardstick

    def _fitted(self, due: int, scores: Array) -> Referee:
        """Return the referee as it is kept, if its kernel was fitted then; else a fresh one."""
        if self._referee is not None and due == self._due:
            return self._referee
        known = self._knowledge
        data, places = known.observations(due, _FITTED)
        values = measured(known.values[: known.ends[due]], reach=self._reach)[places]
        kernel = fit(_compact(data), _varied(values), self._genes, self._priors)
        data, self._places = known.observations(due, _SEEN)
        self._due = self._seen = due
        return Referee.of(kernel, data, scores[self._places])


def _varied(values: Array) -> Array:
    """Return the columns in which not all are equal: the others would say that nothing varies."""
    varied = np.ptp(values, axis=0) > 0
    return values[:, varied] if varied.any() else values[:, :1]


def last_fit(learned: int) -> int:
    """Return after how many of so many stints, at least 1, the kernel is fitted the last time."""
    due = 1
    while (after := max(due + 1, min(math.ceil(due * _GROWTH), due + _MORE))) <= learned:
        due = after
    return due


def expecting(referee: Referee, running: Mapping[int, float]) -> Referee:
    """Return the referee that takes the stints in flight to end as it predicts.

    Args:
        referee: What it has seen.
        running: The ids of those in flight, and when their stints end.
    """
    if not running:
        return referee
    who = np.array(sorted(running), dtype=np.intp)
    when = np.array([running[int(id)] for id in who])
    return referee.extended(who, when, referee.data.rows, referee.born(who).means(when))


def _compact(data: Observations) -> Observations:
    """Return the observations with the rows of those alone who were observed."""
    ids, who = np.unique(data.who, return_inverse=True)
    return Observations(who, data.when, data.rows[ids])
