"""What is compared: evoft's strategies through its own search, and the peers."""

import ast
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from search_asha import Asha, Random
from search_bohb import Bohb
from search_clock import Searcher, Task
from search_peers import Dehb, OptunaSearch, Smac
from search_problems import Problem

from evoft.outcome import Outcome, Status
from evoft.search.chronicle import Chronicle
from evoft.search.search import Search
from evoft.search.strategy import Strategy
from evoft.settings import STRATEGIES, SearchSettings


class Evoft:
    """One of evoft's strategies, with as many stints in flight as there are workers.

    Options are settings of the search, or constants of the evolution (its ``tuning.py``), those of
    its broods after ``brood_``; or ``cooldown``, the share of a rung's epochs that is one, which
    costs what it costs in a training and on a table is of no use.  ``advised`` tells it what
    ``evoft evolve`` is told: the default recipe and the linear probe.  ``priced`` tells it what an
    epoch of a genome takes.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        strategy: str,
        *,
        workers: int,
        cooldown: float = 0.0,
        advised: bool = False,
        priced: bool = False,
        **options: Any,
    ) -> None:
        known = {field.name for field in fields(SearchSettings)}
        given = {k: v for k, v in options.items() if k in known}
        constants = {k: v for k, v in options.items() if k not in known}
        settings = SearchSettings(
            strategy=strategy, generations=None, **{"lookahead": workers - 1, **given}
        )
        self._ladder = ladder = settings.ladder(problem.epochs, cooldown)
        space, named = problem.space, {}
        if advised and problem.advised is not None:
            space, named = problem.advised, {"linear probe": {"freeze_depth": 1.0}}
        self.search = Search(
            space, settings, seed, ladder=ladder, named=named, express=problem.express,
            price=problem.price if priced else None,
            strategy=_evolution(constants) if constants else None,
        )  # fmt: skip

    def ask(self) -> Task | None:
        stint = self.search.ask()
        if stint is None:
            return None
        genome = self.search.born[stint.individual].genome
        start, stop = int(self._ladder.begins(stint.rung)), int(self._ladder.rungs[stint.rung])
        return Task(stint.individual, genome, start, stop, stint.number)

    def tell(self, task: Task, scores: list[float]) -> None:
        if len(scores) == task.stop - task.start:
            outcome = Outcome.of_fitness(scores[-1])
        else:
            outcome = Outcome(Status.DIVERGED, reason="the score is not a finite number")
        self.search.tell(task.token, outcome)


def _evolution(constants: dict[str, Any]) -> Callable[[Chronicle], Strategy]:
    from evoft.search.evolution.algorithm import Evolution
    from evoft.search.evolution.brood import Breeding
    from evoft.search.evolution.tuning import Tuning

    brood = {k[6:]: v for k, v in constants.items() if k.startswith("brood_")}
    rest = {k: v for k, v in constants.items() if not k.startswith("brood_")}
    tuning = Tuning(breeding=Breeding(**brood), **rest)
    return lambda chronicle: Evolution(chronicle, tuning=tuning)


def _optuna(sampler: str, *, prune: bool, **options: Any) -> Callable[..., Searcher]:
    def made(problem: Problem, seed: int, full: float) -> Searcher:
        return OptunaSearch(problem, seed, sampler, prune=prune, **options)

    return made


def _modelling(sampler: str, *, prune: bool, **options: Any) -> Callable[..., Searcher]:
    """Return what makes an Optuna sampler that models what it saw.

    By default it draws the first ten trials at random.  Where each is a full training, as without
    a pruner, that is all of a short run: then it draws a third of them, and three at least.
    """

    def made(problem: Problem, seed: int, full: float) -> Searcher:
        few = min(10, max(3, round(full / 3)))
        drawn = 10 if prune and problem.epochs > 1 else few
        return OptunaSearch(problem, seed, sampler, prune=prune, n_startup_trials=drawn, **options)

    return made


#: Peers by name.
PEERS: dict[str, Callable[..., Searcher]] = {
    "optuna-tpe-hyperband": _modelling("TPESampler", prune=True, multivariate=True),
    "optuna-tpe-hyperband-advised": _modelling(
        "TPESampler", prune=True, multivariate=True, advised=True
    ),
    "optuna-tpe-hyperband-univariate": _modelling("TPESampler", prune=True),
    "optuna-tpe": _modelling("TPESampler", prune=False, multivariate=True),
    "optuna-gp": _modelling("GPSampler", prune=False, needs="torch"),
    "optuna-gp-hyperband": _modelling("GPSampler", prune=True, needs="torch"),
    "optuna-nsga2": _optuna("NSGAIISampler", prune=False, population_size=20),
    "optuna-nsga2-hyperband": _optuna("NSGAIISampler", prune=True, population_size=20),
    "optuna-cmaes": _optuna("CmaEsSampler", prune=False, needs="cmaes"),
    "optuna-cmaes-hyperband": _optuna(
        "CmaEsSampler", prune=True, needs="cmaes", consider_pruned_trials=True
    ),
    "random search": lambda problem, seed, full: Random(problem, seed),
    "plain asha": lambda problem, seed, full: Asha(problem, seed),
    "asha with breeding": lambda problem, seed, full: Asha(problem, seed, evolve=True),
    "bohb": lambda problem, seed, full: Bohb(problem, seed),
    "dehb": lambda problem, seed, full: Dehb(problem, seed),
    "smac-hyperband": Smac,
}


def searcher(name: str, problem: Problem, seed: int, *, workers: int, full: float) -> Searcher:
    """Return a method on a problem.

    Args:
        name: A peer's, or a strategy of evoft's with settings of its own after a colon:
            ``evolution:population_size=8,lookahead=6``.
        problem: What is searched.
        seed: Of every random stream of the method.
        workers: How many questions are asked at a time.
        full: Full trainings that the run will have.
    """
    kind, _, text = name.partition(":")
    if kind in STRATEGIES:
        return Evoft(problem, seed, kind, workers=workers, **_options(text))
    return PEERS[kind](problem, seed, full)


def _options(text: str) -> dict[str, Any]:
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {key: ast.literal_eval(value) for key, _, value in pairs}
