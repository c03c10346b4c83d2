"""Niches: nobody is passed over without a better one close by, and no two winners are close."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evoft.search.evolution.niches import cleared

ROWS = st.integers(1, 12).flatmap(
    lambda k: arrays(float, (k, 3), elements=st.sampled_from([0.0, 0.02, 0.04, 0.5, 1.0]))
)


@given(ROWS, st.sampled_from([0.01, 0.03, 0.3]))
def test_each_who_is_passed_over_has_a_better_one_in_its_niche(
    rows: np.ndarray, radius: float
) -> None:
    winners = cleared(rows, radius=radius, most=len(rows)).tolist()
    assert winners[0] == 0
    assert winners == sorted(set(winners))
    for place, row in enumerate(rows):
        better = [w for w in winners if w < place]
        close = any(np.abs(rows[w] - row).max() < radius for w in better)
        assert close == (place not in winners)


@given(ROWS, st.integers(1, 5))
def test_no_more_are_looked_for_than_wanted_and_a_radius_of_nothing_clears_nobody(
    rows: np.ndarray, most: int
) -> None:
    assert cleared(rows, radius=0.0, most=most).tolist() == list(range(min(most, len(rows))))
    everyone = cleared(rows, radius=0.1, most=len(rows)).tolist()
    assert cleared(rows, radius=0.1, most=most).tolist() == everyone[:most]
