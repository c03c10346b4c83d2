"""What a run is going to take: the costs of its trials, and the time that is left."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Sequence

from evoft.genome import Genome
from evoft.individual import Individual
from evoft.outcome import Outcome, Status
from evoft.recipe import Recipe
from evoft.scheduling import span, span_of_last
from evoft.search.founders import founders
from evoft.search.search import Search
from evoft.settings import SearchSettings
from evoft.training.costs import Costs
from evoft.trial import Trial

#: Trials that ended otherwise took what they took for reasons of their own.
_TELLING = (Status.OK, Status.DIVERGED)


class Forecast:
    """The policy of a fine-tuning run, and its estimate of the time that is left.

    Args:
        costs: Predicts seconds; learns from outcomes.
        express: From genomes to recipes.
        company: What trials have in common that are evaluated together; None: alone.
    """

    def __init__(
        self,
        costs: Costs,
        express: Callable[[Genome], Recipe],
        company: Callable[[Trial], Hashable] = lambda trial: None,
    ) -> None:
        self._costs = costs
        self._express = express
        self.company = company

    def cost(self, trial: Trial) -> float:
        """Return the seconds that a trial is going to take."""
        return self._costs.seconds(self._express(trial.genome))

    def kin(self, trial: Trial) -> Hashable:
        """Return backbone and depth, which tell what a worker keeps from one trial to the next."""
        recipe = self._express(trial.genome)
        return (recipe.model, recipe.freeze_depth)

    def learn(self, trial: Trial, outcome: Outcome) -> None:
        """Take in what a trial took."""
        if outcome.status in _TELLING:
            self._costs.learn(self._express(trial.genome), outcome.seconds)

    def left(
        self, search: Search, settings: SearchSettings, workers: int, *, finals_done: int = 0
    ) -> float | None:
        """Return the seconds that the rest of the search and the finals take; None: open.

        Args:
            search: With its outcomes so far.
            settings: How many births and finals there are.
            workers: How many trials run at a time.
            finals_done: Final runs that are made already; they count once the search has ended.
        """
        if settings.births is None:
            return None
        waiting = [self._seconds(i.genome) for i in search.born if i.outcome is None]
        missing = 0 if search.exhausted else max(0, settings.births - len(search.born))
        future = self._typical(search) if missing else 0.0
        rest = [*waiting, *[future] * missing]
        first = settings.population_size if not search.born else len(waiting)
        searching = (
            span(rest, workers, population_size=max(1, first), lookahead=settings.births_ahead)
            if rest
            else 0.0
        )
        # Of those that run now, half is over by now.
        running = waiting[:workers] if search.born else []
        searching = max(0.0, searching - sum(running) / 2 / workers)
        again = self._finals(search, settings)
        if not rest:
            again = again[finals_done:]
        return searching + (span_of_last(again, workers) if again else 0.0)

    def _seconds(self, genome: Genome) -> float:
        return self._costs.seconds(self._express(genome))

    def _mean(self, individuals: Sequence[Individual]) -> float:
        return statistics.fmean(self._seconds(i.genome) for i in individuals)

    def _typical(self, search: Search) -> float:
        """Return the mean seconds of births to come: like the best, and like the latest."""
        size = search.settings.population_size
        if not search.born:
            first = founders(search.space, search.named, size, search.seed)
            return statistics.fmean(self._seconds(child.genome) for child in first)
        best = _best(search, search.settings.elite_places)
        latest = search.born[-size:]
        return (self._mean(best or latest) + self._mean(latest)) / 2

    def _finals(self, search: Search, settings: SearchSettings) -> list[float]:
        """Return the seconds of the final runs: of the best, and of the default recipe."""
        if not settings.finalists:
            return []
        best = [self._seconds(i.genome) for i in _best(search, settings.finalists)]
        mean = statistics.fmean(best) if best else self._typical(search)
        default = self._seconds(search.space.default())
        each = [*([mean] * settings.finalists), default]
        return [seconds for seconds in each for _ in range(settings.repeats)]


def _best(search: Search, count: int) -> list[Individual]:
    judged = [i for i in search.born if i.outcome is not None and i.outcome.status is Status.OK]
    return sorted(judged, key=lambda i: (-i.score, i.id))[:count]
