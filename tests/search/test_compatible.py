"""Which spaces a population can go on in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.errors import SpaceError
from evoft.genome import Genome
from evoft.individual import Individual
from evoft.search.compatible import changes, check_compatible, in_order
from evoft.search.space import SearchSpace
from evoft.seeds import generator

GENES: dict[str, dict[str, Any]] = {
    "lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "depth": {"type": "integer", "low": 1, "high": 4, "default": 2},
    "size": {"type": "ordinal", "values": [16, 32]},
    "opt": {"type": "choice", "values": ["sgd", "adamw"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"opt": ["sgd"]}},
}
SPACE = SearchSpace.from_dict(GENES)


def born(**genes: Any) -> Individual:
    return Individual(7, 0, (), "sample", Genome({**SPACE.default(), **genes}), 1)


def with_gene(name: str, **fields: Any) -> SearchSpace:
    return SearchSpace.from_dict({**GENES, name: {**GENES[name], **fields}})


ALLOWED = {
    "wider": (with_gene("lr", low=1e-5, high=1.0), ["lr was in [0.0001, 0.01] log and is now in "
                                                    "[1e-05, 1] log"]),
    "narrower": (with_gene("depth", high=3), ["depth was in 1 .. 4 and is now in 1 .. 3"]),
    "linear": (with_gene("lr", log=False), ["lr was in [0.0001, 0.01] log and is now in "
                                            "[0.0001, 0.01]"]),
    "more values": (
        with_gene("opt", values=["adamw", "sgd", "lamb"]),
        ["opt was in sgd, adamw and is now in adamw, sgd, lamb"],
    ),
    "default": (with_gene("depth", default=3), ["depth had the default 2 and now has 3"]),
    "confidence": (
        with_gene("depth", confidence="high"),
        ["depth had the confidence None and now has high"],
    ),
    "nothing": (SPACE, []),
}  # fmt: skip


@pytest.mark.parametrize("how", ALLOWED)
def test_bounds_values_and_beliefs_may_change(how: str) -> None:
    space, told = ALLOWED[how]
    check_compatible(SPACE, space, [born()], {"small": {"depth": 1}})
    assert changes(SPACE, space) == told


REFUSED = {
    "a gene more": (
        SearchSpace.from_dict({**GENES, "aug": GENES["depth"]}), "aug: the gene is new, but",
    ),
    "a gene less": (SPACE.pin(size=16), "size: the gene is missing, but"),
    "another type": (
        with_gene("size", type="choice"), "size: its type was ordinal and is to be choice",
    ),
    "another condition": (
        with_gene("momentum", when={"opt": ["sgd", "adamw"]}), "momentum: its condition",
    ),
    "no condition": (with_gene("momentum", when=None), "momentum: its condition"),
    "no room": (
        with_gene("lr", high=5e-3), r"lr: individual 7 has 0.009, which is not in \[0.0001, 0.005]",
    ),
    "another kind of number": (
        with_gene("size", values=[16.0, 24.5, 32.0]),
        "size: individual 7 has 32, and 32.0 is another value: write it as it was, or",
    ),
    "no room for a founder": (
        with_gene("depth", low=2), "depth: the founder `small` has 1, which is not in 2 .. 4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", REFUSED)
def test_what_cannot_change_is_refused_with_the_way_out(how: str) -> None:
    space, message = REFUSED[how]
    with pytest.raises(SpaceError, match=message) as caught:
        check_compatible(SPACE, space, [born(lr=0.009)], {"small": {"depth": 1}})
    assert "--founders" in str(caught.value)


def test_a_founders_whole_number_passes_for_a_float() -> None:
    check_compatible(SPACE, SPACE, [], {"still": {"momentum": 0}})


@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_whoever_lives_in_a_space_lives_in_the_wider_one(random: Any, seed: int) -> None:
    names = list(GENES)
    random.shuffle(names)
    wider = {
        "lr": {"low": 1e-4 * (0.01 + 0.9 * random.random()), "high": 1e-2 + random.random()},
        "depth": {"low": 1 - random.randrange(5), "high": 4 + random.randrange(5)},
        "size": {"values": [8, 16, 24, 32]},
        "opt": {"values": random.sample(["adamw", "sgd", "lamb"], 3)},
        "momentum": {"high": 0.9 + random.random()},
    }
    space = SearchSpace.from_dict({name: {**GENES[name], **wider[name]} for name in names})
    population = [born(**SPACE.sample(generator(seed, "sample", n))) for n in range(8)]
    check_compatible(SPACE, space, population, {})
    ordered = in_order(SPACE, space)
    assert list(ordered) == list(SPACE)
    assert ordered.to_dict() == space.to_dict()
    for individual in population:
        assert ordered.check(individual.genome) == individual.genome
        assert ordered.phenotype(individual.genome) == SPACE.phenotype(individual.genome)
