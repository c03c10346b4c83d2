"""The loop that ties search, workers and lineage together.

``drive`` runs an ``Evolution`` to its end for those who hand over their workers; ``run_all`` runs
the best again with fresh seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

from evoft.desk import Alike, Desk, Purse
from evoft.evolution import Evolution
from evoft.individual import Generation, Individual
from evoft.outcome import Outcome
from evoft.scheduling import Policy
from evoft.seeds import derive
from evoft.trial import Stage, Trial
from evoft.workforce import Workers

#: The share of a budget that is kept back for final runs at most, for where trainings are long
#: the search would have nothing left.
MOST_FOR_FINALS = 1 / 3

#: Called with every outcome when it is safe.
Observe = Callable[[Trial, Outcome], None]


def drive(
    evolution: Evolution,
    workers: Workers,
    *,
    policy: Policy | None = None,
    budget: float | None = None,
    reserve: Callable[[], float] = lambda: 0.0,
    observe: Observe = lambda trial, outcome: None,
) -> Generator[Generation, None, None]:
    """Run the search to its end and yield each generation when all of it is judged.

    Trials are asked for as far ahead as the search decides, and wait here for a worker: which of
    them goes next is a matter of time, never of what is decided.

    Args:
        evolution: What asks and is told.
        workers: Who evaluates.  They work on while the caller looks at a generation.
        policy: What is known of trials before they run; None: first come, first served.
        budget: Seconds of running over the life of the population; None: no limit.
        reserve: Returns the seconds to leave for what comes after.
        observe: Called with each outcome when it is safe.
    """
    desk = Desk(workers, policy or Alike(evolution), Purse(evolution, budget, reserve))
    while True:
        while (trial := evolution.next()) is not None:
            desk.waiting.append(trial)
        desk.hand_out(last=evolution.search.ended)
        yield from evolution.complete()
        if not workers.busy:
            break
        _tell(evolution, workers.collect(), observe)
    yield from evolution.withdraw()


def _tell(evolution: Evolution, ended: list[tuple[Trial, Outcome]], observe: Observe) -> None:
    evolution.tell_all(ended)
    for trial, outcome in ended:
        observe(trial, outcome)


def finalists(evolution: Evolution, count: int) -> list[Individual]:
    """Return the best ``count`` individuals and, to compare with, the default recipe.

    Each stands with its fitness on the highest rung that it was judged on, whichever that is.  What
    less training gave is rarely more than a training in full would give, and a final run is one in
    full: so a lower rung is no reason to pass over the better score, and if it was luck, the fresh
    seeds tell.  Of equals, which are many where few validation images are left to get wrong, the
    one on the higher rung comes first, for that score is the surer one, then the cheaper model, as
    among those that final runs do not tell apart, then the elder.
    """
    good = [i for i in evolution.search.born if i.score > -math.inf]
    chosen = sorted(good, key=lambda i: (-i.score, -i.rung, *evolution.model_cost(i.id), i.id))[
        :count
    ]
    default = next((i for i in good if i.operator == "default"), None)
    return chosen if default is None or default in chosen else [*chosen, default]


def final_trials(evolution: Evolution, count: int, repeats: int) -> list[Trial]:
    """Return the finalists' runs, in full and with fresh seeds, that are not recorded yet."""
    search = evolution.search
    trials = [
        Trial(
            finalist.id,
            finalist.genome,
            derive(search.seed, "final", finalist.id, repeat),
            Stage.FINAL,
            repeat,
            epochs=search.settings.epochs,
        )
        for finalist in finalists(evolution, count)
        for repeat in range(repeats)
    ]
    return [trial for trial in trials if trial.key not in evolution.ledger.records]


def cost_of_finals(evolution: Evolution, count: int) -> float:
    """Return what final runs are going to cost, in full trainings of the default.

    Args:
        evolution: Has none of them recorded yet.
        count: How many there are to be; those of whom nobody knows yet cost as the default does.
    """
    if not (count and evolution.search.is_priced):
        return float(count)
    search = evolution.search.settings
    known = final_trials(evolution, search.finalists, search.repeats)
    return sum(map(evolution.cost, known)) + max(0, count - len(known))


def run_all(
    evolution: Evolution,
    workers: Workers,
    trials: list[Trial],
    observe: Observe,
    policy: Policy | None = None,
    *,
    budget: float | None = None,
) -> None:
    """Evaluate and record final runs, the longest first as far as that is known.

    Where a budget does not reach for all, everybody's first run comes before anybody's second, and
    those of the best individual and the default recipe before the others'.  Of these two the first
    is made whatever is left, for without it nobody can be named; others may be left out.

    Args:
        evolution: What has been searched.
        workers: Who evaluates.
        trials: Some of ``final_trials``.
        observe: Called with each outcome when it is safe.
        policy: What is known of trials before they run; None: first come, first served.
        budget: Seconds of running over the life of the population; None: no limit.
    """
    ahead = [individual.id for individual in finalists(evolution, 1)]
    due = {trial.key for trial in trials if trial.individual in ahead and not trial.repeat}
    desk = Desk(workers, policy or Alike(evolution), Purse(evolution, budget, due=due))
    desk.waiting += sorted(trials, key=lambda t: (t.repeat, t.individual not in ahead))
    while True:
        desk.hand_out(last=True)
        if not workers.busy:
            return
        _tell(evolution, workers.collect(), observe)
