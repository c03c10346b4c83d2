"""What is known follows from what was taken and learned, and from neither's time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.stint import Stint

LADDER = Ladder((1.0, 3.0, 9.0))
FAILED = Outcome(Status.DIVERGED)


def stint_of(number: int, id: int, rung: int) -> Stint:
    return Stint(number, id, rung, LADDER.cost(rung), 0)


def knowledge(ladder: Ladder = LADDER) -> Knowledge:
    return Knowledge(ladder, 2, 3, seed=0)


#: Two individuals climb and one fails on the second rung.
STINTS = [stint_of(n, id, rung) for n, (id, rung) in enumerate(
    [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (0, 1)]
)]  # fmt: skip
OUTCOMES = [*map(Outcome.of_fitness, (0.5, 0.7, 0.2, 0.8)), FAILED, Outcome.of_fitness(0.9)]


def facts(known: Knowledge) -> tuple[object, ...]:
    return (known.curves, known.running, known.who.tolist(), known.when.tolist(),
            known.scores.tolist(), known.ends, known.latest)  # fmt: skip


@given(st.data())
def test_it_does_not_matter_when_what_is_in_flight_was_taken(data: st.DataObject) -> None:
    straight = knowledge()
    for stint in STINTS:
        straight.take(stint)
    for stint, outcome in zip(STINTS, OUTCOMES, strict=False):
        straight.learn(stint, outcome)
    other, taken = knowledge(), 0
    for stint, outcome in zip(STINTS, OUTCOMES, strict=False):
        upto = data.draw(st.integers(max(taken, stint.number + 1), len(STINTS)))
        for late in STINTS[taken:upto]:
            other.take(late)
        taken = upto
        other.learn(stint, outcome)
    for late in STINTS[taken:]:
        other.take(late)
    assert facts(other) == facts(straight)
    assert other.running == {0: 1}


def test_who_lives_waits_or_is_done() -> None:
    known = knowledge()
    for stint in STINTS:
        known.take(stint)
    assert known.rung(0) == -1
    for stint, outcome in zip(STINTS, OUTCOMES, strict=False):
        known.learn(stint, outcome)
    assert known.alive(10, known.scores).tolist() == [0, 1]
    assert [known.rung(id) for id in range(3)] == [0, 2, 1]
    assert [known.is_waiting(id) for id in range(3)] == [False, False, False]
    known.learn(STINTS[-1], Outcome.of_fitness(0.6))
    assert known.is_waiting(0)
    assert known.scores[known.latest_of(np.array([1, 0]))].tolist() == [0.9, 0.6]


def test_a_failure_warns_of_its_rung_and_of_a_full_training() -> None:
    known = knowledge()
    known.learn(stint_of(0, 0, 0), FAILED)
    assert known.when.tolist() == [0.0, 1.0]
    assert known.scores.tolist() == [-math.inf, -math.inf]
    known.learn(stint_of(1, 1, 2), FAILED)
    assert known.when.tolist() == [0.0, 1.0, 1.0]


def test_a_lost_trial_shows_nothing_and_is_never_continued() -> None:
    known = knowledge()
    for stint, outcome in (
        (stint_of(0, 0, 0), Outcome(Status.LOST)),
        (stint_of(1, 1, 0), Outcome.of_fitness(0.5)),
        (stint_of(2, 1, 1), Outcome(Status.LOST)),
    ):
        known.take(stint)
        known.learn(stint, outcome)
    assert (known.who.tolist(), known.scores.tolist(), known.ends) == ([1], [0.5], [0, 1])
    assert known.alive(10, known.scores).tolist() == []
    assert not known.running
    assert not any(known.is_waiting(id) for id in (0, 1))
    assert [known.rung(id) for id in (0, 1)] == [0, 1]


@pytest.mark.parametrize(
    "status", [status for status in Status if status not in (Status.OK, Status.LOST)]
)
def test_every_other_failure_warns(status: Status) -> None:
    known = knowledge()
    known.learn(stint_of(0, 0, 0), Outcome(status))
    assert known.scores.tolist() == [-math.inf, -math.inf]


def test_time_is_the_logarithm_of_the_epochs() -> None:
    assert knowledge().times.tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert knowledge(Ladder((0.1, 1.0, 10.0))).times.tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert knowledge(Ladder()).times.tolist() == [1.0]


def crowd() -> Knowledge:
    """Return what is known of sixty individuals, every third of whom is on its second rung."""
    known, rng = knowledge(), np.random.default_rng(0)
    for id in range(60):
        known.learn(stint_of(0, id, 0), Outcome.of_fitness(float(rng.normal())))
        if id % 3 == 0:
            known.learn(stint_of(0, id, 1), Outcome.of_fitness(float(rng.normal()) + 5))
    return known


def test_the_best_of_each_rung_stay_where_there_are_too_many() -> None:
    known = crowd()
    assert len(known.alive(60, known.scores)) == 60
    few = known.alive(20, known.scores).tolist()
    assert few == sorted(few)
    by_rung = [[id for id in few if known.rung(id) == rung] for rung in (0, 1)]
    assert [len(ids) for ids in by_rung] == [10, 10]
    for rung, ids in enumerate(by_rung):
        rest = [id for id in range(60) if known.rung(id) == rung and id not in ids]
        assert min(known.curves[i][-1] for i in ids) > max(known.curves[i][-1] for i in rest)


def test_what_a_rung_of_few_does_not_need_the_others_have() -> None:
    known = crowd()  # forty on the first rung, twenty on the second
    few = known.alive(50, known.scores).tolist()
    assert [sum(known.rung(id) == rung for id in few) for rung in (0, 1)] == [30, 20]


@pytest.mark.parametrize("most", [80, 40, 25])
def test_a_subset_has_the_best_the_latest_and_whole_curves(most: int) -> None:
    known = crowd()
    data, places = known.observations(known.learned, most)
    assert most - 2 <= len(data) <= most + 1
    assert (np.diff(data.who) >= 0).all()
    assert np.array_equal(known.who[places], data.who)
    assert np.array_equal(known.when[places], data.when)
    for id in set(data.who.tolist()):
        assert (data.who == id).sum() == len(known.curves[id])
    best = max(known.curves, key=lambda id: max(known.curves[id]))
    assert {best, 59} <= set(data.who.tolist())
    assert not set(known.observations(10, most)[0].who.tolist()) - set(range(10))
