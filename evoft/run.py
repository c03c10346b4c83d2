"""The loop that ties search, workers and lineage together.

``Evolution`` is the evolution with its memory: ``ask`` for a trial, ``tell`` its outcome, and every
outcome is safe on disk before the search knows of it.  ``drive`` is the loop on top for those who
hand over their workers, ``finals`` runs the best again with fresh seeds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from evoft.errors import EvoftError, PopulationMismatchError
from evoft.genome import Genome
from evoft.individual import Generation, Individual, best_of
from evoft.ledger import Ledger
from evoft.lineage import Population, Record
from evoft.outcome import Outcome
from evoft.scheduling import Policy, next_job
from evoft.search.search import Search
from evoft.search.stint import Stint
from evoft.seeds import derive
from evoft.trial import Stage, Trial

#: A genome's recipe as plain data, for the population file.
Describe = Callable[[Genome], Mapping[str, Any]]
#: Called with every outcome when it is safe.
Observe = Callable[[Trial, Outcome], None]


class Workers(Protocol):
    """Whoever evaluates trials: processes of this machine, the caller itself, a cluster."""

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now."""

    @property
    def busy(self) -> int:
        """How many submitted trials have not been collected."""

    def submit(self, trial: Trial) -> None:
        """Start a trial."""

    def collect(self, timeout: float | None = None) -> list[tuple[Trial, Outcome]]:
        """Wait for a trial to end, at most ``timeout`` seconds; return those that did."""

    def close(self) -> None:
        """Give everything back."""


@runtime_checkable
class Teams(Workers, Protocol):
    """Workers that take several trials as one job, and know what each has at hand."""

    @property
    def at_hand(self) -> Collection[Hashable]:
        """The kin of trials that idle workers had before."""

    def submit(self, *trials: Trial, kin: Hashable = None) -> None:
        """Start trials together, where trials of that kin were before if one is idle."""


class Evolution:
    """A search and its ledger: the next trial follows from the records alone.

    Use it as a context manager, or ``close`` it: that brings the population file up to date.
    """

    def __init__(self, search: Search, ledger: Ledger, describe: Describe | None = None) -> None:
        self.search = search
        self.ledger = ledger
        self._describe = describe
        self._shown = 0  # generations that were given out
        self._first = 0  # the first stint of the next one
        self._looked = 0  # no stint before this one is of a later generation
        self._best: int | None = None  # of those generations
        self._told = len(ledger.records)
        self._seconds = sum(record.outcome.seconds for record in ledger.records.values())
        self._before = ledger.elapsed
        self._since = time.monotonic()
        self._restore()

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
        """Mean seconds of a trial so far; 0 before the first has ended."""
        return self._seconds / self._told if self._told else 0.0

    def ask(self) -> Trial | None:
        """Return the next trial, or None when the evolution has ended.

        Raises:
            EvoftError: Too many trials are in the open: the outcome of an earlier one is needed.
        """
        trial = self.next()
        if trial is None and not self.search.ended:
            raise EvoftError(
                f"no further individual can be bred before the outcome of individual "
                f"{self.search.waits_for} is told: `lookahead` is "
                f"{self.search.settings.births_ahead}"
            )
        return trial

    def next(self) -> Trial | None:
        """Return the next trial, or None when there is none or an earlier one must end first."""
        while (stint := self.search.ask()) is not None:
            individual = self.search.born[stint.individual]
            trial = Trial(
                individual.id,
                individual.genome,
                individual.seed,
                rung=stint.rung,
                epochs=self._epochs(stint),
                number=stint.number,
                generation=stint.generation,
            )
            record = self.ledger.records.get(trial.key)
            if record is None:
                return trial
            if record.trial.genome != individual.genome:
                raise PopulationMismatchError(
                    f"individual {individual.id} is {dict(record.trial.genome)} in the file, but "
                    f"this version of evoft breeds {dict(individual.genome)}: resume with "
                    f"evoft {self.ledger.header.environment.get('evoft', 'as it was')}"
                )
            self.search.tell(stint.number, record.outcome)
        return None

    def tell(self, trial: Trial, outcome: Outcome | float) -> None:
        """Record the outcome, or merely the fitness, of a trial that was asked for.

        Raises:
            StorageError: The disk did not take it; the search has not been told then.
            ValueError: The trial was never asked for, or its outcome has been told already.
        """
        if not isinstance(outcome, Outcome):
            outcome = Outcome.of_fitness(float(outcome))
        born = self.search.born
        if trial.individual >= len(born) or trial.key in self.ledger.records:
            raise ValueError(f"no outcome of {trial.key} is wanted: it was told, or never asked")
        birth = born[trial.individual].unjudged if trial.stage is Stage.SEARCH else None
        recipe = self._describe(trial.genome) if self._describe and birth else None
        self.ledger.append(Record(trial, outcome, birth, recipe, self.elapsed))
        self._told += 1
        self._seconds += outcome.seconds
        if birth:
            self.search.tell(trial.number, outcome)

    def complete(self) -> Iterator[Generation]:
        """Yield the generations that became complete since the last call, the file up to date."""
        while (last := self._last_of_next()) is not None:
            stints = self.search.stints[self._first : last]
            if not all(self.search.told(stint.number) for stint in stints):
                return
            generation = self._generation(stints)
            self._show(last, generation.best_so_far)
            self.ledger.fold()
            yield generation

    @property
    def ended(self) -> bool:
        """Whether every individual that will ever be born has been judged."""
        return self.search.ended and self.search.waits_for is None

    def withdraw(self) -> list[Generation]:
        """Take back the births that nobody is going to judge; return the generations left open.

        It is as if they had never been asked for.  The generations have those members that were
        judged.
        """
        self.search.withdraw()
        rest = [s for s in self.search.stints[self._first :] if self.search.told(s.number)]
        numbers = sorted({stint.generation for stint in rest})
        return [self._generation([s for s in rest if s.generation == n]) for n in numbers]

    def close(self) -> None:
        """Bring the population file up to date and let others write it."""
        self.ledger.close()

    def _epochs(self, stint: Stint) -> float | None:
        ladder = self.search.ladder
        return ladder.rungs[stint.rung] if stint.rung < ladder.top else None

    def _last_of_next(self) -> int | None:
        """Return where the next generation's stints end; None while more of them may come."""
        stints, last = self.search.stints, max(self._first, self._looked)
        while last < len(stints) and stints[last].generation == self._shown:
            last += 1
        self._looked = last
        return last if self.search.generation > self._shown else None

    def _generation(self, stints: Sequence[Stint]) -> Generation:
        born = self.search.born
        members = tuple(born[stint.individual] for stint in stints if stint.rung == 0)
        continued = tuple(stint.individual for stint in stints if stint.rung)
        judged = [*members, *(born[id] for id in continued)]
        best = best_of([*judged, *([born[self._best]] if self._best is not None else [])])
        return Generation(stints[0].generation, members, best, continued)

    def _show(self, last: int, best: Individual | None) -> None:
        self._shown += 1
        self._first = last
        self._best = best.id if best else None

    def _restore(self) -> None:
        """Take over the unbroken run of records from the first stint on."""
        stints = {
            record.trial.number: record
            for (stage, _, _), record in self.ledger.records.items()
            if stage is Stage.SEARCH
        }
        while record := stints.get(len(self.search.stints)):
            assert record.birth is not None
            self.search.restore(record.birth, record.trial.rung)
            self.search.tell(record.trial.number, record.outcome)
        while (last := self._last_of_next()) is not None:
            generation = self._generation(self.search.stints[self._first : last])
            self._show(last, generation.best_so_far)


def drive(
    evolution: Evolution,
    workers: Workers,
    *,
    policy: Policy | None = None,
    budget: float | None = None,
    reserve: float = 0.0,
    observe: Observe = lambda trial, outcome: None,
) -> Iterator[Generation]:
    """Run the search to its end and yield each generation when all its members are judged.

    Trials are asked for as far ahead as the search breeds, and wait here for a worker: which of
    them goes next is a matter of time, never of what is born.

    Args:
        evolution: What asks and is told.
        workers: Who evaluates.  They work on while the caller looks at a generation.
        policy: What is known of trials before they run; None: first come, first served.
        budget: Seconds of running over the life of the population; None: no limit.
        reserve: How many trials' worth of running time to leave for what comes after.
        observe: Called with each outcome when it is safe.
    """
    desk = _Desk(workers, policy or _Alike(evolution), _Purse(evolution, budget, reserve))
    while True:
        while (trial := evolution.next()) is not None:
            desk.waiting.append(trial)
        desk.hand_out(last=evolution.search.ended)
        yield from evolution.complete()
        if not workers.busy:
            break
        for trial, outcome in workers.collect():
            evolution.tell(trial, outcome)
            observe(trial, outcome)
    yield from evolution.withdraw()


class _Alike:
    """The policy where nothing is known: first come, first served, each alone."""

    def __init__(self, evolution: Evolution) -> None:
        self._evolution = evolution

    def cost(self, trial: Trial) -> float:
        """Return the mean so far."""
        return self._evolution.mean_seconds

    def company(self, trial: Trial) -> None:
        """Return None."""

    def kin(self, trial: Trial) -> None:
        """Return None."""


class _Purse:
    """What is left of the budget."""

    def __init__(self, evolution: Evolution, budget: float | None, reserve: float) -> None:
        self._evolution = evolution
        self._budget = budget
        self._reserve = reserve

    @property
    def is_full(self) -> bool:
        """Whether no trial has been told: one is always worth its time, for a run to have ended."""
        return not self._evolution.ledger.records

    def affords(self, seconds: float) -> bool:
        """Tell whether work of so many seconds and the reserve fit in what is left."""
        if self._budget is None:
            return True
        reserve = self._evolution.mean_seconds * self._reserve
        return self._evolution.elapsed + seconds + reserve < self._budget


class _Desk:
    """Where trials wait for a worker, and who hands them out."""

    def __init__(self, workers: Workers, policy: Policy, purse: _Purse) -> None:
        self.waiting: list[Trial] = []
        self._workers = workers
        self._teams = workers if isinstance(workers, Teams) else None
        self._policy = policy
        self._purse = purse
        self._count = max(1, workers.idle)  # nobody is busy yet

    def hand_out(self, *, last: bool) -> None:
        """Give each idle worker its next job, as long as the budget allows.

        Args:
            last: Whether no birth waits for any of those that wait here.
        """
        while self._workers.idle and (job := self._next(last)):
            first = self._purse.is_full and not self._workers.busy
            if not (first or self._purse.affords(self._seconds(job))):
                return
            for trial in job:
                self.waiting.remove(trial)
            if self._teams is None:
                self._workers.submit(*job)
            else:
                self._teams.submit(*job, kin=self._policy.kin(job[0]))

    def _seconds(self, trials: Sequence[Trial]) -> float:
        return sum(self._policy.cost(trial) for trial in trials)

    def _next(self, last: bool) -> tuple[Trial, ...]:
        if not self._purse.affords(self._seconds(self.waiting) / self._count):
            # Not all of them will run: then it is the youngest that were never asked for.
            return tuple(self.waiting[:1])
        hand = () if self._teams is None else self._teams.at_hand
        job = next_job(self.waiting, self._policy, self._count, last=last, at_hand=hand)
        return job if self._teams else job[:1]


def finalists(evolution: Evolution, count: int) -> list[Individual]:
    """Return the best ``count`` individuals and, to compare with, the default recipe."""
    good = [i for i in evolution.search.born if i.score > -math.inf]
    chosen = sorted(good, key=lambda i: (-i.score, i.id))[:count]
    default = evolution.search.born[0]
    return chosen if default in chosen or default not in good else [*chosen, default]


def final_trials(evolution: Evolution, count: int, repeats: int) -> list[Trial]:
    """Return the finalists' runs with fresh seeds that are not recorded yet."""
    trials = [
        Trial(i.id, i.genome, derive(evolution.search.seed, "final", i.id, n), Stage.FINAL, n)
        for i in finalists(evolution, count)
        for n in range(repeats)
    ]
    return [trial for trial in trials if trial.key not in evolution.ledger.records]


def run_all(
    evolution: Evolution,
    workers: Workers,
    trials: list[Trial],
    observe: Observe,
    policy: Policy | None = None,
) -> None:
    """Evaluate and record a list of trials, the longest first as far as that is known."""
    desk = _Desk(workers, policy or _Alike(evolution), _Purse(evolution, None, 0.0))
    desk.waiting += trials
    while desk.waiting or workers.busy:
        desk.hand_out(last=True)
        for trial, outcome in workers.collect():
            evolution.tell(trial, outcome)
            observe(trial, outcome)
