"""Where genomes differ in price, a budget is spent by it, and the evolution asks what it buys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from evoft.errors import PopulationMismatchError, SettingsError
from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.outcome import Outcome
from evoft.search.evolution.algorithm import Evolution
from evoft.search.genes import Float, Ordinal
from evoft.search.pricing import checked
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.settings import STRATEGIES, SearchSettings

SPACE = SearchSpace(
    x=Float(0.0, 1.0),
    y=Float(0.0, 1.0),
    width=Ordinal([1, 2, 4, 8], default=2),
)
LADDER = Ladder((1.0, 3.0, 9.0))
SETTINGS = SearchSettings(population_size=6, generations=4)


def by_width(genome: Genome) -> float:
    return float(genome["width"]) / 2


def search_of(
    price: Callable[[Genome], float] | None, ladder: Ladder = LADDER, **changes: object
) -> Search:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return Search(SPACE, settings, 5, ladder=ladder, price=price)


def judge(search: Search, stint: Stint) -> Outcome:
    """Return a fitness to which the width is of no account."""
    genome = search.born[stint.individual].genome
    x, y = float(genome["x"]), float(genome["y"])
    return Outcome.of_fitness(0.2 * stint.rung - (x - 0.3) ** 2 - (y - 0.6) ** 2)


def run(search: Search) -> Search:
    while (stint := search.ask()) is not None:
        search.tell(stint.number, judge(search, stint))
    assert search.ended
    return search


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("ladder", [LADDER, Ladder()])
def test_what_is_spent_is_what_the_stints_cost(strategy: str, ladder: Ladder) -> None:
    search = run(search_of(by_width, ladder, strategy=strategy))
    for stint in search.stints:
        genome = search.born[stint.individual].genome
        assert stint.cost == by_width(genome) * ladder.cost(stint.rung)
    assert all(one.price == by_width(one.genome) for one in search.born)
    assert search.spent == pytest.approx(sum(stint.cost for stint in search.stints))
    dearest = 8 / 2 * ladder.cost(ladder.top)
    assert 24 - dearest <= search.spent <= 24 + 1e-9


def test_a_generation_is_as_much_training_as_its_stints_cost() -> None:
    search = run(search_of(by_width))
    spent = 0.0
    for stint in search.stints:
        assert stint.generation == int((spent + 1e-9) // 6)
        spent += stint.cost


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(one, marks=[pytest.mark.slow] * (one == "bayes")) for one in STRATEGIES],
)
def test_where_all_cost_the_same_a_price_changes_nothing(strategy: str) -> None:
    plain = run(search_of(None, strategy=strategy))
    priced = run(search_of(lambda genome: 1.0, strategy=strategy))
    assert priced.stints == plain.stints
    assert list(map(repr, priced.born)) == list(map(repr, plain.born))


def test_of_equals_the_evolution_breeds_the_cheap() -> None:
    def mean_price(search: Search) -> float:
        bred = [by_width(one.genome) for one in search.born if one.parents]
        assert len(bred) > 10
        return sum(bred) / len(bred)

    plain, priced = run(search_of(None)), run(search_of(by_width))
    assert mean_price(priced) < 0.7 * mean_price(plain)
    assert priced.spent <= 24 + 1e-9
    paid = sum(
        by_width(plain.born[s.individual].genome) * plain.ladder.cost(s.rung) for s in plain.stints
    )
    assert len(priced.stints) / priced.spent > 1.2 * len(plain.stints) / paid
    assert max(one.score for one in priced.born) > 0.39


def test_the_dear_are_bred_where_they_are_better() -> None:
    def wide_is_better(search: Search) -> Search:
        while (stint := search.ask()) is not None:
            width = float(search.born[stint.individual].genome["width"])
            fitness = judge(search, stint).fitness + 0.1 * math.log2(width)
            search.tell(stint.number, Outcome.of_fitness(fitness))
        return search

    search = wide_is_better(search_of(by_width))
    best = max(search.born, key=lambda one: (one.score, one.rung))
    assert best.genome["width"] == 8


def test_the_end_of_a_generation_is_not_filled_with_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(evolution: Evolution, rng: Generator) -> None:
        raise AssertionError("nobody of the brood was taken")

    monkeypatch.setattr(Evolution, "_stranger", none)
    for ladder in (LADDER, Ladder()):  # what is left of six after four pays for no other four
        search = run(search_of(lambda genome: 4.0, ladder))
        assert search.spent > 20 if ladder.top else search.spent == 24


def test_a_price_may_round_otherwise_elsewhere() -> None:
    search = run(search_of(by_width))
    again = search_of(lambda genome: by_width(genome) * (1 + 1e-12))
    for stint in search.stints:
        again.restore(search.born[stint.individual], stint.rung)
        again.tell(stint.number, judge(search, stint))
    assert [one.price for one in again.born] == [one.price for one in search.born]


def test_a_twin_and_a_resumed_search_have_the_same_prices() -> None:
    search, again = search_of(by_width), search_of(by_width)
    for _ in range(20):
        stint = search.ask()
        assert stint is not None
        search.tell(stint.number, judge(search, stint))
    for stint in search.stints:
        one = search.born[stint.individual]
        again.restore(one, stint.rung)
        again.tell(stint.number, judge(search, stint))
    whole, resumed, twin = run(search_of(by_width)), run(again), run(search.twin())
    for other in (resumed, twin):
        assert other.stints == whole.stints
        assert list(map(repr, other.born)) == list(map(repr, whole.born))


@pytest.mark.parametrize("price", [None, lambda genome: 3.0, lambda genome: by_width(genome) ** 2])
def test_a_population_is_gone_on_with_at_its_own_prices(
    price: Callable[[Genome], float] | None,
) -> None:
    search, other = run(search_of(by_width)), search_of(price)
    other_price = price or (lambda genome: 1.0)
    first = next(o for o in search.born if other_price(o.genome) != o.price)
    told = f"individual {first.id} was born at a price of {first.price:g}, but `price` now says"

    def go_over() -> None:
        for stint in search.stints:
            other.restore(search.born[stint.individual], stint.rung)
            other.tell(stint.number, judge(search, stint))

    with pytest.raises(PopulationMismatchError, match=told):
        go_over()


@pytest.mark.parametrize("wrong", [0, -1.0, math.nan, math.inf, "2", None, True])
def test_what_is_no_price_is_refused_with_its_genome(wrong: object) -> None:
    search = search_of(lambda genome: wrong)  # type: ignore[arg-type, return-value]
    with pytest.raises(SettingsError, match=r"`price` must give a finite number above 0.*width"):
        search.ask()


def test_a_price_that_raises_is_refused_with_its_words() -> None:
    def bad(genome: Genome) -> float:
        return float(genome["depth"])

    with pytest.raises(SettingsError, match=r"`price` fails with .*depth.*width"):
        search_of(bad).ask()


def test_numpys_numbers_are_prices() -> None:
    price = checked(lambda genome: np.float32(0.5))(SPACE.default())
    assert (price, type(price)) == (0.5, float)
