"""The peers, each behind ask and tell; they come from ``benchmarks/requirements.txt``.

Each has the configuration that its own documentation recommends, or the better of two where
``search.py`` says so.  Whoever can go on from a checkpoint may: a genome that DEHB or SMAC asks for
again at a higher budget pays for the epochs beyond those that it has behind it.
"""

import importlib
import tempfile
import warnings
from typing import Any

from search_clock import Task
from search_problems import Problem

from evoft.genome import Genome, Value
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace

#: What successive halving divides by, everywhere.
ETA = 3
#: What a failed run is worth to a peer that minimises and has no word for failure, at least.
_BAD = 1e9


class OptunaSearch:
    """An Optuna sampler, with Hyperband's pruner (Li and others 2018) or without any.

    Its pruner stops a trial at a rung or lets it go on at once, so nothing is ever paused.
    """

    def __init__(self, problem: Problem, seed: int, sampler: str, *, prune: bool,
                 needs: str = "optuna", advised: bool = False,
                 **options: Any) -> None:  # fmt: skip
        import optuna

        importlib.import_module(needs)

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        self._states = optuna.trial.TrialState
        self._problem = problem
        top = problem.epochs
        self._prune = prune and top > 1
        self._rungs = _powers(top) if self._prune else [top]
        pruner = optuna.pruners.HyperbandPruner(1, top, ETA) if self._prune else None
        made = getattr(optuna.samplers, sampler)(seed=seed % 2**32, **options)
        # By the name of its study Hyperband deals trials to brackets.
        self._study = optuna.create_study(
            study_name=f"{problem.name} {seed}",
            direction="maximize",
            sampler=made,
            pruner=pruner or optuna.pruners.NopPruner(),
        )
        if advised and problem.advised is not None:
            default = problem.advised.default()
            self._study.enqueue_trial(
                {name: _enqueued(gene, default[name]) for name, gene in problem.space.items()}
            )
        self._going: dict[int, Any] = {}
        self._waiting: list[Task] = []

    def ask(self) -> Task | None:
        if self._waiting:
            return self._waiting.pop(0)
        trial = self._study.ask()
        values = {name: _suggested(trial, name, gene)
                  for name, gene in self._problem.space.items()}  # fmt: skip
        self._going[trial.number] = trial
        return Task(trial.number, Genome(values), 0, self._rungs[0], trial.number)

    def tell(self, task: Task, scores: list[float]) -> None:
        trial = self._going[task.run]
        if len(scores) < task.stop - task.start:
            self._study.tell(trial, state=self._states.FAIL)
            return
        if self._prune:
            trial.report(scores[-1], task.stop)
        if task.stop == self._problem.epochs:
            self._study.tell(trial, scores[-1])
        elif trial.should_prune():
            self._study.tell(trial, state=self._states.PRUNED)
        else:
            stop = self._rungs[self._rungs.index(task.stop) + 1]
            self._waiting.append(Task(task.run, task.genome, task.stop, stop, task.token))


def _powers(top: int) -> list[int]:
    """Return the epochs at which Optuna's Hyperband can prune, and the last."""
    rungs = [1]
    while rungs[-1] * ETA < top:
        rungs.append(rungs[-1] * ETA)
    return [*rungs, top]


def _suggested(trial: Any, name: str, gene: Any) -> Value:
    if isinstance(gene, Float):
        return float(trial.suggest_float(name, gene.low, gene.high, log=gene.log))
    if isinstance(gene, Integer):
        return int(trial.suggest_int(name, gene.low, gene.high, log=gene.log))
    if isinstance(gene, Ordinal):
        return gene.values[trial.suggest_int(name, 0, len(gene.values) - 1)]
    return trial.suggest_categorical(name, list(gene.values))  # type: ignore[no-any-return]


def _enqueued(gene: Any, value: Value) -> Value:
    """Return a gene's value as ``_suggested`` asks for it."""
    return int(gene.index(value)) if isinstance(gene, Ordinal) else value


class Continued:
    """Which run a genome is, and how far it was trained."""

    def __init__(self) -> None:
        self._runs: dict[Genome, int] = {}
        self._trained: dict[int, int] = {}

    def task(self, genome: Genome, stop: int, token: int) -> Task:
        """Return the task of training a genome up to ``stop``, from scratch if it is beyond."""
        run = self._runs.setdefault(genome, len(self._runs))
        trained = self._trained.get(run, 0)
        self._trained[run] = max(trained, stop)
        return Task(run, genome, trained if trained < stop else 0, stop, token)


class Dehb:
    """DEHB (Awad, Mallik and Hutter 2021) by its own ask and tell."""

    def __init__(self, problem: Problem, seed: int) -> None:
        from dehb import DEHB
        from loguru import logger

        logger.remove()
        self._problem = problem
        self._folder = tempfile.TemporaryDirectory(prefix="dehb")
        # It needs two budgets; where there is but one, both cost the same.
        top = max(problem.epochs, ETA)
        self._dehb = DEHB(
            cs=config_space(problem.space, seed), f=None, min_fidelity=1, max_fidelity=top,
            eta=ETA, n_workers=1, seed=seed % 2**31, log_level="ERROR", save_freq=None,
            output_path=self._folder.name,
        )  # fmt: skip
        self._jobs: dict[int, Any] = {}
        self._asked = 0
        self._continued = Continued()

    def ask(self) -> Task | None:
        job = self._dehb.ask()
        self._asked += 1
        self._jobs[self._asked] = job
        genome = genome_of(self._problem.space, dict(job["config"]))
        stop = min(max(1, round(job["fidelity"])), self._problem.epochs)
        return self._continued.task(genome, stop, self._asked)

    def tell(self, task: Task, scores: list[float]) -> None:
        whole = len(scores) == task.stop - task.start
        fitness = -scores[-1] if whole else _BAD
        result = {"fitness": fitness, "cost": float(task.stop - task.start)}
        self._dehb.tell(self._jobs.pop(task.token), result)


class Smac:
    """SMAC3's multi-fidelity facade (Lindauer and others 2022): a random forest on Hyperband.

    Where there is but one budget it is the hyperparameter optimization facade.
    """

    def __init__(self, problem: Problem, seed: int, full: float) -> None:
        from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario

        self._problem = problem
        self._folder = tempfile.TemporaryDirectory(prefix="smac")
        many = problem.epochs > 1
        budgets = {"min_budget": 1, "max_budget": problem.epochs} if many else {}
        scenario = Scenario(
            config_space(problem.space, seed), deterministic=True, seed=seed % 2**31,
            n_trials=int(full * 20) + 1000, output_directory=self._folder.name, **budgets,
        )  # fmt: skip
        facade = MultiFidelityFacade if many else HyperparameterOptimizationFacade
        options = {"intensifier": facade.get_intensifier(scenario, eta=ETA)} if many else {}
        self._smac = facade(scenario, _never_called, logging_level=False, overwrite=True, **options)
        self._jobs: dict[int, Any] = {}
        self._asked = 0
        self._continued = Continued()

    def ask(self) -> Task | None:
        info = self._smac.ask()
        self._asked += 1
        self._jobs[self._asked] = info
        genome = genome_of(self._problem.space, dict(info.config))
        stop = max(1, round(info.budget)) if info.budget else self._problem.epochs
        return self._continued.task(genome, min(stop, self._problem.epochs), self._asked)

    def tell(self, task: Task, scores: list[float]) -> None:
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        if len(scores) == task.stop - task.start:
            value = TrialValue(cost=-scores[-1])
        else:
            value = TrialValue(cost=_BAD, status=StatusType.CRASHED)
        # Saving all that it knows after every answer is no part of the search.
        self._smac.tell(self._jobs.pop(task.token), value, save=False)


def _never_called(config: Any, seed: int = 0, budget: float = 0.0) -> float:
    """Stand where SMAC wants a function; it is asked and told instead."""
    raise AssertionError


def config_space(space: SearchSpace, seed: int) -> Any:
    """Return a space as ConfigSpace has it."""
    import ConfigSpace

    made = ConfigSpace.ConfigurationSpace(seed=seed % 2**31)
    for name, gene in space.items():
        if isinstance(gene, Float):
            made.add(
                ConfigSpace.UniformFloatHyperparameter(name, gene.low, gene.high, log=gene.log)
            )
        elif isinstance(gene, Integer):
            made.add(
                ConfigSpace.UniformIntegerHyperparameter(name, gene.low, gene.high, log=gene.log)
            )
        elif isinstance(gene, Choice):
            made.add(ConfigSpace.CategoricalHyperparameter(name, [str(v) for v in gene.values]))
        elif isinstance(gene, Ordinal):
            made.add(ConfigSpace.UniformIntegerHyperparameter(name, 0, len(gene.values) - 1))
    return made


def genome_of(space: SearchSpace, config: dict[str, Any]) -> Genome:
    """Return the genome that a configuration of ``config_space`` means."""
    values: dict[str, Value] = {}
    for name, gene in space.items():
        value = config[name]
        if isinstance(gene, Float):
            values[name] = float(min(max(float(value), gene.low), gene.high))
        elif isinstance(gene, Integer):
            values[name] = int(value)
        elif isinstance(gene, Choice):
            values[name] = next(v for v in gene.values if str(v) == str(value))
        elif isinstance(gene, Ordinal):
            values[name] = gene.values[int(value)]
    return Genome(values)
