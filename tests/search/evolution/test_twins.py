"""Twins: those within a hundredth of its range of an elder in every column."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evoft.search.evolution.twins import CLOSE, twins


def test_a_twin_is_close_in_all_genes_that_count() -> None:
    elders = np.array([[0.5, 0.5, 0.0], [0.2, 0.9, 0.7]])
    rows = np.array([[0.509, 0.491, 0.0], [0.511, 0.5, 0.0], [0.5, 0.5, 0.7], [0.2, 0.9, 0.7]])
    assert twins(rows, elders).tolist() == [True, False, False, True]
    assert twins(rows, elders[:0]).tolist() == [False] * 4


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(0, 30))
def test_everybody_is_compared_with_everybody(seed: int, columns: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    # On a grid of half that distance many stand exactly at it.
    elders = rng.integers(0, 6, (count, columns)) * CLOSE / 2
    rows = rng.integers(0, 6, (20, columns)) * CLOSE / 2
    gaps = np.abs(rows[:, None] - elders[None, :]).max(axis=2, initial=0.0)
    assert twins(rows, elders).tolist() == (gaps < CLOSE).any(axis=1).tolist()
