"""How far a belief is trusted: by what is known of how those it thinks likely do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.evolution.algorithm import Evolution
from evoft.search.evolution.brood import Breeding
from evoft.search.evolution.trust import trust
from evoft.search.evolution.tuning import Tuning
from evoft.search.genes import Choice, Float
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings

NUMBERS = st.lists(st.tuples(st.floats(-5, 0), st.floats(-1, 1)), max_size=20)


@settings(deadline=None)
@given(NUMBERS)
def test_it_is_a_share_whatever_is_known(pairs: list[tuple[float, float]]) -> None:
    found = trust([d for d, _ in pairs], [s for _, s in pairs])
    assert 0.0 <= found <= 1.0
    if len(pairs) < 3:
        assert found == 1.0


def test_who_is_right_is_trusted_and_who_is_wrong_is_not() -> None:
    up = [float(i) for i in range(8)]
    assert trust(up, up) == 1.0
    assert trust(up, up[::-1]) == 0.0
    assert trust(up, [-math.inf, *up[1:]]) == 1.0
    some = trust(up, [3.0, 0.0, 1.0, 2.0, 7.0, 4.0, 5.0, 6.0])
    assert 0.5 < some < 1.0
    # What is known of two more individuals than the credit's counts for more than of two fewer.
    assert trust(up[:3], up[:3][::-1]) > trust(up[:6], up[:6][::-1])


SPACE = SearchSpace(
    a=Float(0, 1), b=Float(0, 1), c=Float(0, 1), d=Float(0, 1), e=Choice(["x", "y", "z"])
)


def bowl(genome: Genome) -> float:
    return -sum((float(genome[n]) - 0.8) ** 2 for n in "abcd") - 0.3 * (genome["e"] != "x")


def ridge(genome: Genome) -> float:
    across = float(genome["a"]) + float(genome["b"]) - 1.6
    return -2 * across**2 - abs(float(genome["c"]) - 0.75) - 0.2 * (genome["e"] == "z")


def ripples(genome: Genome) -> float:
    wave = 0.05 * sum(math.sin(15 * float(genome[n])) for n in "abcd")
    return wave - sum(abs(float(genome[n]) - 0.7) for n in "abd") - 0.3 * (genome["e"] != "x")


def believing(weight: float, default: float) -> SearchSpace:
    """Return the space with a default of all genes, and of high confidence unless weight is 0."""
    sure = "high" if weight else None
    genes = {n: Float(0, 1, default=default, confidence=sure) for n in "abcd"}
    best = "x" if default > 0.5 else "z"
    return SearchSpace(genes, e=Choice(["x", "y", "z"], default=best, confidence=sure))


def found(
    score: Callable[[Genome], float], seed: int, weight: float, default: float, generations: int = 5
) -> float:
    """Return the best score after generations of four full trainings each, on three rungs."""

    def made(chronicle: Chronicle) -> Evolution:
        prior = chronicle.prior and replace(chronicle.prior, weight=weight)
        return Evolution(chronicle, tuning=Tuning(breeding=Breeding(size=40)), prior=prior)

    how = SearchSettings(population_size=4, generations=generations, lookahead=0)
    ladder, space = Ladder((1.0, 3.0, 9.0)), believing(weight, default)
    search = Search(space, how, seed, ladder=ladder, strategy=made)
    while (stint := search.ask()) is not None:
        genome = search.born[stint.individual].genome
        course = 2.0 * math.exp(-ladder.rungs[stint.rung] / 3)
        search.tell(stint.number, Outcome.of_fitness(score(genome) - course))
    return max(score(individual.genome) for individual in search.born)


@pytest.mark.parametrize(
    "score", [bowl, *(pytest.param(one, marks=pytest.mark.slow) for one in (ridge, ripples))]
)
def test_a_bad_belief_of_any_weight_is_forgotten_within_five_generations(
    score: Callable[[Genome], float],
) -> None:
    """Of three seeds on average it costs less than a tenth of what its default falls short by."""
    free, misled = ([found(score, s, w, 0.1) for s in range(3)] for w in (0.0, 100.0))
    best, worst = np.mean(free), score(believing(0.0, 0.1).default())
    assert np.mean(misled) > best - 0.1 * (best - worst)


@pytest.mark.parametrize("weight", [1.0, 10.0])
def test_a_good_belief_helps(weight: float) -> None:
    """A tenth of the range lies between each gene's default and its best."""
    told, free = ([found(bowl, s, w, 0.7, 1) for s in range(5)] for w in (weight, 0.0))
    assert np.mean(told) > np.mean(free)
