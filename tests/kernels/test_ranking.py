"""Non-dominated sorting and crowding against the definitions, at sizes where the kernels divide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from definitions import (
    coarse,
    crowding_by_definition,
    dominates,
    ranks_by_definition,
    score_matrices,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evoft.kernels.ranking import crowding_of, ranks_of

#: The first example of all compiles.
patient = settings(deadline=None)


@patient
@given(score_matrices())
def test_ranks_are_those_of_the_definition(scores: NDArray[np.float64]) -> None:
    assert ranks_of(scores).tolist() == ranks_by_definition(scores)


@patient
@given(score_matrices(elements=coarse, most=60))
def test_ranks_of_ties_and_copies_are_those_of_the_definition(scores: NDArray[np.float64]) -> None:
    assert ranks_of(scores).tolist() == ranks_by_definition(scores)


def longest_chains(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return each one's rank as the length of the longest chain of those above it."""
    order = np.lexsort(-scores.T[::-1])
    ranks = np.zeros(len(scores), dtype=np.int64)
    for place, one in enumerate(order):
        above = order[:place]
        over = (scores[above] >= scores[one]).all(axis=1) & (scores[above] > scores[one]).any(
            axis=1
        )
        ranks[one] = ranks[above[over]].max(initial=-1) + 1
    return ranks


@pytest.mark.parametrize("objectives", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("kind", ["cloud", "front", "grid", "chain", "few values in the last"])
def test_many_points_are_ranked_as_by_the_longest_chain(objectives: int, kind: str) -> None:
    rng = np.random.default_rng(objectives)
    cloud = rng.random((1500, objectives))
    scores = {
        "cloud": cloud,
        "front": cloud / np.linalg.norm(cloud, axis=1, keepdims=True),
        "grid": np.floor(cloud * 6),
        "chain": np.repeat(rng.permutation(1500).astype(float)[:, None], objectives, axis=1),
        "few values in the last": np.c_[cloud[:, :-1], np.floor(cloud[:, -1:] * 3)],
    }[kind]
    ranks = ranks_of(scores)
    assert (ranks == longest_chains(scores)).all()
    assert ranks.max() == {"chain": 1499, "front": 0}.get(kind, ranks.max())


@patient
@given(score_matrices(), st.data())
def test_ranks_do_not_depend_on_the_order(scores: NDArray[np.float64], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(scores))))
    assert ranks_of(scores[order]).tolist() == ranks_of(scores)[order].tolist()


def test_the_failed_come_last_and_share_their_rank() -> None:
    scores = [[1, 1], [math.nan, 9], [0, 0], [9, -math.inf], [math.inf, 9]]
    assert ranks_of(scores).tolist() == [0, 2, 1, 2, 2]
    assert ranks_of([[math.nan, 1.0]]).tolist() == [0]
    assert crowding_of(scores, ranks_of(scores)).tolist() == [math.inf, 0, math.inf, 0, 0]


@patient
@given(score_matrices(elements=st.one_of(coarse, st.just(math.nan)), objectives=(1, 4)))
def test_crowding_is_that_of_the_definition(scores: NDArray[np.float64]) -> None:
    ranks = ranks_of(scores)
    expected = crowding_by_definition(scores, ranks.tolist())
    np.testing.assert_allclose(crowding_of(scores, ranks), expected, rtol=1e-12)


def test_crowding_of_a_front_of_two_objectives() -> None:
    scores = np.array([[0, 4], [1, 3], [1, 3], [3, 1], [4, 0]], dtype=float)
    expected = [math.inf, 3 / 4 + 3 / 4, 0, 3 / 4 + 3 / 4, math.inf]
    assert crowding_of(scores, ranks_of(scores)).tolist() == expected


def test_a_difference_too_large_for_a_number_is_none_too_large_for_crowding() -> None:
    scores = np.array([[-1.6e308, 2], [0, 1], [1.6e308, 0]])
    assert crowding_of(scores, [0, 0, 0]).tolist() == [math.inf, 2, math.inf]


def test_nobody_has_no_rank() -> None:
    assert ranks_of(np.empty((0, 3))).tolist() == []
    assert crowding_of(np.empty((0, 3)), []).tolist() == []


@pytest.mark.parametrize("scores", [[1.0, 2.0], [[]], 3.0])
def test_what_is_no_matrix_is_refused(scores: object) -> None:
    with pytest.raises(ValueError, match="scores must be a matrix of individuals and objectives"):
        ranks_of(scores)  # type: ignore[arg-type]


def test_the_definition_knows_who_dominates() -> None:
    assert dominates((1, 1), (1, 0))
    assert not dominates((1, 1), (1, 1))
    assert not dominates((2, 0), (1, 1))
    assert dominates((0, 0), (math.nan, 9))
