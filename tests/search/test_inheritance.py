"""What a new population takes from the best of earlier ones."""

from __future__ import annotations

import re
from typing import Any

import pytest

from evoft.errors import SettingsError, SpaceError
from evoft.genome import Genome
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.inheritance import inherit
from evoft.search.space import SearchSpace

SPACE = SearchSpace(
    lr=Float(1e-5, 1e-1, log=True, default=1e-3),
    batch=Ordinal([8, 16, 32], default=8),
    opt=Choice(["adam", "sgd"]),
    momentum=Float(0.0, 1.0, default=0.9, when={"opt": ["sgd"]}),
)


def genome(**genes: Any) -> Genome:
    return SPACE.complete(genes)


def test_the_best_are_taken_with_what_differs_from_the_default() -> None:
    elders = {"a.h5": {7: genome(lr=0.01, opt="sgd"), 3: genome(batch=32), 5: genome(lr=0.02)}}
    found = inherit(SPACE, elders, {"mine": {"lr": 0.05}}, 6)
    assert found.founders == {"#7 of a.h5": {"lr": 0.01, "opt": "sgd"}, "#3 of a.h5": {"batch": 32}}
    assert found.said == ()


@pytest.mark.parametrize(
    ("size", "named", "taken"),
    [(2, 0, 1), (3, 0, 1), (6, 0, 2), (12, 2, 4), (12, 10, 1), (100, 0, 8)],
)
def test_the_sample_keeps_half_of_the_places(size: int, named: int, taken: int) -> None:
    elders = {"a.h5": {n: genome(lr=0.001 * (n + 2)) for n in range(8)}}
    others = {str(n): {"batch": 32} for n in range(named)}
    founders = inherit(SPACE, elders, others, size).founders
    assert list(founders) == [f"#{n} of a.h5" for n in range(taken)]


def test_no_phenotype_is_a_founder_twice() -> None:
    elders = {
        "a.h5": {
            0: genome(),  # the default
            1: genome(momentum=0.1),  # means the same, for it does not count
            2: genome(lr=0.05),  # is named
            3: genome(lr=0.01),
            4: genome(lr=0.01, momentum=0.3),
            5: genome(lr=0.02),
        },
        "b.h5": {9: genome(lr=0.02)},
    }
    founders = inherit(SPACE, elders, {"mine": {"lr": 0.05}}, 20).founders
    assert list(founders) == ["#3 of a.h5", "#9 of b.h5"]


def test_populations_take_turns() -> None:
    elders = {
        "a.h5": {n: genome(lr=0.01 + n / 100) for n in range(5)},
        "b.h5": {n: genome(batch=16, lr=0.01 + n / 100) for n in (4, 2)},
    }
    names = list(inherit(SPACE, elders, {}, 11).founders)
    assert names == ["#0 of a.h5", "#4 of b.h5", "#1 of a.h5", "#2 of b.h5", "#2 of a.h5"]


def test_what_the_space_does_not_have_takes_the_default_and_is_said_once() -> None:
    elders = {
        "a.h5": {
            1: Genome(lr=0.5, batch=16, opt="lion", drop=0.1),
            2: Genome(lr=0.01, batch=64, opt="sgd", drop=0.2),
            3: Genome(lr=0.5, batch=64, opt="lion", drop=0.2),  # nothing of it fits
        },
        "b.h5": {0: genome(lr=0.03)},
    }
    found = inherit(SPACE, elders, {}, 20)
    assert found.founders == {
        "#1 of a.h5": {"batch": 16},
        "#0 of b.h5": {"lr": 0.03},
        "#2 of a.h5": {"lr": 0.01, "opt": "sgd"},
    }
    assert found.said == (
        "founders come from a.h5 with lr, batch, opt, momentum at the default and without drop, "
        "not searched here",
    )


def test_whole_numbers_pass_for_a_float_and_never_true_for_one() -> None:
    space = SearchSpace(depth=Float(0.0, 9.0), count=Integer(0, 3, default=0), on=Choice([1, True]))
    elders = {"a.h5": {1: Genome(depth=3, count=2.0, on=True)}}
    (part,) = inherit(space, elders, {}, 9).founders.values()
    assert {name: (type(v), v) for name, v in part.items()} == {
        "depth": (float, 3.0), "count": (int, 2), "on": (bool, True),
    }  # fmt: skip


def test_elders_of_another_space_and_a_population_without_room_are_refused() -> None:
    elders = {"a.h5": {1: Genome(drop=0.1, lr=3.0)}}
    sentence = (
        "no founder can come from a.h5: of its genes (drop, lr) none has a value for a gene of "
        "this space (lr, batch, opt, momentum)"
    )
    with pytest.raises(SpaceError, match=re.escape(sentence)):
        inherit(SPACE, elders, {}, 9)
    with pytest.raises(SettingsError, match="must have room for the default, 2 named founders and"):
        inherit(SPACE, {"a.h5": {1: genome()}}, {"x": {}, "y": {"lr": 0.01}}, 3)
    assert inherit(SPACE, {}, {"x": {}, "y": {"lr": 0.01}}, 3).founders == {}
