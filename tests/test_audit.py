"""The audit: who is in the sample, and when a rung is given up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from evoft.audit import EVERY, FEWEST, agreement, agreements, is_audited, rank_correlation
from evoft.genome import Genome
from evoft.individual import Individual
from evoft.outcome import Outcome, Status

SCORES = st.lists(
    st.tuples(st.integers(-3, 3).map(float), st.floats(-1, 1)), min_size=3, max_size=20
)


@given(SCORES)
def test_the_rank_correlation_is_spearmans(pairs: list[tuple[float, float]]) -> None:
    low, high = zip(*pairs, strict=True)
    found = rank_correlation(low, high)
    if len(set(low)) == 1 or len(set(high)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(float(spearmanr(low, high).statistic))


def test_a_failure_is_the_lowest_rank() -> None:
    assert rank_correlation([1, 2, 3, 4], [5, 6, 7, -math.inf]) == pytest.approx(
        rank_correlation([1, 2, 3, 4], [5, 6, 7, -99])
    )
    assert math.isnan(rank_correlation([1, 2], [1, 2]))


@given(st.integers(0, 2**32))
def test_one_of_each_few_births_is_audited(seed: int) -> None:
    chosen = [id for id in range(20 * EVERY) if is_audited(seed, id)]
    assert [id // EVERY for id in chosen] == list(range(20))


def test_the_sample_ends_at_the_first_who_is_still_to_climb() -> None:
    curves = [(1.0, 2.0), (-math.inf,), (2.0, 3.0, 1.0), (3.0, -math.inf), (5.0,), (9.0, 0.0)]
    assert agreement(curves, 0).count == 3
    assert agreement(curves, 0).correlation == pytest.approx(-0.5)
    assert agreement(curves, 1).count == 0
    assert agreement(curves[2:], 1).count == 1
    assert math.isnan(agreement([], 0).correlation)


def test_a_lost_trial_shows_nothing_of_a_rung() -> None:
    curves = [(1.0, 2.0), (5.0, math.nan), (math.nan,), (2.0, 3.0), (3.0, 1.0)]
    assert agreement(curves, 0) == agreement([curves[0], *curves[3:]], 0)
    assert agreement(curves, 0).count == 3


@pytest.mark.parametrize(
    ("count", "noise", "low"),
    [(FEWEST, 0.0, False), (60, 0.5, False), (60, 1e9, True), (FEWEST - 1, -1.0, False)],
)
def test_a_rung_is_given_up_where_it_says_little(count: int, noise: float, low: bool) -> None:
    rng = np.random.default_rng(1)
    end = rng.normal(size=count)
    start = -end if noise < 0 else end + noise * rng.normal(size=count)
    assert agreement(list(zip(start, end, strict=True)), 0).is_low == low


def test_few_that_all_disagree_are_enough() -> None:
    assert agreement([(float(i), -float(i)) for i in range(FEWEST)], 0).is_low


def test_the_report_reads_it_off_a_population() -> None:
    people = []
    for id in range(60):
        person = Individual(id, 0, (), "sample", Genome(x=id), id)
        for score in ((1.0 * id), (-1.0 * id))[: 1 + is_audited(3, id)]:
            person = person.judged(Outcome.of_fitness(score))
        people.append(person)
    people.append(Individual(60, 0, (), "sample", Genome(x=60), 60))
    people[1] = people[1].unjudged.judged(Outcome(Status.DIVERGED))
    found = agreements(people, 3, 3)
    assert [one.rung for one in found] == [0, 1]
    assert found[0].count in {60 // EVERY, 60 // EVERY - 1}  # without 1, had it been drawn
    assert found[0].correlation == pytest.approx(-1.0)
    assert found[1].count == 0
