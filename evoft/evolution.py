"""A search with its memory: every outcome is safe on disk before the search knows of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from evoft.errors import EvoftError, PopulationMismatchError
from evoft.genome import Genome
from evoft.individual import Generation, Individual, best_of
from evoft.ledger import Ledger, is_fold_due
from evoft.lineage import Generations, Population, Record
from evoft.lineage.finals import model_cost_of
from evoft.objectives import check_reported, objectives_of, reporting
from evoft.outcome import Outcome, outcome_of
from evoft.search.search import Search
from evoft.search.stint import Stint
from evoft.settings import BLIND
from evoft.trial import Stage, Trial, TrialKey

#: A genome's recipe as plain data, for the population file.
Describe = Callable[[Genome], Mapping[str, Any]]


class Evolution:
    """A search and its ledger: the next trial follows from the records alone.

    ``ask`` for a trial, ``tell`` its outcome, in any order.  ``lookahead + 1`` trials can be in the
    open at a time, and ``population_size`` of those that no outcome decides, such as the first; one
    that never is told is asked for again once the file was opened anew.  What a trial reports is
    heard by nobody here: tell an ``Outcome`` with a ``curve``.  Use it as a context manager, or
    ``close`` it: that brings the population file up to date.
    """

    def __init__(self, search: Search, ledger: Ledger, describe: Describe | None = None) -> None:
        self.search = search
        self.ledger = ledger
        self._describe = describe
        self._objectives = objectives_of(search.settings.objectives)
        self._unheard = [one.name for one in self._objectives if not one.fitness]  # from no trial
        self._shown = 0  # generations that were given out
        self._first = 0  # the first stint of the next one
        self._looked = 0  # no stint before this one is of a later generation
        self._generations = Generations()
        self._trained = self._seconds = 0.0  # full trainings that were told, and what they took
        self._before = ledger.elapsed
        self._since = time.monotonic()
        self._folded_at = self._fold_took = 0.0  # running time when the file was last written
        self._restore()
        self._restored = len(search.stints)

    def __enter__(self) -> Evolution:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def elapsed(self) -> float:
        """Seconds of running over the life of the population."""
        return self._before + time.monotonic() - self._since

    @property
    def population(self) -> Population:
        """All that has been recorded so far."""
        return Population.of(self.ledger.header, self.ledger.records, self.ledger.verdicts)

    @property
    def best(self) -> Individual | None:
        """The individual of the highest fitness so far; None when every trial failed."""
        return best_of(self.search.born)

    @property
    def mean_seconds(self) -> float:
        """Mean seconds of a full training so far; 0 before the first trial has ended."""
        return self._seconds / self._trained if self._trained else 0.0

    def model_cost(self, id: int) -> tuple[float, int]:
        """Return what the model of an individual costs (``evoft/lineage/finals.py``)."""
        record = self.ledger.records.get((Stage.SEARCH, id, 0))
        return model_cost_of(record.recipe if record else None, self.ledger.header)

    def cost(self, trial: Trial) -> float:
        """Return the cost of a trial's training, in full ones of the default."""
        share = self.search.ladder.cost(trial.rung) if trial.stage is Stage.SEARCH else 1.0
        born, id = self.search.born, trial.individual
        return share * (born[id].price if id < len(born) else 1.0)  # of a file that lost a record

    def ask(self) -> Trial | None:
        """Return the next trial, or None when the evolution has ended.

        Raises:
            EvoftError: Too many trials are in the open: the outcome of an earlier one is needed.
        """
        trial = self.next()
        if trial is None and not self.search.ended:
            raise EvoftError(
                f"no further individual can be bred before the outcome of individual "
                f"{self.search.waits_for} is told: {self._limit}"
            )
        return trial

    @property
    def _limit(self) -> str:
        settings = self.search.settings
        if settings.strategy in BLIND:
            return f"so many may be in the open as `population_size`, {settings.population_size}"
        return (
            f"`lookahead` is {settings.births_ahead}, and a larger one, as in "
            "search=evoft.SearchSettings(lookahead=...), allows more in the open"
        )

    def next(self) -> Trial | None:
        """Return the next trial, or None when there is none or an earlier one must end first."""
        while (stint := self.search.ask()) is not None:
            trial = self._trial(stint)
            record = self.ledger.records.get(trial.key)
            if record is None:
                return trial
            self._check(record.trial, trial)
            self.search.tell(stint.number, record.outcome)
        return None

    def tell(self, trial: Trial, outcome: Outcome | float) -> None:
        """Record the outcome, or merely the fitness, of a trial that was asked for.

        Raises:
            SettingsError: It ended well without an objective that no trial has reported yet; it can
                be told again with it.
            TypeError: It is no number, or an outcome with something in it that cannot be kept; it
                can be told again.
            StorageError: The disk did not take it; the search has not been told then.
            ValueError: The trial was never asked for since the population was opened, or its
                outcome has been told already.
        """
        self.tell_all([(trial, outcome)])

    def tell_all(self, ended: Iterable[tuple[Trial, Outcome | float]]) -> None:
        """Record the outcomes of several trials, for which the disk is waited for only once.

        Raises:
            SettingsError: Some ended well without an objective that no trial has reported yet; none
                of them is recorded then.
            TypeError: One is no number, or an outcome with something in it that cannot be kept;
                none of them is recorded then.
            StorageError: The disk took none of them; the search has not been told then.
            ValueError: A trial was never asked for, or its outcome has been told already; none of
                them is recorded then.
        """
        outcomes: dict[TrialKey, tuple[Trial, Outcome]] = {}
        for trial, told in ended:
            if not isinstance(trial, Trial):
                raise TypeError(f"what is told must be of a trial, but is of {trial!r:.80}")
            if trial.key in outcomes or not self._is_wanted(trial):
                raise ValueError(
                    f"no outcome of {trial.key} is wanted: it was told, or never asked"
                )
            outcomes[trial.key] = trial, outcome_of(told)
        check_reported(self._unheard, [outcome for _, outcome in outcomes.values()])
        records = {key: self._record(*one) for key, one in outcomes.items()}
        self.ledger.append(*records.values())
        for record in records.values():
            self._count(record)
            if record.birth:
                self.search.tell(record.trial.number, record.outcome)

    def _record(self, trial: Trial, outcome: Outcome) -> Record:
        outcome = reporting(self._objectives, outcome)
        of_search = trial.stage is Stage.SEARCH
        birth = self.search.born[trial.individual].unjudged if of_search else None
        recipe = self._describe(trial.genome) if self._describe and birth else None
        return Record(trial, outcome, birth, recipe, self.elapsed)

    def complete(self) -> Iterator[Generation]:
        """Yield the generations that became complete since the last call.

        The population file is up to date then, unless so many individuals are judged in so short a
        time that writing it would take a good part of that.  Its journal always is.
        """
        while (last := self._last_of_next()) is not None:
            if self.search.open < last:
                return
            generation = self._show(last)
            self._fold()
            yield generation

    @property
    def ended(self) -> bool:
        """Whether everything that the search will ever decide has been judged."""
        return self.search.ended and self.search.waits_for is None

    def withdraw(self) -> list[Generation]:
        """Take back what nobody is going to judge; return the generations that are left open.

        It is as if that had never been asked for.  The generations have what was judged of them;
        one of which nothing was judged since this population was opened is not among them.
        """
        self.search.withdraw()
        self._looked = self._first
        rest = [s for s in self.search.stints[self._first :] if self.search.told(s.number)]
        after, left = self._generations.copy(), []
        for number in sorted({stint.generation for stint in rest}):
            stints = [stint for stint in rest if stint.generation == number]
            generation = after.take(self._records(stints), self.search.born)
            if stints[-1].number >= self._restored:
                left.append(generation)
        return left

    def close(self) -> None:
        """Bring the population file up to date and let others write it."""
        self.ledger.close()

    def _fold(self) -> None:
        begun = self.elapsed
        if is_fold_due(len(self.ledger.records), self._fold_took, begun - self._folded_at):
            self.ledger.fold()
            self._folded_at = self.elapsed
            self._fold_took = self._folded_at - begun

    def _trial(self, stint: Stint) -> Trial:
        individual = self.search.born[stint.individual]
        ladder = self.search.ladder
        # The epochs of a fine-tuning in full are the recipe's own.
        in_full = stint.rung == ladder.top
        return Trial(
            individual.id,
            individual.genome,
            individual.seed,
            rung=stint.rung,
            epochs=self.search.settings.epochs if in_full else ladder.rungs[stint.rung],
            number=stint.number,
            generation=stint.generation,
        )

    def _check(self, recorded: Trial, trial: Trial) -> None:
        """Refuse a record of something else than the search decides."""
        if recorded.genome != trial.genome:
            raise PopulationMismatchError(
                f"individual {trial.individual} is {dict(recorded.genome)} in the file, but "
                f"this version of evoft breeds {dict(trial.genome)}: {self._way_out}"
            )
        if recorded.number != trial.number:
            raise PopulationMismatchError(
                f"individual {trial.individual} was judged on rung {trial.rung} by trial "
                f"{recorded.number} in the file, but this version of evoft decides that in trial "
                f"{trial.number}: {self._way_out}"
            )

    @property
    def _way_out(self) -> str:
        version = self.ledger.header.environment.get("evoft", "as it was")
        return f"resume with evoft {version}"

    def _is_wanted(self, trial: Trial) -> bool:
        search = self.search
        if trial.key in self.ledger.records:
            return False
        if not 0 <= trial.individual < len(search.born):
            return False
        born = search.born[trial.individual]
        if trial.genome is not born.genome and trial.genome != born.genome:  # another evolution's
            return False
        if trial.stage is not Stage.SEARCH:
            return True
        if not 0 <= trial.number < len(search.stints):
            return False
        stint = search.stints[trial.number]
        return (stint.individual, stint.rung) == (trial.individual, trial.rung)

    def _last_of_next(self) -> int | None:
        """Return where the next generation's stints end; None while more of them may come."""
        stints, last = self.search.stints, max(self._first, self._looked)
        if self._first < len(stints):  # a dear stint may have left some in which nothing begins
            self._shown = stints[self._first].generation
        while last < len(stints) and stints[last].generation == self._shown:
            last += 1
        self._looked = last
        if self.search.generation > self._shown and last > self._first:
            return last
        all_are_in_it = last == len(stints) and last > self._first
        return last if all_are_in_it and not self.search.pays_for_more else None

    def _records(self, stints: Sequence[Stint]) -> list[Record]:
        return [self.ledger.records[(Stage.SEARCH, s.individual, s.rung)] for s in stints]

    def _show(self, last: int) -> Generation:
        """Return the next generation, whose stints end before stint ``last``."""
        records = self._records(self.search.stints[self._first : last])
        generation = self._generations.take(records, self.search.born)
        self._shown += 1
        self._first = last
        return generation

    def _count(self, record: Record) -> None:
        self._trained += self.cost(record.trial)
        self._seconds += record.outcome.seconds
        if self._unheard:
            self._unheard = [name for name in self._unheard if name not in record.outcome.metrics]

    def _restore(self) -> None:
        """Take over the unbroken run of records from the first stint on."""
        recorded = {
            record.trial.number: record
            for (stage, _, _), record in self.ledger.records.items()
            if stage is Stage.SEARCH
        }
        while record := recorded.get(len(self.search.stints)):
            assert record.birth is not None
            self.search.restore(record.birth, record.trial.rung)
            self.search.tell(record.trial.number, record.outcome)
        for record in self.ledger.records.values():
            self._count(record)
        while (last := self._last_of_next()) is not None:
            self._show(last)
