"""The referee's scale keeps the order, clips what is bad, and takes any scores at all."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evoft.search.yardstick import Yardstick, yeo_johnson

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
