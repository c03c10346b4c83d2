"""BOHB (Falkner, Klein and Hutter 2018) by its authors' own hpbandster, behind ask and tell.

Its last release, 0.7.4, is of 2018 and wants four names that ConfigSpace 1 no longer has; they are
given back here.  Its master and workers are not used: its brackets are asked, and its model told.
"""

import logging
import math
from typing import Any

import numpy as np
from search_clock import Task
from search_peers import ETA, Continued, config_space, genome_of
from search_problems import Problem


class Bohb:
    """BOHB; where a bracket waits for its last answers the next is begun, as its master does."""

    def __init__(self, problem: Problem, seed: int) -> None:
        _mend_config_space()
        from hpbandster.optimizers.config_generators.bohb import BOHB

        logging.getLogger("hpbandster").setLevel(logging.CRITICAL)
        np.random.seed(seed % 2**32)  # it draws from numpy's global stream
        self._problem = problem
        self._model = BOHB(config_space(problem.space, seed))
        self._rungs = 1 + int(math.log(problem.epochs) / math.log(ETA) + 1e-9)
        self._brackets: list[Any] = []
        self._jobs: dict[int, Any] = {}
        self._asked = 0
        self._continued = Continued()

    def ask(self) -> Task | None:
        from hpbandster.core.dispatcher import Job

        id, config, budget = self._next()
        self._asked += 1
        self._jobs[self._asked] = Job(id, config=config, budget=budget)
        stop = min(max(1, round(budget)), self._problem.epochs)
        genome = genome_of(self._problem.space, config)
        return self._continued.task(genome, stop, self._asked)

    def tell(self, task: Task, scores: list[float]) -> None:
        job = self._jobs.pop(task.token)
        whole = len(scores) == task.stop - task.start
        job.result = {"loss": -scores[-1] if whole else math.inf}
        self._brackets[job.id[0]].register_result(job)
        self._model.new_result(job)

    def _next(self) -> tuple[Any, dict[str, Any], float]:
        for bracket in self._brackets:
            if not bracket.is_finished and (found := bracket.get_next_run()) is not None:
                return found  # type: ignore[no-any-return]
        self._brackets.append(self._bracket(len(self._brackets)))
        return self._next()

    def _bracket(self, number: int) -> Any:
        """Return a bracket, of the sizes that its ``BOHB.get_next_iteration`` gives it."""
        from hpbandster.optimizers.iterations import SuccessiveHalving

        halvings = self._rungs - 1 - number % self._rungs
        count = self._rungs // (halvings + 1) * ETA**halvings
        counts = [max(count // ETA**i, 1) for i in range(halvings + 1)]
        budgets = [self._problem.epochs / ETA ** (halvings - i) for i in range(halvings + 1)]
        return SuccessiveHalving(number, counts, budgets, self._model.get_config)


def _mend_config_space() -> None:
    """Give ConfigSpace the names back that hpbandster calls it by."""
    from ConfigSpace import Configuration, ConfigurationSpace

    Configuration.get_dictionary = lambda config: {**config}
    ConfigurationSpace.get_hyperparameters = lambda space: list(space.values())
    ConfigurationSpace.get_hyperparameter = ConfigurationSpace.__getitem__
    ConfigurationSpace.get_hyperparameter_by_idx = lambda space, place: list(space)[place]
