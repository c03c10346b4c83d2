"""Hyperband: the brackets of its paper, and successive halving within each."""

from __future__ import annotations

import math

import pytest

from evoft.individual import Individual
from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.search.genes import Float
from evoft.search.hyperband import shapes
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.seeds import derive
from evoft.settings import SearchSettings
from evoft.testing.trace import Judge, straight

SPACE = SearchSpace(x=Float(0, 1))
PAPER = Ladder((1.0, 3.0, 9.0, 27.0, 81.0))


def test_the_brackets_of_the_paper() -> None:
    """Li et al. 2018, Algorithm 1 with R = 81 and eta = 3."""
    assert [shape.sizes for shape in shapes(PAPER)] == [
        (81, 27, 9, 3, 1),
        (34, 11, 3, 1),
        (15, 5, 1),
        (8, 2),
        (5,),
    ]
    assert [shape.first for shape in shapes(PAPER)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize("s_max", range(6))
@pytest.mark.parametrize("unit", [1.0, 1 / 3, 0.1])
def test_the_brackets_of_algorithm_1(eta: int, s_max: int, unit: float) -> None:
    found = shapes(Ladder(tuple(unit * eta**k for k in range(s_max + 1))))
    for s, shape in zip(reversed(range(s_max + 1)), found, strict=True):
        n = -(-(s_max + 1) * eta**s // (s + 1))  # in whole numbers, nothing to round
        assert shape.sizes == tuple(n // eta**i for i in range(s + 1))


def test_a_ladder_of_uneven_steps_has_the_quotients_of_its_rungs() -> None:
    assert [shape.sizes for shape in shapes(Ladder((1.0, 2.0, 10.0)))] == [(10, 5, 1), (8, 1), (3,)]


def hyperband(ladder: Ladder, lookahead: int = 0, **changes: object) -> Search:
    values = {"population_size": 20, "generations": 1, "lookahead": lookahead, **changes}
    settings = SearchSettings(strategy="hyperband", **values)  # type: ignore[arg-type]
    return Search(SPACE, settings, 0, ladder=ladder)


def noisy(stint: Stint, individual: Individual) -> Outcome:
    noise = derive(individual.seed, "noise", stint.rung) / 2**63
    return Outcome.of_fitness(float(individual.genome["x"]) + noise)


NINE = Ladder((1.0, 3.0, 9.0))


def ranked(search: Search, ids: list[int], rung: int) -> list[int]:
    def score(id: int) -> float:
        individual = search.born[id]
        return (*individual.earlier, individual.outcome)[rung].score

    return sorted(ids, key=lambda id: (-score(id), id))


def test_a_bracket_is_successive_halving() -> None:
    search = straight(hyperband(NINE), noisy)
    stints = [(stint.individual, stint.rung) for stint in search.stints]
    assert stints[:9] == [(id, 0) for id in range(9)]
    second = ranked(search, list(range(9)), 0)[:3]
    assert stints[9:12] == [(id, 1) for id in second]
    assert stints[12] == (ranked(search, second, 1)[0], 2)


def test_the_next_brackets_take_their_members_to_a_higher_rung_first() -> None:
    search = straight(hyperband(NINE), noisy)
    stints = [(stint.individual, stint.rung) for stint in search.stints][13:]
    members = list(range(9, 14))  # five, compared at three epochs
    assert stints[:10] == [*((id, 0) for id in members), *((id, 1) for id in members)]
    assert stints[10] == (ranked(search, members, 1)[0], 2)
    last = list(range(14, 17))  # three, in full
    assert stints[11:20] == [(id, rung) for rung in range(3) for id in last] or (
        stints[11:14] == [(id, 0) for id in last]
        and sorted(stints[14:20]) == sorted((id, rung) for id in last for rung in (1, 2))
    )
    assert stints[20] == (17, 0)  # and from the beginning


def test_who_failed_is_never_continued_and_its_place_goes_to_the_next_best() -> None:
    def best_fail(stint: Stint, individual: Individual) -> Outcome:
        if individual.id in (2, 5) and stint.rung == 0:
            return Outcome(Status.DIVERGED, fitness=9.0)
        return Outcome.of_fitness(-float(individual.id))

    search = straight(hyperband(NINE), best_fail)
    continued = [s.individual for s in search.stints if s.rung][:4]
    assert continued == [0, 1, 3, 0]


def test_a_bracket_of_failures_makes_room_for_the_next() -> None:
    def first_fail(stint: Stint, individual: Individual) -> Outcome:
        return noisy(stint, individual) if individual.id >= 9 else Outcome(Status.FAILED)

    search = straight(hyperband(NINE), first_fail)
    stints = [(s.individual, s.rung) for s in search.stints]
    assert stints[9:19] == [*((id, 0) for id in range(9, 14)), *((id, 1) for id in range(9, 14))]


@pytest.mark.parametrize("lookahead", [0, 1, 4, 19])
def test_every_bracket_is_halved_by_its_own_scores_whatever_overlaps(lookahead: int) -> None:
    search = straight(hyperband(NINE, lookahead, generations=3), noisy)
    order = [(shape.first, shape.sizes) for shape in shapes(NINE)] * 9
    born, done = 0, 0
    for first, sizes in order:
        members = list(range(born, born + sizes[0]))
        born += sizes[0]
        if born > len(search.born) or max(_last(search, members)) > len(search.stints) - 40:
            break  # the budget ended within this one
        for rung, size in enumerate(sizes[1:], start=first):
            members = ranked(search, members, rung)[:size]
            assert all(search.born[id].rung > rung for id in members)
        done += 1
    assert done >= 4
    taken = sum(individual.rung + 1 for individual in search.born)
    assert taken == len(search.stints)


def _last(search: Search, ids: list[int]) -> list[int]:
    return [s.number for s in search.stints if s.individual in ids]


def test_while_outcomes_are_on_their_way_the_next_bracket_begins() -> None:
    search = hyperband(NINE, lookahead=3, generations=1)
    stints = [(s.individual, s.rung) for s in straight(search, noisy).stints]
    assert stints[:12] == [(id, 0) for id in range(12)]  # three of the first are in flight
    assert {rung for _, rung in stints[12:15]} == {1}
    assert all(id < 9 for id, _ in stints[12:15])


@pytest.mark.parametrize("judge", [noisy, lambda s, i: Outcome.of_fitness(math.nan)])
def test_one_rung_alone_is_random_search(judge: Judge) -> None:
    search = straight(hyperband(Ladder((5.0,))), judge)
    assert [s.rung for s in search.stints] == [0] * 20
