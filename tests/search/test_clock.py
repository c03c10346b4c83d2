"""The clock of a search: what has ended when the next stint begins, by cost and places alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.search.clock import Clock
from evoft.search.stint import Stint

COSTS = st.lists(st.sampled_from([1 / 9, 2 / 9, 1 / 3, 2 / 3, 1.0]), max_size=40)


def run(costs: list[float], places: int) -> list[list[int]]:
    """Return what has ended, since the stint before, at the beginning of each stint."""
    clock, ended = Clock(places), []
    for number, cost in enumerate(costs):
        ended.append(list(clock.ended()))
        clock.start(Stint(number, number, 0, cost, 0))
    return ended


@pytest.mark.parametrize("places", [1, 2, 5])
def test_where_all_cost_the_same_each_begins_when_all_but_lookahead_before_it_ended(
    places: int,
) -> None:
    known: list[int] = []
    for number, ended in enumerate(run([1.0] * 20, places)):
        known += ended
        assert known == list(range(max(0, number - places + 1)))


@given(COSTS, st.integers(1, 6))
def test_it_is_the_clock_of_as_many_workers_as_places(costs: list[float], places: int) -> None:
    free, ends, told = [0.0] * places, [], set()
    for number, (cost, ended) in enumerate(zip(costs, run(costs, places), strict=True)):
        now = max(min(free), 0.0)
        if number >= places:
            # Somebody's place is free at that time, and everybody who ended by then may be known;
            # of those who end at that very time, as many as make the place free.
            assert all(ends[n] <= now + 1e-9 for n in ended)
        told |= set(ended)
        running = [n for n in range(number) if n not in told]
        assert len(running) == min(number, places - 1)
        assert all(ends[n] >= now - 1e-9 for n in running)
        free[free.index(min(free))] = now + cost
        ends.append(now + cost)


@given(COSTS, st.integers(1, 6))
def test_everybody_ends_once_and_in_order(costs: list[float], places: int) -> None:
    ended = [number for some in run(costs, places) for number in some]
    assert len(ended) == len(set(ended)) == max(0, len(costs) - places)


def test_asking_again_ends_nothing_more() -> None:
    clock = Clock(2)
    for number, cost in enumerate([0.5, 1.0]):
        assert list(clock.ended()) == []
        clock.start(Stint(number, number, 0, cost, 0))
    assert clock.running == [0, 1]
    assert list(clock.ended()) == [0]
    assert list(clock.ended()) == []
    assert clock.running == [1]
    clock.start(Stint(2, 0, 1, 0.1, 0))  # from 0.5 to 0.6
    assert clock.running == [2, 1]


def test_of_those_that_end_together_the_elder_ends_first() -> None:
    assert run([1.0, 0.5, 0.5, 1.0, 1.0], 2) == [[], [], [1], [0], [2]]


def test_who_waits_lets_the_next_in_flight_end_though_places_are_free() -> None:
    clock = Clock(3)
    clock.start(Stint(0, 0, 0, 1.0, 0))
    clock.start(Stint(1, 1, 0, 0.2, 0))
    assert list(clock.ended()) == []
    assert clock.wait() == 1
    clock.start(Stint(2, 2, 0, 0.3, 0))  # it begins at 0.2
    assert clock.running == [2, 0]
    assert [clock.wait(), clock.wait()] == [2, 0]
    assert clock.running == []
