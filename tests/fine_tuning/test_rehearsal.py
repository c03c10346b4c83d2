"""A rehearsal goes on where the search stands, to its end, and leaves the search as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from evoft.fine_tuning.rehearsal import Surrogate, rehearse
from evoft.outcome import Outcome, Status
from evoft.search.genes import Choice, Float, Integer
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.seeds import derive
from evoft.settings import STRATEGIES, SearchSettings

SPACE = SearchSpace(
    x=Float(0.0, 1.0),
    y=Float(1e-4, 1.0, log=True),
    depth=Integer(0, 6),
    opt=Choice(["adam", "sgd"]),
)
SETTINGS = SearchSettings(population_size=4, generations=3)
SEVERAL = replace(SETTINGS, objectives=("accuracy", "width:min"))


def search_of(settings: SearchSettings = SETTINGS, seed: int = 3) -> Search:
    return Search(SPACE, settings, seed, ladder=settings.ladder(4.0))


def judge(search: Search, stint: Stint) -> Outcome:
    """Return a fitness that grows with the rung; some fail."""
    if derive(1, "failure", stint.individual, stint.rung) % 11 == 0:
        return Outcome(Status.DIVERGED, reason="it would not")
    genome = search.born[stint.individual].genome
    x, depth = float(genome["x"]), float(genome["depth"])
    fitness = 0.9 - 0.5 * (x - 0.7) ** 2 - 0.1 / (1 + stint.rung)
    return Outcome.of_fitness(fitness, metrics={"width": 1.0 + depth})


def go_on(search: Search, stints: int, late: int = 2) -> None:
    """Decide so many stints, and tell the outcomes of all but the last few."""
    while len(search.stints) < stints:
        if search.ask() is None:
            tell(search, search.open + 1)
    tell(search, stints - late)


def tell(search: Search, count: int) -> None:
    """Tell the outcomes of the first so many stints."""
    for stint in search.stints[:count]:
        if not search.told(stint.number):
            search.tell(stint.number, judge(search, stint))


def history(search: Search) -> list[object]:
    """Return all that was decided, and what became of everybody."""
    return [*search.stints, *map(repr, search.born)]


def to_the_end(search: Search, after_each: Callable[[Search], object]) -> list[object]:
    """Run a search to its end; return its history."""
    while True:
        while search.ask() is not None:
            after_each(search)
        if search.waits_for is None:
            return history(search)
        tell(search, search.open + 1)
        after_each(search)


@pytest.mark.parametrize("settings", [replace(SETTINGS, strategy=s) for s in STRATEGIES])
def test_every_strategy_is_rehearsed_to_its_end(settings: SearchSettings) -> None:
    search = search_of(settings)
    go_on(search, 9)
    assert not search.ended
    before = history(search)
    ahead = rehearse(search, math.inf)
    assert ahead is not None
    assert history(search) == before
    assert ahead.ended
    assert ahead.waits_for is None
    assert ahead.stints[: len(search.stints)] == search.stints
    assert len(ahead.stints) > len(search.stints)
    assert [one.unjudged for one in ahead.born[: len(search.born)]] == [
        one.unjudged for one in search.born
    ]
    again = rehearse(search, math.inf)
    assert again is not None
    assert history(again) == history(ahead)


@pytest.mark.parametrize("settings", [SETTINGS, SEVERAL, replace(SETTINGS, strategy="ga")])
def test_the_lineage_is_the_same_with_rehearsals_and_without(settings: SearchSettings) -> None:
    count = 0

    def look_ahead(search: Search) -> None:
        nonlocal count
        if search.open in (3, 8):
            count += rehearse(search, math.inf) is not None

    plain = to_the_end(search_of(settings), lambda search: None)
    assert to_the_end(search_of(settings), look_ahead) == plain
    assert count > 1


def test_a_resumed_search_has_the_same_rehearsal() -> None:
    search = search_of()
    go_on(search, 9)
    resumed = search_of()
    for stint in search.stints:
        individual = search.born[stint.individual]
        resumed.restore(individual.unjudged, stint.rung)
        if search.told(stint.number):
            resumed.tell(stint.number, (*individual.earlier, individual.outcome)[stint.rung])
    straight, again = (rehearse(each, math.inf) for each in (search, resumed))
    assert straight is not None
    assert again is not None
    assert history(again) == history(straight)


def test_without_an_outcome_or_at_the_end_there_is_nothing_to_rehearse() -> None:
    search = search_of()
    assert rehearse(search, math.inf) is None
    while (stint := search.ask()) is not None:
        if stint.number < 2:
            search.tell(stint.number, Outcome(Status.LOST, reason="the worker died"))
    assert rehearse(search, math.inf) is None
    ended = search_of()
    to_the_end(ended, lambda search: None)
    assert ended.ended
    assert rehearse(ended, math.inf) is None


def test_where_all_failed_it_goes_on_all_the_same() -> None:
    search = search_of()
    for _ in range(3):
        stint = search.ask()
        assert stint is not None
        search.tell(stint.number, Outcome(Status.DIVERGED, reason="it would not"))
    ahead = rehearse(search, math.inf)
    assert ahead is not None
    assert ahead.ended


def test_without_time_it_stands_where_it_came_to() -> None:
    search = search_of()
    go_on(search, 9)
    ahead = rehearse(search, 0.0)
    assert ahead is not None
    assert ahead.stints == search.stints
    assert all(ahead.told(stint.number) for stint in ahead.stints)


def test_a_search_that_is_long_is_not_gone_over() -> None:
    search = search_of(replace(SETTINGS, generations=1000, strategy="random"))
    go_on(search, 500, late=0)
    assert rehearse(search, 0.0) is not None
    go_on(search, 501, late=0)
    assert rehearse(search, 0.0) is None


def test_what_is_expected_is_what_genomes_like_it_gave() -> None:
    search = search_of(replace(SETTINGS, generations=8, strategy="random"))
    go_on(search, 30, late=0)
    surrogate, twin = Surrogate(search), search.twin()
    expected, true = [], []
    while (stint := twin.ask()) is not None:
        expected.append(surrogate.outcome(twin, stint).fitness)
        outcome = Outcome.of_fitness(0.9 - 0.5 * (float(_x(twin, stint)) - 0.7) ** 2 - 0.1)
        true.append(outcome.fitness)
        twin.tell(stint.number, outcome)
    assert np.corrcoef(expected, true)[0, 1] > 0.8


def _x(search: Search, stint: Stint) -> object:
    return search.born[stint.individual].genome["x"]


def test_each_objective_is_answered_in_its_own_direction() -> None:
    search = search_of(SEVERAL)
    go_on(search, 9, late=0)
    twin = search.twin()
    surrogate = Surrogate(search)
    answers = []
    while (stint := twin.ask()) is not None:
        twin.tell(stint.number, surrogate.outcome(twin, stint))
        one = twin.born[stint.individual]
        assert one.outcome is not None
        answers.append((1.0 + float(one.genome["depth"]), one.outcome.metrics["width"]))
        assert -1.0 < one.fitness < 2.0
    widths, expected = zip(*answers, strict=True)
    assert min(expected) > -1.0
    assert np.corrcoef(widths, expected)[0, 1] > 0.5
