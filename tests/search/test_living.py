"""Who lives: the best ever and the youngest, told plainly, against what finds a place at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.search.living import Living
from evoft.search.variation import Chromosome


def by_definition(scores: list[float], size: int, elite: int) -> list[int]:
    best = sorted(range(len(scores)), key=lambda id: (-scores[id], id))[:elite]
    rest = [id for id in reversed(range(len(scores))) if id not in best]
    return best + rest[: size - len(best)]


@given(
    st.lists(st.integers(0, 5).map(float) | st.floats(-1e9, 1e9), max_size=60),
    st.integers(2, 9).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
)
def test_the_best_ever_live_and_the_youngest(scores: list[float], places: tuple[int, int]) -> None:
    living = Living(*places)
    for id, score in enumerate(scores):
        living.add(Chromosome([id], id, score))
        expected = by_definition(scores[: id + 1], *places)
        assert [one.id for one in living] == expected
        assert [living[place].id for place in range(len(living))] == expected
    assert all(one.fitness.values == (scores[one.id],) for one in living)


def test_they_are_a_sequence() -> None:
    living = Living(3, 1)
    assert not living
    for id in range(5):
        living.add(Chromosome([id], id, -float(id)))
    assert [one.id for one in living[1:]] == [4, 3]
    with pytest.raises(IndexError, match="place 3 of 3"):
        living[3]
