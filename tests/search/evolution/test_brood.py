"""Broods: whatever the space, every child is valid, and every operator does what it says."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import MIXED, spaces

from evoft.search.evolution.brood import Breeding, Brood, Parent, breed, toolbox
from evoft.search.evolution.encoding import Encoding
from evoft.search.evolution.operators import LONGEST, SHORTEST, cross, mutate, resample, vary
from evoft.search.space import SearchSpace
from evoft.search.variation import Fitness

SEEDS = st.integers(0, 2**32 - 1)
OPERATORS = {
    "crossover", "crossover+mutation", "differential", "mutation", "resampling", "immigrant"
}  # fmt: skip


def brood_of(
    space: SearchSpace, seed: int, living: int = 6, breeding: Breeding | None = None
) -> tuple[Encoding, list[Parent], Brood]:
    encoding, rng = Encoding.of(space), np.random.default_rng(seed)

    def strangers(count: int, rng: np.random.Generator) -> np.ndarray:
        return encoding.snap(rng.random((count, len(space))))

    parents = [
        Parent(3 * i, encoding.units(space.sample(rng)), 0.2, Fitness((float(rng.normal()),)))
        for i in range(living)
    ]
    box = toolbox(encoding, 3, strangers)
    return encoding, parents, breed(box, breeding or Breeding(size=40), parents, 0.3, rng)


@given(spaces(), SEEDS, st.integers(1, 6))
def test_every_child_is_valid_and_has_its_parents(
    space: SearchSpace, seed: int, living: int
) -> None:
    encoding, parents, brood = brood_of(space, seed, living)
    assert len(brood) == len(brood.units) == len(brood.steps) == len(brood.parents) == 40
    assert set(brood.operators) == OPERATORS
    ids = {parent.id for parent in parents}
    for units, step, elders, operator in zip(
        brood.units, brood.steps, brood.parents, brood.operators, strict=True
    ):
        assert ((units >= 0.0) & (units <= 1.0)).all()
        genome = encoding.genome(units)
        assert space.check(genome) == genome
        assert SHORTEST <= step <= LONGEST
        assert set(elders) <= ids
        assert len(set(elders)) == len(elders)
        wanted = {"immigrant": {0}, "mutation": {1}, "resampling": {1}}
        assert len(elders) in wanted.get(operator, {1, 2})


@given(SEEDS)
def test_the_same_stream_gives_the_same_brood_and_touches_no_other(seed: int) -> None:
    state = random.getstate()
    _, _, one = brood_of(MIXED, seed)
    _, _, two = brood_of(MIXED, seed)
    assert np.array_equal(one.units, two.units)
    assert np.array_equal(one.steps, two.steps)
    assert (one.parents, one.operators) == (two.parents, two.operators)
    assert random.getstate() == state


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_small_brood_has_a_child_of_every_operator_it_can(size: int) -> None:
    _, _, brood = brood_of(MIXED, 0, breeding=Breeding(size=size))
    assert len(brood) >= size
    assert "mutation" in brood.operators


def rows_of(count: int, seed: int) -> tuple[Encoding, np.ndarray, np.ndarray]:
    encoding, rng = Encoding.of(MIXED), np.random.default_rng(seed)
    units = encoding.snap(rng.random((count, len(MIXED))))
    return encoding, units, np.full(count, 0.1)


@given(SEEDS)
def test_crossover_takes_each_gene_from_either_parent(seed: int) -> None:
    _, ours, steps = rows_of(20, seed)
    _, theirs, _ = rows_of(20, seed + 1)
    units, heirs = cross(ours, steps, theirs, 4 * steps, np.random.default_rng(seed))
    assert ((units == ours) | (units == theirs)).all()
    assert np.allclose(heirs, 0.2)
    different = ours != theirs
    assert 0.2 < (units == ours)[different].mean() < 0.8


@given(SEEDS)
def test_mutation_and_resampling_change_a_gene_that_counts(seed: int) -> None:
    encoding, units, steps = rows_of(30, seed)
    counts = encoding.active(units)
    mutants, _ = mutate(encoding, units, steps, np.random.default_rng(seed))
    assert ((mutants != units) & counts).any(axis=1).all()
    changed, _ = resample(encoding, units, steps, np.random.default_rng(seed))
    assert (changed != units).sum(axis=1).mean() < 2.5


def test_a_small_step_goes_to_a_neighbour_and_a_choice_anywhere_else() -> None:
    encoding, units, steps = rows_of(2000, 0)
    mutants, _ = mutate(encoding, units, 0.1 * steps, np.random.default_rng(0))
    genes = list(MIXED)
    depth, act = genes.index("depth"), genes.index("act")
    moved = np.abs(mutants[:, depth] - units[:, depth])
    assert np.allclose(moved[moved > 0], 1 / 13)
    assert {round(3 * abs(a - b)) for a, b in zip(mutants[:, act], units[:, act], strict=True)} == {
        0, 1, 2
    }  # fmt: skip


def test_steps_that_bear_are_inherited_with_a_change() -> None:
    encoding, units, _ = rows_of(4000, 0)
    _, heirs = mutate(encoding, units, np.full(4000, 0.1), np.random.default_rng(0))
    assert abs(np.log(heirs).mean() - np.log(0.1)) < 0.05
    assert 0.4 < np.log(heirs).std() < 0.6


def test_variation_follows_the_difference_of_two() -> None:
    encoding, base, steps = rows_of(500, 0)
    _, plus, _ = rows_of(500, 1)
    _, minus, _ = rows_of(500, 2)
    same, _ = vary(encoding, base, steps, plus, plus, np.random.default_rng(0))
    assert np.array_equal(same, base)
    moved, _ = vary(encoding, base, steps, plus, minus, np.random.default_rng(0))
    act = list(MIXED).index("act")
    changed = moved[:, act] != base[:, act]
    assert changed.any()
    assert (moved[changed, act] == plus[changed, act]).all()
    inside = (base[:, 0] > 0.5) & (np.abs(plus - minus)[:, 0] < 0.4) & (moved != base)[:, 0]
    inside &= (base + plus - minus)[:, 0] < 1.0
    assert inside.sum() > 20
    assert (np.sign(moved - base)[inside, 0] == np.sign(plus - minus)[inside, 0]).all()
