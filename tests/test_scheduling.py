"""Which trial goes next: least slack while births wait, the longest at the end; company, kin."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.genome import Genome
from evoft.scheduling import in_order, next_job, span, span_of_last
from evoft.trial import Stage, Trial


@dataclass
class Table:
    """What is known of trials, by individual."""

    costs: Mapping[int, float]
    companies: Mapping[int, Hashable] = field(default_factory=dict)
    kins: Mapping[int, Hashable] = field(default_factory=dict)
    in_turn: bool = False

    def cost(self, trial: Trial) -> float:
        return self.costs[trial.individual]

    def company(self, trial: Trial) -> Hashable:
        return self.companies.get(trial.individual)

    def kin(self, trial: Trial) -> Hashable:
        return self.kins.get(trial.individual)


def trials(*ids: int) -> list[Trial]:
    return [Trial(id, Genome({"x": id}), id, number=id) for id in ids]


def ids(found: object) -> list[int]:
    return [trial.individual for trial in found]  # type: ignore[attr-defined]


def test_trials_that_are_alike_go_in_order_of_birth() -> None:
    waiting = trials(4, 2, 9, 3)
    for last in (False, True):
        for cost in (0.0, 2.0):
            table = Table(dict.fromkeys(range(10), cost))
            assert ids(in_order(waiting, table, 4, last=last)) == [2, 3, 4, 9]


def test_a_long_trial_overtakes_those_that_are_due_little_earlier() -> None:
    # The mean is 2 s: with one worker each place in the order of birth is worth 2 s.
    table = Table({0: 1.0, 1: 1.0, 2: 4.5, 3: 1.5})
    waiting = trials(0, 1, 2, 3)
    assert ids(in_order(waiting, table, 1, last=False)) == [0, 2, 1, 3]
    assert ids(in_order(waiting, table, 4, last=False)) == [2, 0, 1, 3]


def test_the_longest_goes_first_when_no_birth_waits() -> None:
    table = Table({0: 1.0, 1: 3.0, 2: 2.0, 3: 3.0})
    assert ids(in_order(trials(0, 1, 2, 3), table, 1, last=True)) == [1, 3, 2, 0]


def test_repeats_of_a_finalist_go_in_order() -> None:
    runs = [Trial(3, Genome({"x": 1}), n, Stage.FINAL, n) for n in (1, 0)]
    assert [t.repeat for t in in_order(runs, Table({3: 1.0}), 2, last=True)] == [0, 1]


@pytest.mark.parametrize(("workers", "size"), [(1, 6), (2, 3), (4, 2), (6, 1), (9, 1)])
def test_company_is_shared_out_among_the_workers(workers: int, size: int) -> None:
    table = Table(dict.fromkeys(range(8), 1.0), dict.fromkeys((0, 1, 3, 4, 6, 7), "heads"))
    job = next_job(trials(*range(8)), table, workers, last=False)
    assert ids(job) == [0, 1, 3, 4, 6, 7][:size]


def test_a_job_has_an_end() -> None:
    table = Table(dict.fromkeys(range(200), 1.0), dict.fromkeys(range(200), "heads"))
    assert len(next_job(trials(*range(200)), table, 1, last=True)) == 64


def test_without_company_a_trial_goes_alone() -> None:
    table = Table(dict.fromkeys(range(4), 1.0), {1: "heads", 2: "heads"})
    assert ids(next_job(trials(0, 1, 2, 3), table, 1, last=False)) == [0]
    assert next_job([], table, 1, last=False) == ()


def test_of_the_nearest_trials_the_one_whose_kin_is_at_hand_goes_first() -> None:
    table = Table(dict.fromkeys(range(4), 1.0), kins={0: "a", 1: "b", 2: "b", 3: "c"})
    waiting = trials(0, 1, 2, 3)
    assert ids(next_job(waiting, table, 2, last=False, at_hand={"b"})) == [1]
    assert ids(next_job(waiting, table, 2, last=False, at_hand={"c"})) == [0]  # too far off
    assert ids(next_job(waiting, table, 4, last=False, at_hand={"c"})) == [3]
    assert ids(next_job(waiting, table, 1, last=False, at_hand={"b"})) == [0]


@given(
    st.lists(st.floats(0.01, 1e4), min_size=1, max_size=30),
    st.lists(st.sampled_from([None, "a", "b"]), min_size=30, max_size=30),
    st.integers(1, 9),
    st.booleans(),
)
def test_every_trial_goes_exactly_once(
    costs: list[float], companies: list[Hashable], workers: int, last: bool
) -> None:
    table = Table(dict(enumerate(costs)), dict(enumerate(companies)))
    waiting = trials(*range(len(costs)))
    gone = []
    while job := next_job(waiting, table, workers, last=last):
        assert len({table.company(trial) for trial in job}) == 1
        waiting = [trial for trial in waiting if trial not in job]
        gone += ids(job)
    assert sorted(gone) == list(range(len(costs)))


def test_a_span_waits_for_births_and_for_workers() -> None:
    def of(costs: list[float], workers: int, lookahead: int = 1) -> float:
        return span(costs, workers, population_size=2, lookahead=lookahead)

    assert of([1.0, 2.0, 3.0], 1) == 6.0
    assert of([2.0, 2.0, 2.0, 2.0], 2) == 4.0
    # Birth 2 needs birth 0 alone, birth 3 needs birth 1 too, which takes long.
    assert of([1.0, 9.0, 1.0, 1.0], 3) == 10.0
    assert of([9.0, 1.0, 1.0], 2) == 10.0
    assert of([9.0, 1.0, 1.0], 2, lookahead=2) == 9.0
    assert of([], 2) == 0.0


def test_a_span_of_the_last_trials_is_that_of_the_longest_first() -> None:
    assert span_of_last([1.0, 1.0, 2.0], 2) == 2.0
    assert span_of_last([2.0], 4) == 2.0


@given(st.lists(st.floats(0.1, 9.0), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 5))
def test_a_span_is_between_its_bounds(costs: list[float], workers: int, lookahead: int) -> None:
    took = span(costs, workers, population_size=6, lookahead=lookahead)
    assert took >= max(*costs, sum(costs) / workers, 0.0) - 1e-9
    assert took <= sum(costs) + 1e-9
