"""Where trials wait for a worker, who hands them out, and what the budget still affords."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable

from evoft.evolution import Evolution
from evoft.scheduling import Policy, next_job
from evoft.trial import Trial, TrialKey
from evoft.workforce import Teams, Workers


class Alike:
    """The policy where nothing is known: first come, first served, each alone."""

    def __init__(self, evolution: Evolution) -> None:
        self._evolution = evolution

    @property
    def in_turn(self) -> bool:
        """Whether all trials cost the same, so that there is nothing to choose among them."""
        search = self._evolution.search
        return len(search.ladder) == 1 and not search.is_priced

    def cost(self, trial: Trial) -> float:
        """Return its part of what a full training took so far."""
        return self._evolution.mean_seconds * self._evolution.cost(trial)

    def company(self, trial: Trial) -> None:
        """Return None."""

    def kin(self, trial: Trial) -> None:
        """Return None."""


class Purse:
    """What is left of the budget.

    Args:
        evolution: What spends it.
        budget: Seconds of running over the life of the population; None: no limit.
        reserve: Returns the seconds to leave for what comes after.
        due: The trials that are run whatever is left.
    """

    def __init__(
        self,
        evolution: Evolution,
        budget: float | None,
        reserve: Callable[[], float] = lambda: 0.0,
        due: Collection[TrialKey] = (),
    ) -> None:
        self._evolution = evolution
        self._budget = budget
        self._reserve = reserve
        self._due = due

    @property
    def is_full(self) -> bool:
        """Whether no trial has been told: one is always worth its time, for a run to have ended."""
        return not self._evolution.ledger.records

    def affords(self, seconds: float) -> bool:
        """Tell whether work of so many seconds and the reserve fit in what is left."""
        if self._budget is None:
            return True
        return self._evolution.elapsed + seconds + self._reserve() < self._budget

    def pays_for(self, job: Collection[Trial], seconds: float) -> bool:
        """Tell whether a job of so many seconds is due, or fits in what is left."""
        return all(trial.key in self._due for trial in job) or self.affords(seconds)


class Desk:
    """Where trials wait for a worker, and who hands them out."""

    def __init__(self, workers: Workers, policy: Policy, purse: Purse) -> None:
        self.waiting: deque[Trial] = deque()
        self._workers = workers
        self._teams = workers if isinstance(workers, Teams) else None
        self._policy = policy
        self._in_turn = policy.in_turn
        self._purse = purse
        self._count = max(1, workers.idle)  # nobody is busy yet

    def hand_out(self, *, last: bool) -> None:
        """Give each idle worker its next job, as long as the budget allows.

        Args:
            last: Whether nothing is decided from any of those that wait here.
        """
        while self._workers.idle and (job := self._next(last)):
            first = self._purse.is_full and not self._workers.busy
            if not (first or self._is_paid(job)):
                return
            for trial in job:
                self.waiting.remove(trial)
            if self._teams is None:
                self._workers.submit(*job)
            else:
                self._teams.submit(*job, kin=self._policy.kin(job[0]))

    def _is_paid(self, job: Collection[Trial]) -> bool:
        return self._purse.pays_for(job, self._seconds(job))

    def _seconds(self, trials: Iterable[Trial]) -> float:
        return sum(self._policy.cost(trial) for trial in trials)

    def _next(self, last: bool) -> tuple[Trial, ...]:
        if not self.waiting:
            return ()
        if self._in_turn or not self._purse.affords(self._seconds(self.waiting) / self._count):
            # Where not all of them will run, it is the youngest that were never asked for.
            return (self.waiting[0],)
        hand = () if self._teams is None else self._teams.at_hand
        job = next_job(self.waiting, self._policy, self._count, last=last, at_hand=hand)
        job = job if self._teams else job[:1]
        return job if self._is_paid(job) else (self.waiting[0],)
