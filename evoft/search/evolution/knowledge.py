"""What is known at a decision: who was born, who is in flight, and what was learned in which order.

It stands on what was taken and learned alone, and on neither's order with respect to the other: on
a resumed run everything is taken before anything is learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evoft.ladder import Ladder
from evoft.objectives import FITNESS, Objective, scores_of
from evoft.outcome import Outcome, Status
from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.kernel import Observations
from evoft.search.stint import Stint
from evoft.seeds import generator

#: Of the room for observations: the share of the best, and of the best and the latest together.
_BEST, _LATEST = 0.5, 0.7


class Knowledge:
    """A fold over stints and outcomes; it only grows.

    Args:
        ladder: The rungs.
        genes: How many.
        columns: Of an encoded genome.
        seed: Of the run.
        objectives: What the search is after.
    """

    def __init__(
        self,
        ladder: Ladder,
        genes: int,
        columns: int,
        seed: int,
        objectives: Sequence[Objective] = (FITNESS,),
    ) -> None:
        #: Where each rung stands in time, ``(rungs,)``.
        self.times = _times(ladder)
        #: Everyone's units and encoded genome, ``(born, genes)`` and ``(born, columns)``.
        self.units: Array = np.empty((0, genes))
        self.rows: Array = np.empty((0, columns))
        #: By id, what was learned of it: its fitness, the lowest rung's first.  A failure is minus
        #: infinity, and the last; so is a lost trial, which is NaN.
        self.curves: dict[int, tuple[float, ...]] = {}
        #: By id, the rung at which the stint ends that is in flight.
        self.running: dict[int, int] = {}
        #: The stint that was learned last.
        self.latest: Stint | None = None
        #: Whose and when, ``(n,)``, and how good in each objective, ``(n, objectives)``.
        self.who: Indices = np.empty(0, np.intp)
        self.when: Array = np.empty(0)
        self.values: Array = np.empty((0, len(objectives)))
        #: How many observations the first k learned stints made, ``(learned + 1,)``.
        self.ends: list[int] = [0]
        self._objectives = tuple(objectives)
        #: By id, where its latest observation stands.
        self._latest: dict[int, int] = {}
        self._seed = seed
        self._top = ladder.top

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self._objectives) > 1

    @property
    def scores(self) -> Array:
        """How good the observations are, ``(n,)``, where there is one objective."""
        return self.values[:, 0]

    @property
    def learned(self) -> int:
        """How many stints were learned, lost ones left out."""
        return len(self.ends) - 1

    def bear(self, units: Array, row: Array) -> None:
        """Take the units, ``(genes,)``, and the encoded genome, ``(columns,)``, of who is born."""
        self.units = np.vstack([self.units, units])
        self.rows = np.vstack([self.rows, row])

    def take(self, stint: Stint) -> None:
        """Take a stint that was decided."""
        self.running[stint.individual] = stint.rung

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Take the outcome of a stint.

        A lost one shows nothing, for it was the machine that failed: its individual is left as
        it is and never continued.
        """
        id, values = stint.individual, scores_of(self._objectives, outcome)
        lost = outcome.status is Status.LOST
        score = outcome.score if values[0] > -math.inf else -math.inf
        if lost:
            score = math.nan
        self.latest = stint
        if self.running.get(id) == stint.rung:
            del self.running[id]
        self.curves[id] = (*self.curves.get(id, ()), score)
        if lost:
            return
        rungs = [stint.rung]
        if score == -math.inf and stint.rung < self._top:
            rungs.append(self._top)  # it warns of the rung where it failed, and of a full training
        self.who = np.append(self.who, [id] * len(rungs)).astype(np.intp)
        self.when = np.append(self.when, self.times[rungs])
        self._latest[id] = len(self.values)
        self.values = np.vstack([self.values, [values] * len(rungs)])
        self.ends.append(len(self.who))

    def rung(self, id: int) -> int:
        """Return the highest rung at which an individual was judged; -1 where at none."""
        return len(self.curves.get(id, ())) - 1

    def is_waiting(self, id: int) -> bool:
        """Tell whether an individual was judged, did not fail, and can be trained on."""
        curve = self.curves.get(id, ())
        can = 0 < len(curve) <= self._top and id not in self.running
        return can and curve[-1] > -math.inf

    def latest_of(self, ids: Indices) -> Indices:
        """Return where the observations of individuals on their highest rungs stand, ``(k,)``."""
        return np.array([self._latest[id] for id in ids.tolist()], dtype=np.intp)

    def alive(self, most: int, scores: Array) -> Indices:
        """Return the ids of those who were judged and did not fail, ascending.

        Where there are more than so many, those are left out that do worst for their rung by these
        scores of all observations, ``(n,)``; each rung has an equal share of the room.
        """
        rungs: dict[int, list[tuple[float, int]]] = {}
        for id, curve in self.curves.items():
            if curve[-1] > -math.inf:
                score = float(scores[self._latest[id]])
                rungs.setdefault(len(curve), []).append((-score, id))
        room, left = most, len(rungs)
        chosen: list[int] = []
        # What the rungs of few do not need the others have.
        for those in sorted(rungs.values(), key=len):
            share = math.ceil(room / left)
            chosen += [id for _, id in sorted(those)[:share]]
            room, left = most - len(chosen), left - 1
        return np.array(sorted(chosen), dtype=np.intp)

    def observations(self, learned: int, most: int) -> tuple[Observations, Indices]:
        """Return what the first learned stints showed, at most so much of it.

        Where it is too much, whole individuals are left out: the best take half of the room, the
        latest a fifth, and the rest is drawn from all others, for the shape of the whole.

        Returns:
            The observations, ordered by individual, and where in ``values`` each stands, ``(n,)``.
        """
        count = self.ends[learned]
        who = self.who[:count]
        places = np.arange(count)
        if count > most:
            places = np.flatnonzero(np.isin(who, self._chosen(learned, most)))
        places = places[np.argsort(who[places], kind="stable")]
        return Observations(who[places], self.when[places], self.rows), places

    def _chosen(self, learned: int, most: int) -> NDArray[np.intp]:
        count = self.ends[learned]
        who = self.who[:count]
        sizes = np.bincount(who)
        tops = np.full(len(sizes), -np.inf)
        np.maximum.at(tops, who, self._merits(count))
        everyone = np.flatnonzero(sizes)
        best = everyone[np.argsort(-tops[everyone], kind="stable")]
        shuffled = generator(self._seed, "subset", learned).permutation(everyone)
        chosen: dict[int, None] = {}
        room = 0
        for group, share in ((best, _BEST), (everyone[::-1], _LATEST), (shuffled, 1.0)):
            for id in group.tolist():
                if room >= share * most:
                    break
                if id not in chosen:
                    chosen[id] = None
                    room += int(sizes[id])
        return np.array(sorted(chosen), dtype=np.intp)

    def _merits(self, count: int) -> Array:
        """Return what puts the first so many observations in order, the higher the better."""
        if not self.several:
            return self.scores[:count]
        # numba, which the kernels need, takes a moment to import.
        from evoft.kernels.ranking import ranks_of

        return -ranks_of(self.values[:count]).astype(np.float64)


def _times(ladder: Ladder) -> Array:
    """Return where rungs stand between the lowest (0) and the highest (1), in the logarithm."""
    if not ladder.top:
        return np.ones(1)
    logs = np.log(np.array(ladder.rungs) / ladder.rungs[0])
    times = np.asarray(logs / logs[-1])
    times[-1] = 1.0
    return times
