"""A grid: every combination once, none twice, all values of each gene early."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import GENES, spaces

from evoft.genome import same
from evoft.outcome import Outcome
from evoft.search.gene import Gene
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.grid import grid, levels_of, spread
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.seeds import generator
from evoft.settings import SearchSettings
from evoft.testing.trace import straight

SPACE = SearchSpace(
    lr=Float(1e-4, 1e-1, log=True),
    depth=Integer(0, 9),
    opt=Choice(["adam", "sgd", "lamb", "lion"]),
    momentum=Float(0, 1, when={"opt": ["sgd", "lamb"]}),
    nesterov=Choice([False, True], when={"momentum": [0.5]}),
)


def meanings(space: SearchSpace, points: int, seed: int = 0) -> list[str]:
    return [repr(space.phenotype(genome)) for genome in grid(space, points, seed)]


def test_a_grid_has_every_combination_once() -> None:
    found = meanings(SPACE, 3)
    plain = 3 * 3  # lr and depth
    momenta = [1 / 6, 0.5, 5 / 6]
    conditional = sum(2 if momentum == 0.5 else 1 for momentum in momenta)
    assert len(found) == len(set(found)) == plain * (2 + 2 * conditional)


def test_values_with_which_others_count_are_on_the_grid() -> None:
    space = SearchSpace(n=Integer(1, 9), x=Float(0, 1, when={"n": [3]}), y=Float(0, 1))
    genomes = list(grid(space, 3, 0))
    assert sorted({genome["n"] for genome in genomes}) == [2, 3, 5, 8]
    assert len({genome["x"] for genome in genomes if genome["n"] == 3}) == 3
    assert len(genomes) == 3 * 3 + 3 * 3
    assert len(set(meanings(space, 3))) == len(genomes)


def test_a_gene_that_does_not_count_has_its_default() -> None:
    for genome in grid(SPACE, 3, 0):
        for name in genome.keys() - SPACE.phenotype(genome).keys():
            assert genome[name] == SPACE[name].standard


@settings(deadline=None)
@given(spaces(most=4), st.integers(2, 3), st.integers(0, 2**32))
def test_no_combination_comes_twice_and_none_is_left_out(
    space: SearchSpace, points: int, seed: int
) -> None:
    found = meanings(space, points, seed)
    levels = [levels_of(gene, points) for gene in space.values()]
    for name, values in zip(space, levels, strict=True):  # and what other genes ask for
        wanted = [value for gene in space.values() for value in (gene.when or {}).get(name, ())]
        values += [
            value for value in dict.fromkeys(wanted) if not any(map(partial(same, value), values))
        ]
    every = set()
    for values in itertools.product(*levels):
        genome = dict(zip(space, values, strict=True))
        # What does not count has its default, also where another gene asks for it.
        for _ in space:
            idle = {n: g.standard for n, g in space.items() if not space.active(genome, n)}
            genome |= idle
        every.add(repr(space.phenotype(genome)))
    assert len(found) == len(set(found))
    assert set(found) == every


@settings(deadline=None)
@given(GENES, st.integers(2, 9))
def test_levels_are_values_of_the_gene_in_order_and_each_once(gene: Gene, points: int) -> None:
    levels = levels_of(gene, points)
    assert all(gene.holds(value) for value in levels)
    assert len({(type(value), value) for value in levels}) == len(levels) > 0
    if gene.ordered:
        assert len(levels) <= points
        assert [gene.unit(value) for value in levels] == sorted(map(gene.unit, levels))


@pytest.mark.parametrize(
    ("gene", "points", "expected"),
    [
        (Float(0, 1), 4, [0.125, 0.375, 0.625, 0.875]),
        (Integer(1, 9, log=True), 9, list(range(1, 10))),
        (Integer(1, 4), 9, [1, 2, 3, 4]),
        (Integer(1, 1000, log=True), 3, [2, 22, 282]),
        (Ordinal([8, 16, 32, 64]), 2, [16, 64]),
        (Ordinal([8, 16, 32]), 3, [8, 16, 32]),
        (Choice(["a", "b", "c", "d"]), 2, ["a", "b", "c", "d"]),
    ],
)
def test_levels(gene: Gene, points: int, expected: list[object]) -> None:
    assert levels_of(gene, points) == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), max_size=5), st.integers(0, 2**32))
def test_spread_gives_every_list_once_and_all_indexes_soon(sizes: list[int], seed: int) -> None:
    found = [tuple(indexes) for indexes in spread(sizes, generator(seed, "test"))]
    assert len(found) == math.prod(sizes)
    assert set(found) == set(itertools.product(*map(range, sizes)))
    for place, size in enumerate(sizes):
        assert {indexes[place] for indexes in found[: max(sizes)]} == set(range(size))


def test_spread_can_begin_what_it_could_never_end() -> None:
    first = list(itertools.islice(spread([3] * 40, generator(0, "test")), 200))
    assert len({tuple(indexes) for indexes in first}) == 200


def test_pairs_of_genes_are_covered_long_before_the_grid_is_done() -> None:
    sizes = [3] * 8  # 6,561 in all
    first = list(itertools.islice(spread(sizes, generator(1, "test")), 81))
    shares = [
        len({(indexes[a], indexes[b]) for indexes in first}) / 9
        for a, b in itertools.combinations(range(8), 2)
    ]
    lexicographic = list(itertools.islice(itertools.product(range(3), repeat=8), 81))
    plain = [
        len({(indexes[a], indexes[b]) for indexes in lexicographic}) / 9
        for a, b in itertools.combinations(range(8), 2)
    ]
    assert sum(shares) / len(shares) > 0.9
    assert sum(plain) / len(plain) < 0.5


def good(stint: object, individual: object) -> Outcome:
    return Outcome.of_fitness(0.0)


def born(space: SearchSpace, points: int | None, generations: int | None) -> list[dict]:
    how = SearchSettings(strategy="grid", population_size=4, generations=generations, points=points)
    search = straight(Search(space, how, 0), good)
    assert search.exhausted == (generations is None)
    return [dict(individual.genome) for individual in search.born]


def test_a_search_of_a_grid_ends_with_it() -> None:
    space = SearchSpace(a=Float(0, 1), b=Choice(["x", "y"]))
    found = born(space, 4, None)
    assert found[0] == {"a": 0.5, "b": "x"}  # the default, which this grid does not have
    rest = {(genome["a"], genome["b"]) for genome in found[1:]}
    assert rest == set(itertools.product([0.125, 0.375, 0.625, 0.875], "xy"))
    assert len(found) == 9


def test_a_grid_of_no_set_size_is_refined_and_keeps_its_points() -> None:
    space = SearchSpace(a=Float(0, 1), b=Choice(["x", "y"]))
    found = [(genome["a"], genome["b"]) for genome in born(space, None, 15)]
    assert len(found) == len(set(found)) == 60
    thirds = set(itertools.product([1 / 6, 0.5, 5 / 6], "xy"))
    ninths = set(itertools.product([(2 * i + 1) / 18 for i in range(9)], "xy"))
    assert set(found[:6]) == thirds
    assert {(round(a, 12), b) for a, b in found[:18]} == {(round(a, 12), b) for a, b in ninths}
