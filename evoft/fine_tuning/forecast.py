"""What a run is going to take: the costs of its trials, and the time that is left."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Sequence

from evoft.genome import Genome
from evoft.individual import Individual
from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.recipe import Recipe
from evoft.scheduling import span, span_of_last
from evoft.search.founders import founders
from evoft.search.search import Search
from evoft.search.stint import Stint
from evoft.settings import BLIND
from evoft.training.costs import Costs
from evoft.training.schedule import can_pause
from evoft.trial import Stage, Trial

#: Full trainings that are none.
_LEAST = 1e-6
#: Seconds for which a search is run ahead at most, and the share of what is left that it may take.
_LONGEST, _WORTH = 2.0, 0.02
#: Trials that ended otherwise took what they took for reasons of their own.
_TELLING = (Status.OK, Status.DIVERGED)
#: Trials that took memory as others do; what did not fit took at least so much.
_FILLING = (*_TELLING, Status.INFEASIBLE)


class Forecast:
    """The policy of a fine-tuning run, and its estimate of the time that is left.

    Args:
        costs: Predicts seconds; learns from outcomes.
        express: From genomes to recipes.
        company: What trials have in common that are evaluated together; None: alone.
        ladder: The rungs on which individuals are judged; None: one alone.
    """

    def __init__(
        self,
        costs: Costs,
        express: Callable[[Genome], Recipe],
        company: Callable[[Trial], Hashable] = lambda trial: None,
        ladder: Ladder | None = None,
    ) -> None:
        self._costs = costs
        self._express = express
        self.company = company
        self._ladder = ladder or Ladder()

    @property
    def in_turn(self) -> bool:
        """Never: genomes cost what they cost."""
        return False

    def cost(self, trial: Trial) -> float:
        """Return the seconds that a trial is going to take."""
        return self._costs.seconds(self._express(trial.genome), *self._span(trial))

    def kin(self, trial: Trial) -> Hashable:
        """Return backbone and depth, which tell what a worker keeps from one trial to the next."""
        recipe = self._express(trial.genome)
        return (recipe.model, recipe.freeze_depth)

    def learn(self, trial: Trial, outcome: Outcome) -> None:
        """Take in what a trial took."""
        if outcome.status in _TELLING:
            recipe = self._express(trial.genome)
            self._costs.learn(recipe, outcome.seconds, *self._span(trial))

    def saw(self, trial: Trial, outcome: Outcome) -> None:
        """Take in how much of a GPU's memory a trial of this run took."""
        if outcome.status in _FILLING:
            self._costs.saw(self._express(trial.genome), outcome.peak_memory)

    def _span(self, trial: Trial) -> tuple[float, float | None]:
        """Return from how many epochs a trial goes on, and after how many it ends.

        Some recipes begin anew on each rung.
        """
        goes_on = trial.stage is Stage.SEARCH and can_pause(self._express(trial.genome))
        return self._ladder.begins(trial.rung) if goes_on else 0.0, trial.epochs

    def left(
        self,
        search: Search,
        workers: int,
        *,
        finals_done: int = 0,
        ahead: bool = True,
    ) -> float | None:
        """Return the seconds that the rest of the search and the finals take; None: open.

        Args:
            search: With its outcomes so far.
            workers: How many trials run at a time.
            finals_done: Final runs that are made already; they count once the search has ended.
            ahead: Whether the search is run ahead for it; else trials to come are taken to be like
                the best and the latest so far.
        """
        if search.settings.births is None:
            return None
        plain = self._left(search, search, workers, finals_done)
        if search.ended or not ahead:
            return plain
        # What it needs of scipy takes a third of a second to import.
        from evoft.fine_tuning.rehearsal import rehearse

        later = rehearse(search, min(_LONGEST, _WORTH * plain))
        return self._left(search, later, workers, finals_done) if later else plain

    def _left(self, search: Search, later: Search, workers: int, finals_done: int) -> float:
        """Return the seconds that are left.

        Args:
            search: With its outcomes so far.
            later: The same, as far as it was run ahead.
            workers: How many trials run at a time.
            finals_done: Final runs that are made already.
        """
        settings = search.settings
        assert settings.births is not None
        waiting = [stint for stint in search.stints if not search.told(stint.number)]
        decided = [*waiting, *later.stints[len(search.stints) :]]
        known = [self.cost(_trial(later, stint)) for stint in decided]
        rest = [*known, *self._future(later, settings.births)]
        first = settings.population_size if not search.born else len(waiting)
        searching = (
            span(rest, workers, population_size=max(1, first), lookahead=settings.births_ahead)
            if rest
            else 0.0
        )
        # Of those that run now, half is over by now.
        running = known[: min(workers, len(waiting))] if search.born else []
        searching = max(0.0, searching - sum(running) / 2 / workers)
        again = self._finals(later)
        if not rest:
            again = again[finals_done:]
        return searching + (span_of_last(again, workers) if again else 0.0)

    def _seconds(self, genome: Genome, share: float = 1.0) -> float:
        """Return the seconds that this share of a full training is going to take."""
        recipe = self._express(genome)
        return self._costs.seconds(recipe, 0.0, share * recipe.epochs)

    def _future(self, search: Search, births: int) -> list[float]:
        """Return the seconds of the stints that are still to be decided.

        How many there will be on which rung is for the strategy to say: what is left to spend is
        taken to go into stints of the mean cost so far.
        """
        left = 0.0 if search.exhausted else births - search.spent
        if left < _LEAST:
            return []
        ladder, done = search.ladder, len(search.stints)
        mean = search.spent / done if done else 1.0 / len(ladder)
        count = math.ceil(left / mean - _LEAST)
        return [self._typical(search, left / count)] * count

    def _mean(self, individuals: Sequence[Individual], share: float) -> float:
        return statistics.fmean(self._seconds(i.genome, share) for i in individuals)

    def _typical(self, search: Search, share: float = 1.0) -> float:
        """Return the mean seconds of trials to come: of the like of the best, and of the latest.

        Before there are any, a strategy that learns is taken to come to recipes like the default,
        another to go on as it begins.
        """
        size = search.settings.population_size
        if not search.born:
            first = [c.genome for c in founders(search.space, search.named, size, search.seed)]
            if search.settings.strategy not in BLIND:
                first = [_standard(search, genome) for genome in first]
            return statistics.fmean(self._seconds(genome, share) for genome in first)
        best = _best(search, search.settings.elite_places)
        latest = search.born[-size:]
        return (self._mean(best or latest, share) + self._mean(latest, share)) / 2

    def _finalists(self, search: Search, count: int) -> list[Individual]:
        """Return the best, of equals those on higher rungs and of these who freezes most."""

        def frozen(individual: Individual) -> int:
            return self._express(individual.genome).freeze_depth

        good = _best(search, len(search.born))
        return sorted(good, key=lambda i: (-i.score, -i.rung, -frozen(i), i.id))[:count]

    def _finals(self, search: Search) -> list[float]:
        """Return the seconds of the final runs: of the best, and of the default recipe."""
        settings = search.settings
        if not settings.finalists:
            return []
        best = self._finalists(search, settings.finalists)
        each = [self._seconds(individual.genome) for individual in best]
        mean = statistics.fmean(each) if each else self._typical(search)
        each += [mean] * (settings.finalists - len(each))
        if all(individual.operator != "default" for individual in best):
            each.append(self._seconds(search.space.default()))
        return [seconds for seconds in each for _ in range(settings.repeats)]


def _trial(search: Search, stint: Stint) -> Trial:
    """Return what a worker is asked for a stint, as far as its cost goes."""
    individual, ladder = search.born[stint.individual], search.ladder
    epochs = ladder.rungs[stint.rung] if stint.rung < ladder.top else None
    return Trial(individual.id, individual.genome, 0, rung=stint.rung, epochs=epochs)


def _standard(search: Search, genome: Genome) -> Genome:
    """Return the default recipe, with a genome's backbone where that is a gene."""
    model = {name: genome[name] for name in ("model",) if name in genome}
    return search.space.default().replace(**model)


def _best(search: Search, count: int) -> list[Individual]:
    judged = [i for i in search.born if i.outcome is not None and i.outcome.status is Status.OK]
    return sorted(judged, key=lambda i: (-i.score, i.id))[:count]
