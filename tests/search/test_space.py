"""Search spaces: conditions, the written form, and what is refused."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import UNITS, spaces

from evoft.cli.space import space_toml
from evoft.errors import SpaceError
from evoft.genome import same
from evoft.search.gene import Gene
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace
from evoft.training.default_space import DEFAULT_GENES, default_genes

CHAIN = SearchSpace(
    a=Choice(["x", "y"]),
    b=Ordinal([1, 2, 3], when={"a": ["y"]}),
    c=Float(0, 1, when={"b": [1, 3]}),
)


@given(spaces(), st.data())
def test_every_point_of_the_unit_cube_is_a_genome(space: SearchSpace, data: st.DataObject) -> None:
    units = data.draw(st.lists(UNITS, min_size=len(space), max_size=len(space)))
    genome = space.at(units)
    assert list(genome) == list(space)
    assert space.check(genome) == genome


@given(spaces(), st.integers(0, 2**32))
def test_a_sample_is_a_function_of_the_generator(space: SearchSpace, seed: int) -> None:
    first, second = (space.sample(np.random.default_rng(seed)) for _ in range(2))
    assert first == second == space.check(first)


@given(spaces())
def test_the_default_has_every_genes_standard(space: SearchSpace) -> None:
    assert space.default() == {name: gene.standard for name, gene in space.items()}


@given(spaces())
def test_a_space_is_read_back_from_its_dictionary(space: SearchSpace) -> None:
    data = json.loads(json.dumps(space.to_dict()))
    assert SearchSpace.from_dict(data) == space
    assert SearchSpace.from_dict(data).to_dict() == data


@given(spaces())
def test_a_space_is_read_back_from_toml(space: SearchSpace) -> None:
    assert SearchSpace.from_toml(space_toml(space)).to_dict() == space.to_dict()


@pytest.mark.parametrize("models", [["embedded"], ["resnet18", "resnet34"]])
def test_the_default_space_is_read_back_from_toml(models: list[str]) -> None:
    space = SearchSpace.from_dict(default_genes(models))
    assert SearchSpace.from_toml(space_toml(space)).to_dict() == space.to_dict()
    assert len(space) == len(DEFAULT_GENES) + (len(models) > 1)


@given(spaces())
def test_a_space_is_pickled(space: SearchSpace) -> None:
    assert pickle.loads(pickle.dumps(space)) == space


@given(spaces(), st.integers(0, 2**32))
def test_a_gene_counts_where_all_that_it_depends_on_count(space: SearchSpace, seed: int) -> None:
    genome = space.sample(np.random.default_rng(seed))
    phenotype = space.phenotype(genome)
    for name, gene in space.items():
        wanted = gene.when or {}
        counts = all(
            other in phenotype and any(same(genome[other], value) for value in wanted[other])
            for other in wanted
        )
        assert (name in phenotype) == counts


def test_a_gene_that_does_not_count_has_no_part_in_the_phenotype() -> None:
    genome = CHAIN.complete({"a": "y", "b": 3, "c": 0.25})
    assert CHAIN.phenotype(genome) == {"a": "y", "b": 3, "c": 0.25}
    assert CHAIN.phenotype(genome.replace(b=2)) == {"a": "y", "b": 2}
    assert CHAIN.phenotype(genome.replace(a="x")) == {"a": "x"}


def test_a_condition_tells_types_apart() -> None:
    space = SearchSpace(a=Choice([1, True]), b=Float(0, 1, when={"a": [1]}))
    assert set(space.phenotype(space.complete({"a": 1}))) == {"a", "b"}
    assert set(space.phenotype(space.complete({"a": True}))) == {"a"}


def test_size_and_genomes_of_a_finite_space() -> None:
    space = SearchSpace(a=Integer(-1, 1), b=Ordinal([2, 4]), c=Choice(["x", "y"]))
    genomes = list(space.genomes())
    assert len(genomes) == len(set(genomes)) == space.size == 12
    assert all(space.check(genome) == genome for genome in genomes)


def test_whole_numbers_pass_where_nothing_is_lost() -> None:
    space = SearchSpace(a=Float(0, 2), b=Integer(0, 2), c=Ordinal([0.0, 0.5]))
    assert space.complete({"a": 1, "b": 1.0, "c": 0}) == {"a": 1.0, "b": 1, "c": 0.0}


def test_pinned_genes_go_and_so_do_those_that_then_never_count() -> None:
    assert list(CHAIN.pin(c=0.5)) == ["a", "b"]
    free = CHAIN.pin(a="y")
    assert list(free) == ["b", "c"]
    assert free["b"].when is None
    assert free["c"].when == {"b": (1, 3)}
    assert list(SearchSpace({**CHAIN, "d": Integer(0, 1)}).pin(a="x")) == ["d"]
    assert list(SearchSpace({**CHAIN, "d": Integer(0, 1)}).pin(b=2)) == ["a", "d"]


@given(spaces(most=5), st.data())
def test_a_pinned_space_expresses_what_the_whole_one_does(
    space: SearchSpace, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(list(space)))
    value = space[name].at(data.draw(UNITS))
    try:
        rest = space.pin(**{name: value})
    except SpaceError as error:
        if "every gene is fixed" not in str(error):
            raise
        return
    part = rest.sample(np.random.default_rng(data.draw(st.integers(0, 2**32))))
    phenotype = space.phenotype(space.complete({**part, name: value}))
    whole = set(phenotype) - {name}
    if name in phenotype:
        assert whole == set(rest.phenotype(part))


def nested(first: Any, second: Any) -> SearchSpace:
    return SearchSpace(a=Choice(["x", "y"], when=first), b=Choice(["x", "y"], when=second))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (SearchSpace, "a search space must have at least one gene, but has none"),
        (lambda: SearchSpace(a=[1, 2]), "a: a gene must be a Float, Integer, Ordinal or Choice"),
        (lambda: SearchSpace({1: Float(0, 1)}), "a gene's name must be a text, but is 1"),
        (lambda: nested({"c": ["x"]}, None), "a: its condition names `c`, which is no gene here"),
        (
            lambda: nested({"b": ["z"]}, None),
            "a: its condition wants b = 'z', which is not in x, y",
        ),
        (lambda: nested({"a": ["x"]}, None), "a: its condition depends on a itself"),
        (lambda: nested({"b": ["x"]}, {"a": ["x"]}), "a: its condition depends on a itself"),
        (lambda: nested(5, None), "a: its condition must give a list of values for each gene that"),
        (
            lambda: nested({"b": "x"}, None),
            "a: its condition must list the values of b, but gives ",
        ),
        (
            lambda: nested({"b": []}, None),
            "a: its condition must list the values of b, but gives []",
        ),
        (lambda: CHAIN.check({"a": "x"}), "b: the genome has no value for it"),
        (lambda: CHAIN.complete({"z": 1}), "`z` is no gene here; the genes are a, b, c"),
        (lambda: CHAIN.complete({"b": 4}), "b: 4 is not in 1, 2, 3"),
        (lambda: CHAIN.complete({"c": True}), "c: True is not in [0, 1]"),
        (lambda: CHAIN.complete({"c": float("nan")}), "c: nan is not in [0, 1]"),
        (lambda: CHAIN.complete({"c": float("inf")}), "c: inf is not in [0, 1]"),
        (lambda: CHAIN.complete({"c": [0.5]}), "c: [0.5] is not in [0, 1]"),
        (
            lambda: CHAIN.pin(a="x", b=1, c=0.5),
            "every gene is fixed, so there is nothing to search",
        ),
        (lambda: SearchSpace.from_dict({"a": 5}), "a: a gene is a table with a `type`, but is 5"),
        (lambda: SearchSpace.from_dict({"a": {"type": "real"}}), "a: `type` must be one of float"),
        (lambda: SearchSpace.from_toml("[a"), "the search space is not valid TOML: "),
        (
            lambda: SearchSpace.from_toml('[space.lr]\ntype = "float"\nlow = 0.1\nhigh = 1'),
            r"[space.lr] is how a gene is written in a configuration (-c): in a file of its own "
            "(--space) it is [lr]",
        ),
    ],
)
def test_what_is_no_space_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        make()
    assert message in str(refused.value)


def test_pinning_may_leave_nothing_that_counts() -> None:
    longer = SearchSpace({**CHAIN, "d": Integer(0, 1, when={"c": [0.5]})})
    assert list(longer.pin(b=2)) == ["a"]
    with pytest.raises(SpaceError, match="nothing to search"):
        longer.pin(a="x")


def test_a_space_is_a_mapping_that_cannot_be_changed() -> None:
    gene: Gene = Float(0, 1)
    space = SearchSpace(a=gene)
    assert dict(space) == {"a": gene}
    with pytest.raises(TypeError):
        space["a"] = gene  # type: ignore[index]


def test_odd_names_and_values_survive_toml():
    space = SearchSpace(
        {
            "a b": Choice(['"quoted"', "line\nbreak", "tab\t", "\\", "\u0001"]),
            "c.d": Float(0.0, 1.0, when={"a b": ["line\nbreak"]}),
        }
    )
    assert SearchSpace.from_toml(space_toml(space)).to_dict() == space.to_dict()
