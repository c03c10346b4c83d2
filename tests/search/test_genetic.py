"""The plain genetic algorithm as a pure function of its records: no order or restart counts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequences import sobol
from strategies import spaces

from evoft.errors import PopulationMismatchError, SpaceError
from evoft.genome import Genome
from evoft.individual import Individual
from evoft.outcome import Outcome, Status
from evoft.search.founders import founders
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.seeds import derive
from evoft.settings import SearchSettings

Judge = Callable[[Individual], Outcome]
SPACE = SearchSpace(
    lr=Float(1e-5, 1e-1, log=True),
    depth=Integer(0, 12),
    width=Ordinal([16, 32, 64]),
    opt=Choice(["adam", "sgd", "rmsprop"]),
    momentum=Float(0, 0.99, when={"opt": ["sgd", "rmsprop"]}),
)
SIX_IN_FOUR = {"population_size": 6, "generations": 4}
BAD = [status for status in Status if status is not Status.OK]


def settings_of(**changes: object) -> SearchSettings:
    return SearchSettings(**{"strategy": "ga", **SIX_IN_FOUR, **changes})  # type: ignore[arg-type]


def judge(individual: Individual) -> Outcome:
    """Return a fitness of the genome; every fifth fails, in each way in turn."""
    if individual.id % 5 == 3:
        return Outcome(BAD[individual.id % len(BAD)], reason="it would not")
    genome = individual.genome
    distance = abs(math.log10(float(genome["lr"])) + 3) + abs(int(genome["depth"]) - 4) / 4
    return Outcome.of_fitness(-distance - (genome["opt"] != "sgd"))


def ask(search: Search) -> Individual | None:
    """Return whoever is born next."""
    stint = search.ask()
    return None if stint is None else search.born[stint.individual]


def run(search: Search, judge: Judge = judge) -> list[Individual]:
    """Tell each outcome at once."""
    while (individual := ask(search)) is not None:
        search.tell(individual.id, judge(individual))
    return search.born


def births(individuals: list[Individual]) -> list[tuple[object, ...]]:
    return [(i.id, i.generation, i.parents, i.operator, i.genome, i.seed) for i in individuals]


STRAIGHT = births(run(Search(SPACE, settings_of(), 7)))


@given(st.data())
def test_outcomes_told_in_any_order_give_the_same_births(data: st.DataObject) -> None:
    search = Search(SPACE, settings_of(), 7)
    waiting: list[Individual] = []
    while True:
        asks = not waiting or data.draw(st.booleans())
        if asks and (individual := ask(search)) is not None:
            waiting.append(individual)
        elif waiting:
            one = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            search.tell(one.id, judge(one))
        else:
            break
    assert births(search.born) == STRAIGHT


@pytest.mark.parametrize("lookahead", [0, 1, 3, 5])
def test_lookahead_bounds_how_many_are_in_the_open(lookahead: int) -> None:
    search = Search(SPACE, settings_of(lookahead=lookahead), 7)
    assert len(list(iter(search.ask, None))) == 6
    for individual in list(search.born):
        search.tell(individual.id, judge(individual))
    assert len(list(iter(search.ask, None))) == lookahead + 1  # it, and those in the open at it
    assert search.ask() is None
    assert search.waits_for == 6


@pytest.mark.parametrize("lookahead", [0, 2, 5])
def test_a_birth_sees_all_that_is_lookahead_before_it_and_nothing_later(lookahead: int) -> None:
    settings = settings_of(lookahead=lookahead, tournsize=1)
    straight = births(run(Search(SPACE, settings, 7)))
    seen = 0
    for changed in range(settings.births or 0):

        def other(individual: Individual, changed: int = changed) -> Outcome:
            same = judge(individual)
            flip = Outcome.of_fitness(99.0) if same.score < -1 else Outcome(Status.LOST)
            return flip if individual.id == changed else same

        births_now = births(run(Search(SPACE, settings, 7), other))
        first = max(6, changed + 1 + lookahead)  # the first birth that may know
        assert births_now[:first] == straight[:first]
        seen += births_now[first:] != straight[first:]
    assert seen > 15  # and later births do depend on what was told


def test_a_seed_gives_one_lineage_and_another_seed_another() -> None:
    assert births(run(Search(SPACE, settings_of(), 7))) == STRAIGHT
    assert births(run(Search(SPACE, settings_of(), 8))) != STRAIGHT
    assert [i[5] for i in STRAIGHT] == [derive(7, "trial", n) for n in range(24)]


@pytest.mark.parametrize("kept", [0, 1, 5, 6, 11, 17, 23, 24])
def test_restored_and_continued_equals_straight_through(kept: int) -> None:
    whole = run(Search(SPACE, settings_of(), 7))
    search = Search(SPACE, settings_of(), 7)
    for individual in whole[:kept]:
        search.restore(individual)
        assert individual.outcome
        search.tell(individual.id, individual.outcome)
    assert search.born[kept:] == []
    assert births(run(search)) == STRAIGHT
    assert search.ended


def test_restored_without_outcomes_waits_for_them() -> None:
    search = Search(SPACE, settings_of(), 7)
    for individual in run(Search(SPACE, settings_of(), 7))[:8]:
        search.restore(individual)
    assert search.waits_for == 0
    for number in range(8):
        search.tell(number, judge(search.born[number]))
    assert births(run(search)) == STRAIGHT


def test_records_with_a_gap_are_refused() -> None:
    whole = run(Search(SPACE, settings_of(), 7))
    search = Search(SPACE, settings_of(), 7)
    search.restore(whole[0])
    with pytest.raises(PopulationMismatchError, match="from individual 0 to 2: run `evoft fsck`"):
        search.restore(whole[2])


@given(spaces(), st.integers(0, 2**32))
def test_no_phenotype_is_born_twice(space: SearchSpace, seed: int) -> None:
    search = Search(space, SearchSettings(strategy="ga", population_size=4, generations=5), seed)
    born = run(search, lambda i: Outcome.of_fitness(float(derive(0, "fitness", i.id) % 100)))
    phenotypes = [repr(sorted(space.phenotype(i.genome).items())) for i in born]
    assert len(set(phenotypes)) == len(phenotypes)
    assert all(space.check(i.genome) == i.genome for i in born)
    assert len(born) == 20 or search.exhausted


SMALL = SearchSpace(
    a=Integer(0, 3),
    b=Choice(["x", "y"]),
    c=Ordinal([1, 2, 3], when={"b": ["y"]}),
)


@pytest.mark.parametrize("population_size", [2, 5, 16, 40])
@pytest.mark.parametrize("fails", [False, True])
def test_a_finite_space_ends_when_each_phenotype_was_born_once(
    population_size: int, fails: bool
) -> None:
    settings = SearchSettings(strategy="ga", population_size=population_size, generations=None)
    search = Search(SMALL, settings, 3)
    outcome = Outcome(Status.FAILED) if fails else Outcome.of_fitness(1.0)
    born = run(search, lambda _: outcome)
    assert search.ended
    assert search.exhausted
    found = [frozenset(SMALL.phenotype(i.genome).items()) for i in born]
    expected = {frozenset({"a": a, "b": "x"}.items()) for a in range(4)}
    expected |= {
        frozenset({"a": a, "b": "y", "c": c}.items())
        for a, c in itertools.product(range(4), (1, 2, 3))
    }
    assert len(found) == len(set(found)) == 16
    assert set(found) == expected


def test_equal_expressions_are_one_phenotype() -> None:
    search = Search(
        SearchSpace(a=Integer(0, 9)),
        SearchSettings(strategy="ga", population_size=2, generations=None),
        0,
        express=lambda genome: int(genome["a"]) // 2,
    )
    born = run(search, lambda _: Outcome.of_fitness(0.0))
    assert sorted(int(i.genome["a"]) // 2 for i in born) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("status", BAD)
def test_the_failed_never_become_parents(status: Status) -> None:
    def every_other(individual: Individual) -> Outcome:
        # A fitness beside a bad status is none.
        bad = Outcome(status, fitness=1e9, reason="it would not")
        return bad if individual.id % 2 else judge(individual)

    born = run(Search(SPACE, settings_of(generations=6), 1), every_other)
    parents = {parent for i in born for parent in i.parents}
    assert parents
    assert all(born[parent].status is Status.OK for parent in parents)


@pytest.mark.parametrize("fitness", [math.nan, math.inf, -math.inf])
def test_a_fitness_that_is_no_number_has_no_children_either(fitness: float) -> None:
    def every_other(individual: Individual) -> Outcome:
        return Outcome(Status.OK, fitness) if individual.id % 2 else judge(individual)

    born = run(Search(SPACE, settings_of(), 1), every_other)
    assert {parent % 2 for i in born for parent in i.parents} == {0}


def test_when_all_have_failed_immigrants_come() -> None:
    born = run(Search(SPACE, settings_of(), 1), lambda _: Outcome(Status.OUT_OF_MEMORY))
    assert [i.operator for i in born] == ["default"] + ["sample"] * 5 + ["immigrant"] * 18
    assert {i.parents for i in born} == {()}


def test_the_best_stay_parents_for_ever_and_the_others_do_not() -> None:
    def first_is_best(individual: Individual) -> Outcome:
        return Outcome.of_fitness(1.0 if individual.id == 0 else individual.id / 1000)

    def last_parents(elite: int) -> set[int]:
        settings = settings_of(generations=12, elite=elite, tournsize=6)
        born = run(Search(SPACE, settings, 1), first_is_best)
        return {parent for i in born[60:] for parent in i.parents}

    assert 0 in last_parents(elite=1)
    assert min(last_parents(elite=0)) > 45


def test_the_living_are_the_elite_and_the_youngest() -> None:
    settings = settings_of(elite=2, lookahead=0, generations=3, tournsize=1)
    born = run(Search(SPACE, settings, 5), lambda i: Outcome.of_fitness(-float(i.id)))
    for individual in born[6:]:
        living = {0, 1, *range(individual.id - 4, individual.id)}
        assert set(individual.parents) <= living


def test_generation_0_is_the_default_the_founders_and_a_sample() -> None:
    named = {"linear probe": {"depth": 12}, "mine": {"opt": "sgd", "momentum": 0.5}}
    search = Search(SPACE, settings_of(), 7, named=named)
    born = run(search)[:6]
    assert [i.operator for i in born] == ["default", "linear probe", "mine", *["sample"] * 3]
    assert {i.generation for i in born} == {0}
    assert born[0].genome == SPACE.default()
    assert born[1].genome == SPACE.default().replace(depth=12)
    assert born[2].genome == SPACE.default().replace(opt="sgd", momentum=0.5)


def test_a_founder_that_equals_another_is_replaced() -> None:
    search = Search(SPACE, settings_of(), 7, named={"twin": {"momentum": 0.1}})
    assert "momentum" not in SPACE.phenotype(SPACE.default())
    born = run(search)
    assert [i.operator for i in born[:3]] == ["default", "sample", "sample"]


def test_a_founder_with_an_impossible_value_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"depth: 99 is not in 0 \.\. 12"):
        founders(SPACE, {"mine": {"depth": 99}}, 6, 0)


def test_there_are_never_more_founders_than_places() -> None:
    named = {str(n): {"depth": n} for n in range(5)}
    assert [o.operator for o in founders(SPACE, named, 3, 0)] == ["default", "0", "1"]


def test_the_sample_fills_the_space_evenly() -> None:
    space = SearchSpace(a=Float(0, 1), b=Float(0, 1))
    points = np.array([[g["a"], g["b"]] for g in sobol(space, 16, 3)], dtype=float)
    cells = {(int(a * 4), int(b * 4)) for a, b in points}
    assert len(cells) == 16  # a Sobol sequence has one point in each
    assert sobol(space, 16, 3) == sobol(space, 16, 3) != sobol(space, 16, 4)


def test_budgets_are_totals() -> None:
    search = Search(SPACE, settings_of(generations=2), 7)
    assert len(run(search)) == 12
    assert search.ended
    assert search.ask() is None
    assert not search.exhausted


@pytest.mark.parametrize(
    ("id", "message"),
    [
        (6, "trial 6 was never asked for"),
        (-1, "trial -1 was never asked for"),
        (0, "the outcome of trial 0 has been told already"),
    ],
)
def test_outcomes_that_nobody_wants_are_refused(id: int, message: str) -> None:
    search = Search(SPACE, settings_of(), 7)
    for _ in range(6):
        search.ask()
    search.tell(0, Outcome.of_fitness(1.0))
    with pytest.raises(ValueError, match=message):
        search.tell(id, Outcome.of_fitness(1.0))


def test_a_genome_of_another_type_is_another_phenotype() -> None:
    space = SearchSpace(a=Choice([1, True, 1.0]))
    search = Search(space, SearchSettings(strategy="ga", population_size=2, generations=None), 0)
    born = run(search, lambda _: Outcome.of_fitness(0.0))
    assert {repr(i.genome) for i in born} == {repr(Genome(a=v)) for v in (1, True, 1.0)}


@given(st.data())
def test_births_that_were_withdrawn_were_never_asked_for(data: st.DataObject) -> None:
    search = Search(SPACE, settings_of(), 7)
    for _ in range(data.draw(st.integers(1, 4))):
        while len(search.born) < data.draw(st.integers(0, 24)) and search.ask() is not None:
            pass
        # A beginning is told, and at times one more beyond it, as when a budget ended.
        told = data.draw(st.integers(0, len(search.born)))
        beyond = data.draw(st.sets(st.integers(0, max(0, len(search.born) - 1)), max_size=1))
        for individual in list(search.born):
            if individual.outcome is None and (individual.id < told or individual.id in beyond):
                search.tell(individual.id, judge(individual))
        search.withdraw()
        assert not search.born or search.born[-1].outcome is not None
    for individual in list(search.born):
        if individual.outcome is None:
            search.tell(individual.id, judge(individual))
    assert births(run(search)) == STRAIGHT


def test_an_exhausted_search_that_took_a_birth_back_goes_on() -> None:
    search = Search(SearchSpace(a=Integer(0, 2)), settings_of(), seed=1)
    while search.ask() is not None:
        pass
    assert search.exhausted
    search.withdraw()
    assert (search.born, search.exhausted) == ([], False)
    assert len(run(search, lambda i: Outcome.of_fitness(0.0))) == 3
