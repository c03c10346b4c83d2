"""The referee's scale keeps the order, clips what is bad, and takes any scores at all."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evoft.search.evolution.yardstick import Yardstick, undo_yeo_johnson, yeo_johnson

SCORES = st.lists(
    st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(-math.inf)), max_size=30
)


@given(SCORES, st.floats(0.5, 4.0))
def test_any_scores_become_finite_and_keep_their_order(scores: list[float], reach: float) -> None:
    array = np.array(scores, dtype=float)
    scaled = Yardstick.of(array, reach=reach)(array)
    assert np.isfinite(scaled).all()
    order = np.argsort(array, kind="stable")
    assert (np.diff(scaled[order]) >= -1e-12).all()


def test_a_failure_warns_like_a_bad_run_and_not_more() -> None:
    rng = np.random.default_rng(0)
    good = rng.normal(size=30)
    plain = Yardstick.of(good, reach=2.0)
    scores = np.append(good, [-1e9, -math.inf, -1e30])
    yardstick = Yardstick.of(scores, reach=2.0)
    scaled = yardstick(scores)
    assert scaled[-1] == scaled[-2] == scaled[-3] < scaled[:-3].min()
    assert scaled[-1] > -10.0
    # The better half keeps its shape: outliers do not rule the scale.
    top = np.sort(good)[15:]
    assert np.corrcoef(plain(top), yardstick(top))[0, 1] > 0.99


def test_scores_get_zero_mean_and_unit_variance() -> None:
    scores = np.random.default_rng(1).exponential(size=200) * 40 - 7
    scaled = Yardstick.of(scores, reach=1e9)(scores)
    assert abs(scaled.mean()) < 1e-9
    assert abs(scaled.std() - 1.0) < 1e-9
    skew = ((scores - scores.mean()) ** 3).mean() / scores.std() ** 3
    assert abs((scaled**3).mean()) < 0.8 * skew  # bent, but no more than its prior lets it


def test_yeo_johnson_has_its_known_values() -> None:
    x = np.array([-3.0, -0.5, 0.0, 2.0])
    assert np.array_equal(yeo_johnson(x, 1.0), x) or np.allclose(yeo_johnson(x, 1.0), x)
    assert np.allclose(yeo_johnson(x, 0.0)[2:], np.log1p(x[2:]))
    assert np.allclose(yeo_johnson(x, 0.0)[:2], -((1 - x[:2]) ** 2 - 1) / 2)
    assert np.allclose(yeo_johnson(x, 2.0)[:2], -np.log1p(-x[:2]))
    assert np.allclose(yeo_johnson(x, 2.0)[2:], ((1 + x[2:]) ** 2 - 1) / 2)


@given(st.floats(0.0, 4.0), st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=10))
def test_yeo_johnson_is_undone(power: float, x: list[float]) -> None:
    array = np.array(x)
    assert np.allclose(undo_yeo_johnson(yeo_johnson(array, power), power), array, atol=1e-5)


def test_what_yeo_johnson_never_comes_to_is_infinitely_far() -> None:
    assert undo_yeo_johnson(np.array([-0.6, -0.4]), 4.0)[0] == -math.inf
    assert undo_yeo_johnson(np.array([-0.6, -0.4]), 4.0)[1] > -2.0


def test_scores_come_back_from_the_scale_and_failures_at_the_clip() -> None:
    scores = np.append(np.random.default_rng(2).exponential(size=30), [-1e9, -math.inf])
    yardstick = Yardstick.of(scores, reach=2.0)
    back = yardstick.undo(yardstick(scores))
    assert np.allclose(back[:30], np.maximum(scores[:30], back[30]))
    assert back[30] == back[31]
    assert back[30] < np.median(scores) < scores.max()
    assert np.isfinite(yardstick.undo(np.array([-1e6, 10.0]))).all()
