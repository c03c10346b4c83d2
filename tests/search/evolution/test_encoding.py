"""Genomes as places and rows: there and back, whatever the space."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import spaces

from evoft.search.evolution.encoding import Encoding
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace

SEEDS = st.integers(0, 2**32 - 1)
SPACE = SearchSpace(
    lr=Float(1e-5, 1e-1, log=True),
    depth=Integer(0, 3),
    width=Ordinal([16, 32, 64]),
    opt=Choice(["adam", "sgd", "rmsprop"]),
    momentum=Float(0, 0.99, when={"opt": ["sgd", "rmsprop"]}),
    nesterov=Choice([False, True], when={"momentum": [0.99]}),
)


@given(spaces(), SEEDS)
def test_a_genome_comes_back_from_its_units(space: SearchSpace, seed: int) -> None:
    encoding, genome = Encoding.of(space), space.sample(np.random.default_rng(seed))
    units = encoding.units(genome)
    assert encoding.genome(units, [genome]) == genome  # to the bit, with the parent at hand
    again = encoding.genome(units)
    for name, gene in space.items():
        if gene.size <= 1024:
            assert again[name] == genome[name]
        else:
            assert abs(gene.unit(again[name]) - gene.unit(genome[name])) < 1e-9


@given(spaces(), SEEDS)
def test_snapped_places_are_those_of_values_and_stay(space: SearchSpace, seed: int) -> None:
    encoding = Encoding.of(space)
    units = encoding.snap(np.random.default_rng(seed).random((5, len(space))))
    assert np.array_equal(encoding.snap(units), units)
    for row in units:
        genome = encoding.genome(row)
        assert space.check(genome) == genome
        exact = [p is not None for p in encoding.places]
        assert np.array_equal(encoding.units(genome)[exact], row[exact])


@given(spaces(), SEEDS)
def test_the_same_genes_count_in_units_and_in_genomes(space: SearchSpace, seed: int) -> None:
    encoding, rng = Encoding.of(space), np.random.default_rng(seed)
    genomes = [space.sample(rng) for _ in range(5)]
    counts = encoding.active(np.array([encoding.units(genome) for genome in genomes]))
    for row, genome in zip(counts, genomes, strict=True):
        for name, counted in zip(space, row, strict=True):
            # Two numbers may share a place where a range is too wide for floats to tell them apart.
            wanted = space[name].when or {}
            if all(space[other].size <= 1024 for other in wanted):
                assert counted == space.active(genome, name) or any(space[o].when for o in wanted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_so_does_what_a_gene_of_many_values_decides(places: list[float]) -> None:
    space = SearchSpace(n=Integer(1, 5000), x=Float(0, 1, when={"n": [2500, 7]}))
    encoding = Encoding.of(space)
    near = [space["n"].unit(2500) + 1e-6, space["n"].unit(7), *places]
    units = np.array([[place, 0.3] for place in near])
    genomes = [encoding.genome(row) for row in encoding.snap(units)]
    counts = [space.active(genome, "x") for genome in genomes]
    assert counts[:2] == [True, True]
    assert encoding.active(units)[:, 1].tolist() == counts


def test_rows_of_genomes_that_mean_the_same_are_equal() -> None:
    encoding = Encoding.of(SPACE)
    base = SPACE.complete({"opt": "adam", "momentum": 0.1})
    silent = base.replace(momentum=0.7, nesterov=True)
    loud = base.replace(opt="sgd")
    a, b, c, d = encoding.rows(
        np.array([encoding.units(g) for g in (base, silent, loud, loud.replace(momentum=0.7))])
    )
    assert np.array_equal(a, b)
    assert not np.array_equal(c, d)
    assert list(encoding.genes) == [0, 1, 2, 3, 3, 3, 4, 5, 5]


def test_two_values_of_a_choice_are_as_far_apart_as_two_ends() -> None:
    space = SearchSpace(opt=Choice(["a", "b", "c"]), x=Float(0, 1))
    encoding = Encoding.of(space)
    rows = encoding.rows(np.array([[1 / 6, 0.0], [0.5, 0.0], [1 / 6, 1.0]]))
    assert np.linalg.norm(rows[0] - rows[1]) == np.float64(1.0) or np.isclose(
        np.linalg.norm(rows[0] - rows[1]), 1.0
    )
    assert np.isclose(np.linalg.norm(rows[0] - rows[2]), 1.0)
