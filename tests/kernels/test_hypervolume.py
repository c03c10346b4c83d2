"""The exact hypervolume against counting cells, and against what is known of spheres and boxes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from definitions import hypervolume_by_definition, score_matrices
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evoft.kernels.hypervolume import hypervolume_of

patient = settings(deadline=None)
scores_to_five = st.one_of(
    st.integers(-1, 4).map(float), st.floats(-1, 4, width=16), st.just(math.nan)
)


@patient
@given(score_matrices(elements=scores_to_five, most=5, objectives=(1, 4)), st.floats(-1, 1))
def test_it_is_that_of_the_definition(scores: NDArray[np.float64], origin: float) -> None:
    reference = [origin] * scores.shape[1]
    expected = hypervolume_by_definition(scores, reference)
    assert hypervolume_of(scores, reference) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@patient
@given(score_matrices(elements=scores_to_five, most=30, objectives=(2, 4)), st.data())
def test_neither_order_nor_copies_nor_the_dominated_change_it(
    scores: NDArray[np.float64], data: st.DataObject
) -> None:
    reference = np.zeros(scores.shape[1])
    order = data.draw(st.permutations(range(len(scores))))
    more = np.concatenate([scores[order], scores, scores - 0.25])
    expected = hypervolume_of(scores, reference)
    assert hypervolume_of(more, reference) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def by_inclusion_and_exclusion(scores: NDArray[np.float64]) -> float:
    """Add what each point dominates above the origin, take away what each two do, and so on."""
    good = scores[np.isfinite(scores).all(axis=1) & (scores > 0).all(axis=1)]
    shares = [
        (-1) ** (count + 1) * float(np.prod(good[list(some)].min(axis=0)))
        for count in range(1, len(good) + 1)
        for some in itertools.combinations(range(len(good)), count)
    ]
    return math.fsum(shares)


@patient
@given(score_matrices(elements=scores_to_five, most=7, objectives=(4, 7)))
def test_of_more_objectives_it_is_what_inclusion_and_exclusion_give(
    scores: NDArray[np.float64],
) -> None:
    expected = by_inclusion_and_exclusion(scores)
    found = hypervolume_of(scores, np.zeros(scores.shape[1]))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("objectives", [4, 5, 6])
@pytest.mark.parametrize("levels", [2, 4, 16])
def test_ties_in_every_objective_are_no_matter(objectives: int, levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores = rng.integers(1, levels + 1, (40, objectives)).astype(np.float64)
    assert hypervolume_of(scores, np.zeros(objectives)) == by_slices(scores)


def by_slices(scores: NDArray[np.float64]) -> float:
    """Sum slabs between neighbours of the last objective, each from one objective less."""
    ordered = scores[np.argsort(-scores[:, -1])]
    heights = np.append(ordered[:, -1], 0.0)
    slabs = [
        hypervolume_of(ordered[: i + 1, :-1], np.zeros(scores.shape[1] - 1)) * (high - low)
        for i, (high, low) in enumerate(itertools.pairwise(heights))
    ]
    return math.fsum(slabs)


@pytest.mark.parametrize(("objectives", "count"), [(2, 300), (3, 300), (4, 120), (5, 40)])
@pytest.mark.parametrize("round_to", [1, 16])
def test_it_is_the_sum_of_its_slices(objectives: int, count: int, round_to: int) -> None:
    rng = np.random.default_rng(objectives)
    cloud = rng.random((count, objectives)).round(round_to) + 0.1
    front = cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    for scores in (cloud, front):
        found = hypervolume_of(scores, np.zeros(objectives))
        assert found == pytest.approx(by_slices(scores), rel=1e-9)


def test_a_dense_front_on_a_sphere_fills_an_eighth_of_it() -> None:
    rng = np.random.default_rng(0)
    cloud = np.abs(rng.normal(size=(50_000, 3)))
    front = cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    assert hypervolume_of(front, [0, 0, 0]) == pytest.approx(math.pi / 6, rel=0.02)


def test_what_is_not_better_than_the_reference_adds_nothing() -> None:
    assert hypervolume_of([[1, 2], [3, 0], [-1, 9]], [0, 0]) == 2
    assert hypervolume_of([[0, 2]], [0, 0]) == 0
    assert hypervolume_of(np.empty((0, 3)), [0, 0, 0]) == 0
    assert hypervolume_of([[math.nan, 1], [-math.inf, 2], [math.inf, 2]], [0, 0]) == 0
    assert hypervolume_of([[3], [5]], [1]) == 4


def test_too_many_points_are_refused_and_those_that_are_dominated_do_not_count() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.random((3000, 6)) + 0.1
    front = cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    with pytest.raises(ValueError, match="at most 1000 points that no other dominates"):
        hypervolume_of(front, np.zeros(6))
    assert hypervolume_of(np.r_[front, [[2.0] * 6]], np.zeros(6)) == 64


@pytest.mark.parametrize("reference", [[0.0], [0.0, math.nan], 0.0, [0.0, 0.0, 0.0]])
def test_a_reference_of_another_space_is_refused(reference: object) -> None:
    with pytest.raises(ValueError, match="the reference must be 2 finite numbers"):
        hypervolume_of([[1.0, 2.0]], reference)  # type: ignore[arg-type]
