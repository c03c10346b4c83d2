"""Which of the trials that wait for a worker goes next, and which go with it.

The lineage does not depend on it: what is decided from which outcomes is settled whatever the order
of evaluation.  Only how long the workers take does.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Collection, Hashable, Sequence
from typing import Protocol

from evoft.trial import Trial

#: Most trials in one job: what a worker's death or a limit can cost at once.
_MOST_TOGETHER = 64


class Policy(Protocol):
    """What is known of trials before they run."""

    @property
    def in_turn(self) -> bool:
        """Whether there is nothing to choose among trials: first come, first served, each alone."""

    def cost(self, trial: Trial) -> float:
        """Return the seconds that a trial is going to take alone, above 0."""

    def company(self, trial: Trial) -> Hashable:
        """Return what trials must have in common to be evaluated together; None: alone."""

    def kin(self, trial: Trial) -> Hashable:
        """Return what trials have in common that one worker had better do; None: nothing."""


def in_order(waiting: Sequence[Trial], policy: Policy, workers: int, *, last: bool) -> list[Trial]:
    """Return the trials that wait, the one to start next first.

    While the search goes on, a trial that waits holds up what is decided from it, and the later it
    was decided itself the later that is due: at the pace of one trial's mean cost a worker.  First
    comes the one with the least slack, the time until then less its own cost (the minimum slack
    rule; Panwalkar and Iskander 1977).  Once nothing more is to be decided, the longest comes first
    (Graham 1969).  Longest first all along would starve the search: see
    benchmarks/results/scheduling.md.

    Args:
        waiting: Trials of one stage.
        policy: Tells their costs.
        workers: How many trials run at a time.
        last: Whether nothing is decided from any of them.
    """
    if not waiting:
        return []
    costs = {trial.key: policy.cost(trial) for trial in waiting}
    pace = 0.0 if last else statistics.fmean(costs.values()) / workers
    slack = {t.key: t.number * pace - costs[t.key] for t in waiting}
    return sorted(waiting, key=lambda t: (slack[t.key], t.number, t.individual, t.repeat))


def next_job(
    waiting: Sequence[Trial],
    policy: Policy,
    workers: int,
    *,
    last: bool,
    at_hand: Collection[Hashable] = (),
) -> tuple[Trial, ...]:
    """Return the trials that one worker is to take next, together; none if none wait.

    Args:
        waiting: Trials of one stage.
        policy: Tells what they cost and have in common.
        workers: How many there are.
        last: Whether nothing is decided from any of them.
        at_hand: The kin that idle workers had before: of as many trials as there are workers, the
            first of such kin goes ahead of the others.
    """
    ordered = in_order(waiting, policy, workers, last=last)
    near = [trial for trial in ordered[:workers] if policy.kin(trial) in at_hand]
    if not ordered:
        return ()
    return _together((near or ordered)[0], ordered, policy, workers)


def _together(
    first: Trial, ordered: Sequence[Trial], policy: Policy, workers: int
) -> tuple[Trial, ...]:
    """Return a trial and its company, of which each worker can have as many."""
    company = policy.company(first)
    if company is None:
        return (first,)
    others = [t for t in ordered if t is not first and policy.company(t) == company]
    count = min(_MOST_TOGETHER, math.ceil((1 + len(others)) / workers))
    return (first, *others[: count - 1])


def span(costs: Sequence[float], workers: int, *, population_size: int, lookahead: int) -> float:
    """Return the seconds that workers take for births in a row, as the search allows them.

    Trials start in order of birth, each when a worker is free and the births that it is bred from
    have ended: all but the ``lookahead`` before it, none for the founders.

    Args:
        costs: Seconds of each birth's trial, in order of birth.
        workers: How many trials run at a time.
        population_size: How many of them are founders.
        lookahead: How many may be in the open at a birth.
    """
    free = [0.0] * workers
    judged = [0.0]  # when all births up to this one have ended
    for number, cost in enumerate(costs):
        needed = 0 if number < population_size else max(0, number - lookahead)
        end = max(heapq.heappop(free), judged[needed]) + cost
        heapq.heappush(free, end)
        judged.append(max(judged[-1], end))
    return judged[-1]


def span_of_last(costs: Sequence[float], workers: int) -> float:
    """Return the seconds that workers take for trials that nothing waits for, longest first."""
    free = [0.0] * workers
    for cost in sorted(costs, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + cost)
    return max(free)
