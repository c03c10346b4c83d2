"""The evolution under several objectives: the contract of strategies, and better than chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from landscape import LADDER, SPACE, curve
from numpy.random import Generator

from evoft.genome import Genome
from evoft.individual import Individual
from evoft.kernels.hypervolume import hypervolume_of
from evoft.ladder import Ladder
from evoft.objectives import objectives_of, scores_of
from evoft.outcome import Outcome, Status
from evoft.search.clock import Clock
from evoft.search.evolution.algorithm import Evolution
from evoft.search.evolution.compromise import compromise, undominated
from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.genes import Float
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.settings import STRATEGIES, SearchSettings
from evoft.testing import StrategyContract

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


class TestAsha(Several):
    settings = SearchSettings(
        strategy="asha", population_size=6, generations=4, lookahead=2, objectives=NAMES
    )


class TestHyperband(Several):
    settings = SearchSettings(
        strategy="hyperband", population_size=6, generations=4, lookahead=2, objectives=NAMES
    )


class TestGenetic(Several):
    settings = SearchSettings(
        strategy="ga", population_size=6, generations=4, lookahead=2, objectives=NAMES
    )


class TestRandom(Several):
    settings = SearchSettings(
        strategy="random", population_size=6, generations=4, lookahead=2, objectives=NAMES
    )


class TestGrid(Several):
    settings = SearchSettings(
        strategy="grid", population_size=6, generations=4, lookahead=2, objectives=NAMES
    )


class TestBayes(Several):
    settings = SearchSettings(
        strategy="bayes", population_size=6, generations=3, lookahead=2, objectives=NAMES
    )
    tries = 1


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_bayes_is_after_all_objectives(sampler: str) -> None:
    settings = SearchSettings(
        strategy="bayes", sampler=sampler, population_size=30, generations=1, lookahead=0,
        objectives=("accuracy", "size:min"),
    )  # fmt: skip
    space = SearchSpace(x=Float(0.0, 1.0), y=Float(0.0, 1.0))
    search = Search(space, settings, 1)
    asked = []
    while (stint := search.ask()) is not None:
        x, y = (float(search.born[stint.individual].genome[name]) for name in "xy")
        asked.append((x, y))
        # Only y = 0 is on the front: of x the objectives want opposite things.
        search.tell(stint.number, Outcome.of_fitness(x - y, metrics={"size": x + 4 * y}))
    sampled, suggested = np.array(asked[:10]), np.array(asked[10:])
    assert suggested[:, 1].mean() < sampled[:, 1].mean() / 1.5
    assert suggested[:, 0].std() > 0.1


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


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_settings_allow_several_objectives(strategy: str) -> None:
    assert SearchSettings(strategy=strategy, objectives=NAMES).objectives == NAMES


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def searched(strategy: str, seed: int, full: int = 12) -> Search:
    settings = SearchSettings(
        strategy=strategy,
        population_size=full,
        generations=1,
        lookahead=2,
        objectives=("accuracy", "size:min"),
    )
    search = Search(SPACE, settings, seed, ladder=LADDER)
    while (stint := search.ask()) is not None:
        search.tell(stint.number, sized(search, stint))
    return search


def sized(search: Search, stint: Stint) -> Outcome:
    genome = search.born[stint.individual].genome
    fitness = curve(genome, search.ladder.rungs[stint.rung])
    return Outcome.of_fitness(fitness, metrics={"size": size(genome)})


@pytest.mark.parametrize("strategy", ["asha", "hyperband"])
def test_nobody_is_promoted_before_someone_who_dominates_it_on_its_rung(strategy: str) -> None:
    objectives = objectives_of(("accuracy", "size:min"))
    search = searched(strategy, seed=4, full=20)
    clock, told, reached = Clock(3), {}, {}
    promotions = 0
    for stint in search.stints:
        for number in clock.ended():
            ended = search.stints[number]
            told[ended.individual, ended.rung] = scores_of(objectives, sized(search, ended))
        if stint.rung and len(told) > 5:
            promotions += 1
            below = stint.rung - 1
            rivals = [id for id, rung in reached.items() if rung == below and (id, below) in told]
            if strategy == "hyperband":  # its brackets are halved each for itself
                rivals = [id for id in rivals if id < 9 and stint.individual < 9]
            mine = told[stint.individual, below]
            assert not any(dominates(told[id, below], mine) for id in rivals)
        reached[stint.individual] = stint.rung
        clock.start(stint)
    assert promotions > 5


def test_the_evolution_continues_nobody_of_whom_another_paused_is_predicted_to_be_better() -> None:
    seen = []

    class Watched(Evolution):
        def _field(self, alive: Indices, scores: Array, promises: Array, rng: Generator) -> Any:
            field = super()._field(alive, scores, promises, rng)
            waiting = [id for id in alive.tolist() if self._knowledge.is_waiting(id)]
            if waiting:
                who = np.array(waiting)
                columns = self._knowledge.values.T
                means = [self._judge.referee(column)[0].born(who).means() for column in columns]
                predicted = dict(zip(waiting, zip(*means, strict=True), strict=True))
                front = {
                    id for id in waiting
                    if not any(dominates(predicted[o], predicted[id]) for o in waiting)
                }  # fmt: skip
                seen.append((set(field.paused.tolist()), front, set(waiting)))
            return field

    settings = SearchSettings(
        population_size=5, generations=1, lookahead=0, objectives=("accuracy", "size:min")
    )
    search = Search(SPACE, settings, 2, ladder=LADDER, strategy=Watched)
    while (stint := search.ask()) is not None:
        search.tell(stint.number, sized(search, stint))
    assert all(paused == front for paused, front, _ in seen)
    assert any(front < waiting for _, front, waiting in seen)
