"""NSGA-II's survival, one birth at a time, against the definitions."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from evoft.kernels.ranking import crowding_of, ranks_of
from evoft.search.crowd import Crowd, Scored

SCORES = st.tuples(st.integers(0, 4).map(float), st.integers(0, 4).map(float))


def order(ids: list[int], scores: list[tuple[float, float]]) -> list[int]:
    """Return ids by rank, then crowding, then age."""
    own = [scores[id] for id in ids]
    ranks = ranks_of(own)
    crowding = crowding_of(own, ranks)
    return [ids[i] for i in sorted(range(len(ids)), key=lambda i: (ranks[i], -crowding[i], ids[i]))]


@settings(deadline=None)
@given(
    st.lists(SCORES, max_size=30),
    st.integers(2, 7).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
)
def test_the_elite_of_the_front_and_the_youngest_live(
    scores: list[tuple[float, float]], places: tuple[int, int]
) -> None:
    size, elite_places = places
    crowd, elite = Crowd(size, elite_places), list[int]()
    for id, own in enumerate(scores):
        crowd.add(Scored([id], id, own))
        elite = order([*sorted(elite), id], scores)[:elite_places]
        rest = [other for other in reversed(range(id + 1)) if other not in elite]
        living = order([*elite, *rest[: size - len(elite)]], scores)
        assert [one.id for one in crowd] == living
        assert len(crowd) == len(living)


def test_the_elite_keeps_the_extremes_and_thins_out_the_middle() -> None:
    crowd = Crowd(5, 4)
    xs = [0.0, 1.0, 0.5, 0.49, 0.25, 0.51, 0.26]
    for id, x in enumerate(xs):
        crowd.add(Scored([x], id, (x, -x * x)))
    crowd.add(Scored([9.0], len(xs), (-1.0, -9.0)))  # dominated, and the youngest
    kept = {one[0] for one in crowd}
    assert {0.0, 1.0, 9.0} <= kept
    assert len(kept & {0.25, 0.26}) == 1


def test_deap_compares_ranks_and_then_crowding() -> None:
    crowd = Crowd(6, 5)
    for id, own in enumerate([(0.0, 4.0), (4.0, 0.0), (1.0, 3.0), (0.0, 0.0)]):
        crowd.add(Scored([id], id, own))
    by_id = {one.id: one.fitness for one in crowd}
    assert by_id[0].values == (0.0, math.inf)
    assert by_id[0] > by_id[2] > by_id[3]
