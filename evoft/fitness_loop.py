"""The loop around a fitness function of one's own: workers, generations, final runs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import closing

from evoft.arguments import FitnessFunction
from evoft.evolution import Evolution
from evoft.individual import Generation
from evoft.run import MOST_FOR_FINALS, cost_of_finals, drive, final_trials, run_all
from evoft.settings import Settings
from evoft.workers.evaluation import FitnessTarget
from evoft.workers.executor import ExecutorWorkers
from evoft.workers.inline import InlineWorkers
from evoft.workers.local import LocalWorkers
from evoft.workforce import Workers

_logger = logging.getLogger(__name__)

#: Seconds of short evaluations in the caller's process that a kill may cost.
_TOGETHER = 0.05


def generations_of(
    make: Callable[[], Evolution],
    fitness: FitnessFunction,
    settings: Settings,
    executor: Executor | None = None,
) -> Iterator[Generation]:
    """Yield generations; nothing is started or written before the first is asked for."""
    search, budget = settings.search, settings.run.budget
    finals = (search.finalists + 1) * search.repeats if search.finalists else 0
    # The workers first: a fitness that cannot be sent to them leaves no empty file behind.
    pool = _workers(fitness, settings, executor)
    try:
        with make() as evolution:

            def kept_back() -> float:
                seconds = evolution.mean_seconds * cost_of_finals(evolution, finals)
                seconds /= settings.run.workers or 1
                return min(seconds, MOST_FOR_FINALS * (budget or math.inf))

            generations = drive(evolution, pool, budget=budget, reserve=kept_back)
            with closing(generations):
                yield from _heard(generations)
            if finals and evolution.best is not None:
                _run_finals(evolution, pool, budget)
    finally:
        pool.close()


def _workers(fitness: FitnessFunction, settings: Settings, executor: Executor | None) -> Workers:
    target = FitnessTarget(fitness)
    if executor is not None:
        return ExecutorWorkers(target, executor, settings.run.workers or 1)
    if settings.run.workers is None:
        if settings.run.trial_timeout is not None:
            _logger.warning("with workers=0 there is no `trial_timeout`: give workers=1 or more")
        return InlineWorkers(target, _TOGETHER)
    return LocalWorkers(
        target,
        devices=["any"] * settings.run.workers,
        trial_timeout=settings.run.trial_timeout,
    )


def _heard(generations: Iterable[Generation]) -> Iterator[Generation]:
    """Yield generations; say once, at the first of them, that nobody so far has ended well.

    A failure is data, but where there is nothing else it is most likely a mistake in the fitness,
    which a loop that waits for its generations would hear of only when all are spent.
    """
    for index, generation in enumerate(generations):
        failed = generation.individuals if generation.best_so_far is None else ()
        if index == 0 and failed and failed[0].outcome is not None:
            _logger.warning(
                "every individual so far has failed, the first of generation %d with: %s",
                generation.index,
                failed[0].outcome.reason,
            )
        yield generation


def _run_finals(evolution: Evolution, pool: Workers, budget: float | None) -> None:
    count, repeats = evolution.search.settings.finalists, evolution.search.settings.repeats
    trials = final_trials(evolution, count, repeats)
    run_all(evolution, pool, trials, lambda trial, outcome: None, budget=budget)
    if left := len(final_trials(evolution, count, repeats)):
        _logger.warning(
            "the budget is spent, so that final runs are left out (%d): `evoft.resume` with a "
            "larger one makes them",
            left,
        )
