"""A simulated clock: a search runs against a problem on some number of workers."""

import heapq
import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from search_problems import Array, Problem

from evoft.genome import Genome
from evoft.seeds import derive


@dataclass(frozen=True)
class Task:
    """A question of a search: train the run's genome from epoch ``start`` to ``stop``."""

    #: Tells runs apart; a run that is asked for again goes on from its checkpoint.
    run: int
    genome: Genome
    start: int
    stop: int
    #: The search's own name for the question.
    token: int


class Searcher(Protocol):
    """What is compared."""

    def ask(self) -> Task | None:
        """Return the next question; None: it waits for an answer, or has ended."""

    def tell(self, task: Task, scores: list[float]) -> None:
        """Take the scores after each of the task's epochs; fewer of them: it diverged."""


@dataclass(frozen=True)
class Trace:
    """How good the best found so far is, over time."""

    #: In full trainings: worker time, idle time included, ``(n,)`` ascending.
    costs: Array
    #: True score of the one that had the highest observed score at that time, ``(n,)``.
    scores: Array
    #: That observed score, ``(n,)`` ascending.
    observed: Array
    decisions: int
    #: Processor time of the search itself.
    seconds: float
    #: The error that ended the search early; empty: none did.
    error: str = ""


@dataclass
class _Meter:
    """Processor time of a search."""

    seconds: float = 0.0

    def __enter__(self) -> None:
        self.started = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.process_time() - self.started


def simulate(
    searcher: Searcher, problem: Problem, full: float, *, workers: int, seed: int
) -> Trace:
    """Return what a search finds in ``full`` full trainings' worth of worker time.

    An epoch lasts as long as any other, or as the problem says.  All scores of a task's epochs
    count as observed when they were measured; the search learns them when the task ends.
    """
    end = full * problem.epochs / workers
    now, decisions, meter, error = 0.0, 0, _Meter(), ""
    running: list[tuple[float, int, Task, list[float]]] = []
    seen: list[tuple[float, float, float]] = []  # when, observed, true
    try:
        while now < end:
            while len(running) < workers:
                with meter:
                    task = searcher.ask()
                if task is None:
                    break
                noise = derive(seed, "noise", task.run)
                answer = problem.answer(task.genome, noise, task.start, task.stop)
                pace = problem.price(task.genome) if problem.price else 1.0
                seen += [(now + pace * after, *scores) for after, *scores in answer.judged]
                ends = now + pace * answer.lasts
                heapq.heappush(running, (ends, decisions, task, answer.scores))
                decisions += 1
            if not running:
                break
            now, _, task, scores = heapq.heappop(running)
            with meter:
                searcher.tell(task, scores)
    except Exception as failure:  # a peer that breaks keeps what it has found
        error = f"{type(failure).__name__}: {failure}"
    costs, observed, true = _best_so_far(seen, end)
    costs = costs * workers / problem.epochs
    return Trace(costs, true, observed, decisions, meter.seconds, error)


def _best_so_far(seen: list[tuple[float, float, float]], end: float) -> tuple[Array, Array, Array]:
    found: list[tuple[float, float, float]] = []
    for when, observed, true in sorted(seen):
        if when <= end + 1e-9 and observed > (found[-1][1] if found else -math.inf):
            found.append((when, observed, true))
    costs, tops, scores = np.array(found).reshape(-1, 3).T
    return costs, tops, scores


def regret_at(trace: Trace, problem: Problem, points: NDArray[np.float64]) -> Array:
    """Return the normalised regret at costs, ``(k,)``; 1.5 before anything is known."""
    return np.array([problem.regret(float(trace.scores[i])) if i >= 0 else 1.5
                     for i in _places(trace, points)])  # fmt: skip


def scores_at(trace: Trace, points: NDArray[np.float64]) -> list[tuple[float, float] | None]:
    """Return the true and the observed score of the best at costs; None before there is one."""
    return [(float(trace.scores[i]), float(trace.observed[i])) if i >= 0 else None
            for i in _places(trace, points)]  # fmt: skip


def _places(trace: Trace, points: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.searchsorted(trace.costs, points + 1e-9, side="right") - 1
