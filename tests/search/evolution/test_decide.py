"""What plans are worth: improvement that a rung will reveal, for its cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from evoft.search.evolution.decide import Plans, Terms, log_expected_improvement, plan
from evoft.search.evolution.kernel import (
    COURSE,
    NOISE,
    OWN_COURSE,
    SHARED,
    TIME,
    Kernel,
    Observations,
    Priors,
)
from evoft.search.evolution.referee import Referee

TERMS = Terms(np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.3, 1.0]), math.inf, 1.0, 32)


def referee_of(course: float = 1e-6, seed: int = 0) -> Referee:
    """Return a referee of twelve individuals; with a little course, low rungs say nearly all."""
    rng = np.random.default_rng(seed)
    theta = Priors.of(2).medians.copy()
    theta[[SHARED, COURSE, OWN_COURSE]] = np.log(course)
    theta[TIME] = np.log(0.2)
    theta[NOISE] = np.log(1e-3)
    rows = rng.random((12, 2))
    data = Observations(np.arange(12), np.zeros(12), rows)
    return Referee.of(Kernel(theta, np.arange(2)), data, rng.normal(size=12))


@pytest.mark.parametrize(("mean", "deviation"), [(0.3, 0.5), (-1.0, 0.4), (2.0, 0.1), (-3.0, 1.0)])
def test_expected_improvement_is_its_integral(mean: float, deviation: float) -> None:
    expected, _ = quad(
        lambda y: max(y - 0.2, 0.0) * norm.pdf(y, mean, deviation), 0.2, mean + 12 * deviation + 12
    )
    found = log_expected_improvement(np.array([mean]), np.array([deviation**2]), 0.2)[0]
    assert found == pytest.approx(math.log(expected), rel=1e-5)


def test_expected_improvement_orders_even_the_hopeless() -> None:
    means = -np.logspace(-3, 7, 200)
    values = log_expected_improvement(means, np.full(200, 1e-2), 0.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()


def test_a_rung_that_says_all_is_preferred_for_its_cost() -> None:
    candidates = referee_of().unborn(np.random.default_rng(1).random((10, 2)))
    plans = plan(candidates, np.full(10, -1), 0.5, TERMS)
    assert (plans.goals == 0).all()
    assert np.allclose(plans.costs, 0.1)


def test_a_rung_that_says_nothing_is_passed_by() -> None:
    referee = referee_of(course=30.0)  # what genes do in the end has no trace in the beginning
    candidates = referee.unborn(np.random.default_rng(1).random((10, 2)))
    plans = plan(candidates, np.full(10, -1), 0.5, TERMS)
    assert (plans.goals == 2).all()
    assert np.allclose(plans.costs, 0.1)  # which begins with the first stint all the same


def test_the_paused_have_less_to_pay_and_nothing_left_to_reveal_on_their_rung() -> None:
    referee = referee_of()
    ids, rungs = np.arange(12), np.array([0, 1] * 6)
    plans = plan(referee.born(ids), rungs, 0.5, TERMS)
    assert (plans.goals > rungs).all()
    assert np.allclose(plans.costs, np.where(rungs == 0, 0.2, 0.7))


def test_what_the_purse_cannot_pay_has_no_plan() -> None:
    candidates = referee_of(course=30.0).unborn(np.random.default_rng(1).random((4, 2)))
    poor = Terms(TERMS.times, TERMS.costs, 0.35, 1.0, 32)
    assert (plan(candidates, np.full(4, -1), 0.5, poor).goals <= 1).all()
    broke = Terms(TERMS.times, TERMS.costs, 0.05, 1.0, 32)
    assert plan(candidates, np.full(4, -1), 0.5, broke).in_order(within=0.0) == []


def test_only_so_many_are_looked_at_and_a_belief_can_bring_one_in() -> None:
    candidates = referee_of().unborn(np.random.default_rng(1).random((10, 2)))
    few = Terms(TERMS.times, TERMS.costs, math.inf, 1.0, 3)
    order = plan(candidates, np.full(10, -1), 0.5, few).in_order(within=0.0)
    assert len(order) == 3
    last = plan(candidates, np.full(10, -1), 0.5, TERMS).in_order(within=0.0)[-1]
    assert last not in order
    bonus = np.where(np.arange(10) == last, 50.0, 0.0)
    assert plan(candidates, np.full(10, -1), 0.5, few, bonus).in_order(within=0.0)[0] == last


def test_plain_worth_is_improvement_in_full_for_the_first_stint() -> None:
    candidates = referee_of().unborn(np.random.default_rng(1).random((10, 2)))
    plain = Terms(TERMS.times, TERMS.costs, math.inf, 1.0, 32, plain=True)
    plans = plan(candidates, np.full(10, -1), 0.5, plain)
    variances = candidates.variances(candidates.explained())
    worth = log_expected_improvement(candidates.means(), variances, 0.5) - math.log(0.1)
    assert np.allclose(plans.values, worth)


def test_of_equal_plans_the_cheapest_goes_first() -> None:
    plans = Plans(
        np.array([0.0, 0.005, -np.inf, -1.0]), np.array([0.1, 0.5, 0.01, 0.1]), np.arange(4)
    )
    assert plans.in_order(within=0.0) == [1, 0, 3]
    assert plans.in_order(within=0.01) == [0, 1, 3]
    both = plans.then(plans)
    assert len(both.values) == len(both.costs) == len(both.goals) == 8
