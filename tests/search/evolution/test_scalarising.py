"""The augmented Tchebycheff function: who is best under some weights is on the front."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evoft.kernels.ranking import ranks_of
from evoft.search.evolution.scalarising import drawn_weights, scalarise


def test_it_is_that_of_the_paper() -> None:
    values = [[0.0, 10.0], [1.0, 0.0], [0.5, 5.0]]
    found = scalarise(values, [0.25, 0.75])
    assert found.tolist() == pytest.approx([-0.25 * 1.05, -0.75 * 1.05, -(0.375 + 0.05 * 0.5)])


def test_the_failed_are_worst_and_rule_no_scale() -> None:
    values = [[0.0, 1.0], [math.nan, 5.0], [1.0, 0.0], [9.0, -math.inf]]
    found = scalarise(values, [0.5, 0.5])
    assert found[[1, 3]].tolist() == [-math.inf, -math.inf]
    assert found[[0, 2]].tolist() == scalarise([values[0], values[2]], [0.5, 0.5]).tolist()
    assert scalarise([[math.nan, 1.0]], [0.5, 0.5]).tolist() == [-math.inf]
    assert scalarise(np.empty((0, 2)), [0.5, 0.5]).tolist() == []


def test_an_objective_in_which_all_are_equal_says_nothing() -> None:
    assert scalarise([[1.0, 3.0], [2.0, 3.0]], [0.5, 0.5]).tolist() == [-0.525, 0.0]


def test_the_best_is_on_the_front_and_the_weights_reach_all_of_a_hollow_one() -> None:
    rng = np.random.default_rng(0)
    xs = np.linspace(0, 1, 11)
    hollow = np.c_[xs, (1 - xs) ** 3]  # no weighted sum is best in between
    scores = np.concatenate([hollow, hollow - 0.1])
    found = {int(scalarise(scores, drawn_weights(2, rng)).argmax()) for _ in range(400)}
    assert found <= set(np.flatnonzero(ranks_of(scores) == 0).tolist())
    assert len(found) > 5


def test_weights_are_drawn_evenly_from_those_of_sum_1() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([drawn_weights(3, rng) for _ in range(4000)])
    assert (drawn >= 0).all()
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 3, atol=0.02)
    assert (drawn[:, 0] > 0.5).mean() == pytest.approx(0.25, abs=0.03)
