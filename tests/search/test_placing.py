"""Who is better than whom on a rung."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evoft.search.placing import by_dominance, placed

LEVELS = st.integers(-2, 2).map(float)


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 99), st.tuples(LEVELS, LEVELS, LEVELS), max_size=20))
def test_nobody_comes_before_someone_who_dominates_it(scores: dict) -> None:
    order = placed(scores)
    assert sorted(order) == sorted(scores)
    for place, id in enumerate(order):
        for later in order[place + 1 :]:
            better = all(a >= b for a, b in zip(scores[later], scores[id], strict=True))
            assert not better or scores[later] == scores[id]


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 99), st.tuples(st.just(-math.inf) | LEVELS), max_size=20))
def test_of_one_objective_it_is_the_order_of_scores_the_elder_first(scores: dict) -> None:
    assert placed(scores) == sorted(scores, key=lambda id: (-scores[id][0], id))


def test_of_a_front_the_loneliest_come_first_and_who_failed_comes_last() -> None:
    scores = {
        1: (-math.inf, -math.inf), 2: (0.0, 4.0), 3: (1.0, 3.0), 4: (1.2, 2.8), 5: (4.0, 0.0),
        6: (0.0, 0.0),
    }  # fmt: skip
    assert placed(scores) == [2, 5, 4, 3, 6, 1]
    assert by_dominance(np.array(list(scores.values())))[-1] == 0
