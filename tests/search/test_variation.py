"""DEAP's operators on typed genomes: always valid, always repeatable, nothing global touched."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from deap import tools
from hypothesis import given
from hypothesis import strategies as st
from strategies import MIXED, spaces

from evoft.genome import Genome, Value
from evoft.individual import Individual
from evoft.outcome import Outcome
from evoft.search.genes import Float
from evoft.search.space import SearchSpace
from evoft.search.variation import Chromosome, breed, deap_random, mate, mutate, toolbox
from evoft.settings import SearchSettings

SEEDS = st.integers(0, 2**32 - 1)
SETTINGS = SearchSettings(population_size=6)


def genome_of(space: SearchSpace, chromosome: Chromosome) -> Genome:
    return Genome(dict(zip(space, chromosome, strict=True)))


def pair(space: SearchSpace, seed: int) -> tuple[Chromosome, Chromosome]:
    rng = np.random.default_rng(seed)
    a, b = (Chromosome(space.sample(rng).values()) for _ in range(2))
    return a, b


@given(spaces(), SEEDS, st.floats(0.1, 100.0))
def test_crossover_gives_valid_genomes(space: SearchSpace, seed: int, eta: float) -> None:
    with deap_random(np.random.default_rng(seed)):
        children = mate(space, *pair(space, seed), eta=eta)
    for child in children:
        assert space.check(genome_of(space, child)) == genome_of(space, child)


@given(spaces(), SEEDS)
def test_crossover_keeps_types_and_swaps_what_has_no_order(space: SearchSpace, seed: int) -> None:
    parents = pair(space, seed)
    with deap_random(np.random.default_rng(seed)):
        children = mate(space, *pair(space, seed), eta=10.0)
    for name, parental, mixed in zip(
        space, zip(*parents, strict=True), zip(*children, strict=True), strict=True
    ):
        assert [space[name].holds(value) for value in mixed] == [True, True]
        if not space[name].ordered:
            assert repr(mixed) in {repr(parental), repr(parental[::-1])}


def test_crossover_of_equals_changes_nothing_to_the_last_bit() -> None:
    for seed in range(30):
        a, _ = pair(MIXED, seed)
        with deap_random(np.random.default_rng(seed)):
            children = mate(MIXED, Chromosome(a), Chromosome(a), eta=10.0)
        assert [list(child) for child in children] == [list(a), list(a)]


def test_crossover_leaves_nothing_behind_in_the_parents() -> None:
    """``breed`` crosses copies: the living keep their genomes."""
    living = chromosomes(MIXED, 6)
    before = [list(one) for one in living]
    for seed in range(20):
        breed(toolbox(MIXED, SETTINGS), MIXED, SETTINGS, living, np.random.default_rng(seed))
    assert [list(one) for one in living] == before


@given(spaces(), SEEDS, st.floats(0, 1), st.floats(1e-3, 2.0))
def test_mutation_gives_another_phenotype_of_valid_genes(
    space: SearchSpace, seed: int, indpb: float, sigma: float
) -> None:
    rng = np.random.default_rng(seed)
    before = space.sample(rng)
    (chromosome,) = mutate(space, Chromosome(before.values()), rng, indpb=indpb, sigma=sigma)
    after = genome_of(space, chromosome)
    assert space.check(after) == after
    # Of a Float in a range of a few last bits a mutant may be its parent.
    if all(not isinstance(g, Float) or g.high > g.low * (1 + 1e-9) > 0 for g in space.values()):
        assert Genome(space.phenotype(after)) != Genome(space.phenotype(before))


def test_with_indpb_zero_a_single_gene_mutates() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        before = MIXED.sample(rng)
        (after,) = mutate(MIXED, Chromosome(before.values()), rng, indpb=0.0, sigma=0.2)
        changed = [n for n, v in zip(MIXED, after, strict=True) if v != before[n]]
        assert len(changed) == 1
        assert MIXED.active(before, changed[0])


def individuals(space: SearchSpace, count: int) -> list[Individual]:
    rng = np.random.default_rng(count)
    return [
        Individual(n, 0, (), "sample", space.sample(rng), n, Outcome.of_fitness(float(n)))
        for n in range(count)
    ]


def chromosomes(space: SearchSpace, count: int) -> list[Chromosome]:
    return [Chromosome.of(individual) for individual in individuals(space, count)]


@given(spaces(), SEEDS, st.floats(0, 1), st.floats(0, 1))
def test_breeding_is_a_function_of_its_arguments(
    space: SearchSpace, seed: int, cxpb: float, mutpb: float
) -> None:
    settings = SearchSettings(population_size=6, cxpb=cxpb, mutpb=mutpb)
    living = chromosomes(space, 6)
    children = []
    for _ in range(2):
        random.seed()  # what the global generator is at must not matter
        rng = np.random.default_rng(seed)
        children.append(breed(toolbox(space, settings), space, settings, living, rng))
    assert children[0] == children[1]
    child = children[0]
    assert space.check(child.genome) == child.genome
    assert set(child.parents) <= set(range(6))
    assert len(set(child.parents)) == len(child.parents) == 1 + ("crossover" in child.operator)
    assert child.operator in {"crossover", "mutation", "crossover+mutation"}


@given(spaces(), SEEDS)
def test_breeding_leaves_the_global_random_state_alone(space: SearchSpace, seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    state, legacy = random.getstate(), np.random.get_state()
    breed(toolbox(space, SETTINGS), space, SETTINGS, chromosomes(space, 4), np.random.default_rng())
    assert random.getstate() == state
    assert str(np.random.get_state()) == str(legacy)


def drawn() -> list[Value]:
    """Return what DEAP's selection and crossover draw next."""
    a, b = tools.cxUniform([0] * 8, [1] * 8, 0.5)
    return [*tools.selRandom(range(1000), 8), *a, *b]


def test_deap_draws_from_the_stream_that_it_is_given_and_elsewhere_from_its_own() -> None:
    before = random.getstate()
    with deap_random(np.random.default_rng(0)):
        lent = drawn()
    with deap_random(np.random.default_rng(0)):
        assert drawn() == lent
    assert random.getstate() == before
    random.seed(int(np.random.default_rng(0).integers(2**63)))
    assert drawn() == lent  # as with the global generator, seeded so
    assert random.getstate() != before


def test_threads_draw_each_from_their_own_stream() -> None:
    alone = []
    for seed in range(2):
        with deap_random(np.random.default_rng(seed)):
            alone.append([drawn() for _ in range(3)])
    found: dict[int, list[list[Value]]] = {}
    turn = threading.Barrier(2)

    def draw(seed: int) -> None:
        with deap_random(np.random.default_rng(seed)):
            found[seed] = []
            for _ in range(3):
                turn.wait(20)  # so that the two take turns
                found[seed].append(drawn())

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[0], found[1]] == alone


def test_deap_has_its_own_generator_back_after_an_error_too() -> None:
    with pytest.raises(IndexError), deap_random(np.random.default_rng(0)):
        tools.selRandom([], 1)
    before = random.getstate()
    drawn()
    assert random.getstate() != before


@pytest.mark.parametrize(("cxpb", "operators"), [(0.0, {"mutation"}), (1.0, {"crossover"})])
def test_cxpb_and_mutpb(cxpb: float, operators: set[str]) -> None:
    settings = SearchSettings(population_size=6, cxpb=cxpb, mutpb=0.0, tournsize=1)
    living = chromosomes(MIXED, 6)
    made = [
        breed(toolbox(MIXED, settings), MIXED, settings, living, np.random.default_rng(seed))
        for seed in range(40)
    ]
    # With one and the same parent drawn twice there is nothing to cross.
    assert {o.operator for o in made if len(o.parents) == 1 + (cxpb == 1.0)} == operators
    assert sum(len(o.parents) == 1 + (cxpb == 1.0) for o in made) > 20


def test_a_larger_tournament_presses_harder() -> None:
    living = chromosomes(MIXED, 6)

    def mean_parent(tournsize: int) -> float:
        settings = SearchSettings(population_size=6, tournsize=tournsize)
        box = toolbox(MIXED, settings)
        rngs = (np.random.default_rng(seed) for seed in range(100))
        parents = [breed(box, MIXED, settings, living, rng).parents[0] for rng in rngs]
        return float(np.mean(parents))

    assert mean_parent(1) < 3.2
    assert mean_parent(5) > 4.2


def test_a_failed_individual_never_wins_a_tournament_against_a_good_one() -> None:
    good, bad = individuals(MIXED, 2)
    bad = Individual(1, 0, (), "sample", bad.genome, 1, Outcome.of_fitness(float("nan")))
    living = [Chromosome.of(bad), Chromosome.of(good)]
    settings = SearchSettings(population_size=6, tournsize=40)
    box = toolbox(MIXED, settings)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        assert breed(box, MIXED, settings, living, rng).parents == (0,)
