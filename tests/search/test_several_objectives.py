"""The evolution under several objectives: the contract of strategies, and better than chance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from test_evolution import LADDER, SPACE, curve

from evoft.genome import Genome
from evoft.individual import Individual
from evoft.kernels.hypervolume import hypervolume_of
from evoft.ladder import Ladder
from evoft.objectives import objectives_of
from evoft.outcome import Outcome, Status
from evoft.search.compromise import compromise, undominated
from evoft.search.knowledge import Knowledge
from evoft.search.search import Search
from evoft.search.stint import Stint
from evoft.settings import SearchSettings
from evoft.testing import StrategyContract
from evoft.testing.trace import decided, straight

NAMES = ("accuracy", "width:min")


class Several(StrategyContract):
    tries = 3

    def judge(self, stint: Stint, individual: Individual) -> Outcome:
        outcome = super().judge(stint, individual)
        if outcome.status is not Status.OK:
            return outcome
        return Outcome.of_fitness(
            outcome.fitness, metrics={"width": float(individual.genome.get("width", 0))}
        )

    def judge_small(self, stint: Stint, individual: Individual) -> Outcome:
        outcome = super().judge_small(stint, individual)
        if outcome.status is not Status.OK:
            return outcome
        return Outcome.of_fitness(outcome.fitness, metrics={"width": float(individual.id % 3)})

    def test_a_finite_space_is_searched_through_and_then_the_search_ends(self) -> None:
        search = Search(
            self.small, self.settings, self.seed, ladder=self.settings.ladder(self.epochs)
        )
        while (stint := search.ask()) is not None:
            metrics = {"width": float(stint.individual % 3)}
            search.tell(
                stint.number, Outcome.of_fitness(float(stint.individual % 5), metrics=metrics)
            )
        assert search.ended
        assert len(search.born) <= 16


class TestEvolution(Several):
    settings = SearchSettings(
        strategy="evolution", population_size=4, generations=2, lookahead=2, objectives=NAMES
    )
    tries = 2

    def test_a_longer_search_begins_like_a_shorter_one(self) -> None:
        """It does until plans are weighed that the shorter one cannot pay for."""
        longer = Search(
            self.space,
            replace(self.settings, generations=3),
            self.seed,
            ladder=self.settings.ladder(self.epochs),
            named=self.named,
        )
        short = decided(straight(self.search(), self.judge))
        count = len(short) // 2
        assert decided(straight(longer, self.judge))[:count] == short[:count]


class TestGenetic(Several):
    settings = SearchSettings(
        strategy="ga", population_size=6, generations=4, lookahead=2, objectives=NAMES
    )


def test_a_failure_is_minus_infinity_and_every_front_member_is_some_compromises_best() -> None:
    values = np.array([[0.0, 4.0], [1.0, 3.5], [3.5, 1.0], [4.0, 0.0], [0.5, 0.5], [-np.inf] * 2])
    best = set()
    for seed in range(200):
        scores = compromise(values, np.random.default_rng(seed))
        assert scores[5] == -math.inf
        assert scores[4] < scores[:4].max()
        best.add(int(scores.argmax()))
    assert best == {0, 1, 2, 3}
    failed = compromise(np.full((3, 2), -np.inf), np.random.default_rng(0))
    assert (failed == -np.inf).all()


def test_only_those_on_the_same_rung_dominate() -> None:
    known = Knowledge(LADDER, 1, 1, 0, objectives_of(NAMES))
    course = [(0, 0, 0.2, 1), (1, 0, 0.4, 1), (2, 0, 0.5, 3), (1, 1, 0.9, 1), (3, 0, 0.1, 2)]
    for number, (id, rung, fitness, width) in enumerate(course):
        outcome = Outcome.of_fitness(fitness, metrics={"width": float(width)})
        known.learn(Stint(number, id, rung, 0.1, 0), outcome)
    assert undominated(known, np.arange(4)).tolist() == [True, True, True, False]


def test_what_lacks_an_objective_has_failed() -> None:
    known = Knowledge(LADDER, 1, 1, 0, objectives_of(NAMES))
    known.learn(Stint(0, 0, 0, 0.1, 0), Outcome.of_fitness(0.5))
    assert known.values.tolist() == [[-math.inf] * 2] * 2
    assert not known.is_waiting(0)


def size(genome: Genome) -> float:
    """Return the doublings of a model's size that widths and depths make."""
    return math.log2(int(genome["width"]) / 16 * (1 + int(genome["depth"])))


def volume(strategy: str, seed: int) -> float:
    """Return the hypervolume of what a search has found for ten full trainings."""
    settings = SearchSettings(
        strategy=strategy,
        population_size=10,
        generations=1,
        lookahead=2,
        objectives=("accuracy", "size:min") if strategy == "evolution" else ("accuracy",),
    )
    ladder = LADDER if strategy == "evolution" else Ladder(LADDER.rungs[-1:])
    search = Search(SPACE, settings, seed, ladder=ladder)
    while (stint := search.ask()) is not None:
        genome = search.born[stint.individual].genome
        outcome = Outcome.of_fitness(
            curve(genome, ladder.rungs[stint.rung]), metrics={"size": size(genome)}
        )
        search.tell(stint.number, outcome)
    judged = [i for i in search.born if i.outcome is not None]
    scores = [(i.fitness, -i.outcome.metrics["size"]) for i in judged if i.outcome]
    return hypervolume_of(scores, (-3.0, -6.0))


def test_it_dominates_more_than_random_search_at_equal_cost() -> None:
    """Out of 16.1, which is all that there is."""
    found = [volume("evolution", seed) for seed in range(5)]
    chance = [volume("random", seed) for seed in range(5)]
    assert np.mean(found) > np.mean(chance) + 0.5, (found, chance)


@pytest.mark.parametrize("strategy", ["evolution", "ga"])
def test_settings_allow_several_objectives(strategy: str) -> None:
    assert SearchSettings(strategy=strategy, objectives=NAMES).objectives == NAMES
