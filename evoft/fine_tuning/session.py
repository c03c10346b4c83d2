"""A run in its stages, from the first birth to the exported model."""

from __future__ import annotations

import contextlib
import logging
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.errors import NoResultError, PopulationDamagedError
from evoft.evolution import Evolution
from evoft.fine_tuning.keeping import Roster, bound, prune, remove_unfinished
from evoft.fine_tuning.plan import Plan, checkpoints_of
from evoft.fine_tuning.repeating import repeated
from evoft.fine_tuning.standing import best_run, verdict_of
from evoft.individual import Generation
from evoft.lineage import Store
from evoft.outcome import Outcome
from evoft.quantities import size_text
from evoft.run import MOST_FOR_FINALS, Observe, drive, final_trials, finalists, run_all
from evoft.scheduling import span_of_last
from evoft.scratch import Scratch
from evoft.settings import BALANCED_ACCURACY
from evoft.trial import Stage, Trial, TrialKey
from evoft.verdict import Verdict
from evoft.workers.local import LocalWorkers

_logger = logging.getLogger(__name__)


class FineTuning:
    """A run in its stages: ``plan``, then ``generations``, ``finals``, ``judge`` and ``export``.

    Use it as a context manager: leaving it ends the workers, removes the features that
    they shared, and brings the file up to date.
    """

    def __init__(
        self, plan: Plan, evolution: Evolution, workers: LocalWorkers, scratch: Scratch | None
    ) -> None:
        self.plan = plan
        self.evolution = evolution
        self._workers = workers
        self._scratch = scratch
        self._bounded = False  # whether it was said that --max-disk was reached

    def __enter__(self) -> FineTuning:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.evolution.close)
            if self._scratch is not None:
                stack.callback(self._scratch.close)
            # A worker that was killed may have left half a file.
            stack.callback(remove_unfinished, self.checkpoints)
            self._workers.close()

    @property
    def checkpoints(self) -> Path:
        """The folder beside the population file where the best's weights are."""
        return checkpoints_of(self.plan.file)

    def generations(self, observe: Observe) -> Iterator[Generation]:
        """Run the search and yield its generations; only the elite's checkpoints stay."""
        remove_unfinished(self.checkpoints)
        for generation in drive(
            self.evolution,
            self._workers,
            policy=self.plan.forecast,
            budget=self.plan.settings.run.budget,
            reserve=self._kept_back,
            observe=self._learning(observe),
        ):
            self._prune()
            yield generation

    def _kept_back(self) -> float:
        """Return the seconds of the budget that the final runs are to have.

        Those of today's finalists, and others like them in place of who is missing.
        """
        search, ledger = self.plan.settings.search, self.evolution.ledger
        trials = final_trials(self.evolution, search.finalists, search.repeats)
        costs = [self.plan.forecast.cost(trial) for trial in trials]
        made = sum(stage is Stage.FINAL for stage, _, _ in ledger.records)
        missing = max(0, self.plan.final_runs - made - len(costs))
        mean = statistics.fmean(costs) if costs else self.evolution.mean_seconds
        costs += [mean] * missing
        budget = self.plan.settings.run.budget or math.inf
        return min(span_of_last(costs, self._workers.most), MOST_FOR_FINALS * budget)

    def seconds_left(self) -> float | None:
        """Return the seconds that the search and the finals are going to take; None: open."""
        budget = self.plan.settings.run.budget
        done = sum(stage is Stage.FINAL for stage, _, _ in self.evolution.ledger.records)
        left = self.plan.forecast.left(self.evolution.search, self._workers.most, finals_done=done)
        if budget is None:
            return left
        within = max(0.0, budget - self.evolution.elapsed)
        return within if left is None else min(left, within)

    def _learning(self, observe: Observe) -> Observe:
        """Return what tells an outcome to the forecast too."""

        def both(trial: Trial, outcome: Outcome) -> None:
            self.plan.forecast.learn(trial, outcome)
            self._make_room(trial, outcome)
            if self.evolution.search.ladder.top:  # else a generation leaves few files
                self._prune()
            observe(trial, outcome)

        return both

    def _make_room(self, trial: Trial, outcome: Outcome) -> None:
        """Go on with fewer workers where trials take more of a GPU than was predicted."""
        if "cpu" in self.plan.devices:  # a process's peak has pages in it that all of them share
            return
        self.plan.forecast.saw(trial, outcome)
        devices, limit = self.plan.place()
        if len(devices) < self._workers.most:
            _logger.warning("%d workers go on from here: %s", len(devices), limit)
            self._workers.shrink(len(devices))

    def final_runs(self) -> int:
        """Return how many final runs are still to be made."""
        search = self.plan.settings.search
        return len(final_trials(self.evolution, search.finalists, search.repeats))

    def finals(self, observe: Observe) -> None:
        """Run the finalists and the default recipe again with fresh seeds.

        Where the budget does not reach for all of them, ``final_runs`` says how many are left out.

        Raises:
            NoResultError: Every trial failed, so there is nobody to run again.
        """
        if self.evolution.best is None:
            outcomes = [one.outcome for one in self.evolution.search.born if one.outcome]
            raise NoResultError(_nothing("individuals", outcomes))
        search = self.plan.settings.search
        trials = final_trials(self.evolution, search.finalists, search.repeats)
        forecast, budget = self.plan.forecast, self.plan.settings.run.budget
        observe = self._learning(observe)
        run_all(self.evolution, self._workers, trials, observe, forecast, budget=budget)
        self._prune()

    def judge(self) -> Verdict:
        """Read the test split, once, for the winner and the default recipe.

        Raises:
            NoResultError: No final run ended well.
            WorkerError: The GPU failed, or has too little memory; nothing is lost.
        """
        population = self.evolution.population
        winner = best_run(population)
        if winner is None:
            records = population.records.values()
            outcomes = [r.outcome for r in records if r.trial.stage is Stage.FINAL]
            raise NoResultError(_nothing("final runs", outcomes))
        default = best_run(population, [i.id for i in population if i.operator == "default"])
        for verdict in population.verdicts:
            if verdict.winner_run == winner:
                return verdict
        # The others would keep what they took of a GPU.
        self._workers.shrink(1)
        right = [self._right(key) for key in (winner, default) if key is not None]
        images, labels = self.plan.images, None
        if self.plan.settings.training.metric == BALANCED_ACCURACY:
            labels = images.labels[images.indices("test")]
        verdict = verdict_of(winner, default, right, labels)
        self._store.append_verdict(verdict)
        self._store.fold()
        return verdict

    def export(
        self, folder: Path, key: TrialKey, card: str, metrics: Mapping[str, Any], *, replace: bool
    ) -> None:
        """Write the model of a trial as a folder that plain timm loads, in place of an earlier."""
        genome = self.evolution.population[key[1]].genome
        classes = self.plan.images.classes
        place = folder.absolute()
        self._of_weights(key, "export", [(genome, key)], place, classes, card, metrics, replace)

    @property
    def _store(self) -> Store:
        ledger = self.evolution.ledger
        assert isinstance(ledger, Store)
        return ledger

    def _right(self, key: TrialKey) -> NDArray[np.bool_]:
        genome = self.evolution.population[key[1]].genome
        right: NDArray[np.bool_] = self._of_weights(key, "right", genome, key)
        return right

    def _of_weights(self, key: TrialKey, method: str, *arguments: Any) -> Any:
        """Return what a worker makes of a trial's weights; where they are lost it is trained again.

        Raises:
            PopulationDamagedError: It did not end well again.
        """
        try:
            return self._workers.call(method, *arguments)
        except PopulationDamagedError as error:
            _logger.warning("individual %d is trained again, for %s", key[1], error)
        outcome = repeated(self._workers, self.evolution.ledger.records[key].trial)
        if outcome.score == -math.inf:
            raise PopulationDamagedError(
                f"the weights of individual {key[1]} are lost, and it could not be trained again "
                f"({outcome.status}: {outcome.reason}): bring the checkpoints back"
            )
        return self._workers.call(method, *arguments)

    def _prune(self) -> None:
        """Remove the files that no finalist, present or past, and no continued trial needs."""
        search, most = self.plan.settings.search, self.plan.settings.run.max_disk
        roster = Roster.of(self.evolution.search)
        prune(self.checkpoints, roster, finalists(self.evolution, search.finalists))
        if most is None or not bound(self.checkpoints, roster, most) or self._bounded:
            return
        self._bounded = True
        _logger.warning(
            "trainings that may be continued are removed, those of the lowest scores first, as "
            "--max-disk allows %s for all: they are begun again where they are continued",
            size_text(most),
        )


def _nothing(what: str, outcomes: Sequence[Outcome]) -> str:
    """Return that of those that were judged nobody can be named best."""
    reasons = [outcome.reason for outcome in outcomes if outcome.reason]
    last = f" (the last: {reasons[-1]})" if reasons else ""
    return f"none of {len(outcomes)} {what} ended well{last}: nothing can be named best"
