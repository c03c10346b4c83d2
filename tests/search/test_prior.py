"""Defaults with a confidence: what they found, how they count, and that they are outvoted."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequences import sobol

from evoft.individual import Individual
from evoft.outcome import Outcome
from evoft.search.founders import founders
from evoft.search.gene import CONFIDENCES, Gene
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.prior import Belief, Prior
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings

GENES = [
    Float(1e-5, 1e-1, log=True, default=1e-3, confidence="low"),
    Float(0.0, 1.0, default=0.0, confidence="high"),
    Integer(0, 12, default=12, confidence="medium"),
    Ordinal([8, 16, 32, 64], default=16, confidence="medium"),
    Choice(["a", "b"], default="b", confidence="low"),
    Choice(["a", "b", "c", "d"], default="a", confidence="high"),
]


def belief_of(gene: Gene) -> Belief:
    prior = Prior.of(SearchSpace(gene=gene))
    assert prior is not None
    return prior.beliefs["gene"]


def space_of(confidence: str | None, default: float = 0.1, genes: int = 4) -> SearchSpace:
    return SearchSpace(
        {f"x{n}": Float(0.0, 1.0, default=default, confidence=confidence) for n in range(genes)}
    )


def test_a_space_without_a_confidence_has_no_prior() -> None:
    assert Prior.of(space_of(None)) is None
    prior = Prior.of(SearchSpace(a=Float(0.0, 1.0), b=GENES[1]))
    assert prior is not None
    assert list(prior.beliefs) == ["b"]


@pytest.mark.parametrize("gene", GENES)
def test_values_are_spread_as_their_density_says(gene: Gene) -> None:
    belief = belief_of(gene)
    units = (np.arange(20_000) + 0.5) / 20_000
    values = [belief.at(unit) for unit in units]
    # Bins of equal width on the unit interval: one a value, or ten.
    bins = int(gene.size) if math.isfinite(gene.size) else 10
    places = [gene.unit(value) for value in values]
    found, edges = np.histogram(places, bins=bins, range=(0.0, 1.0))
    if math.isfinite(gene.size):
        density = np.exp(belief.log_density([gene.at(u) for u in (edges[1:] + edges[:-1]) / 2]))
        slack = 0.15  # a value's density is taken at its middle, not over all of its share
    else:
        fine = np.linspace(0.0, 1.0, 2001)[:-1] + 1 / 4000
        density = np.exp(belief.log_density([gene.at(u) for u in fine])).reshape(10, -1).mean(1)
        slack = 0.01
    assert found / len(values) == pytest.approx(density / density.sum(), rel=slack, abs=0.002)


@pytest.mark.parametrize("gene", GENES)
def test_the_default_is_the_likeliest_and_nothing_is_ruled_out(gene: Gene) -> None:
    belief = belief_of(gene)
    units = np.linspace(0.0, 1.0, 101)
    values = [gene.at(unit) for unit in units]
    density = belief.log_density(values)
    assert belief.log_density([gene.standard])[0] == 0.0
    assert density.max() <= 0.0
    assert density.min() > -4.0
    seen = {belief.at(unit) for unit in np.linspace(0.0, 1.0, 4001)}
    if math.isfinite(gene.size):
        assert len(seen) == gene.size
    else:
        places = [gene.unit(value) for value in seen]
        assert min(places) == 0.0
        assert max(places) > 0.99


@given(st.sampled_from(GENES), st.floats(0.0, 1.0))
def test_whatever_is_drawn_is_a_value_of_the_gene(gene: Gene, unit: float) -> None:
    assert gene.holds(belief_of(gene).at(unit))


def test_the_surer_the_closer() -> None:
    units = (np.arange(1000) + 0.5) / 1000
    for default, choice in ((0.3, "b"), (1.0, "a")):
        beliefs = [belief_of(Float(0.0, 1.0, default=default, confidence=c)) for c in CONFIDENCES]
        gaps = [statistics.fmean(abs(float(b.at(u)) - default) for u in units) for b in beliefs]
        assert gaps == sorted(gaps, reverse=True)
        choices = [belief_of(Choice(["a", "b"], default=choice, confidence=c)) for c in CONFIDENCES]
        shares = [statistics.fmean(b.at(u) == choice for u in units) for b in choices]
        assert shares == sorted(shares)
        assert shares[0] > 0.5


def test_the_density_of_genomes_adds_up_the_genes_that_count() -> None:
    space = SearchSpace(
        opt=Choice(["adam", "sgd"], default="adam", confidence="medium"),
        momentum=Float(0.0, 1.0, default=0.9, confidence="high", when={"opt": ["sgd"]}),
        free=Float(0.0, 1.0),
    )
    prior = Prior.of(space)
    assert prior is not None
    genomes = [
        {"opt": opt, "momentum": momentum, "free": 0.1}
        for opt in ("adam", "sgd")
        for momentum in (0.9, 0.2)
    ]
    density = prior.log_density(genomes)
    opt, momentum = (prior.beliefs[name] for name in ("opt", "momentum"))
    sgd, low = opt.log_density(["sgd"])[0], momentum.log_density([0.2])[0]
    assert density == pytest.approx([0.0, 0.0, sgd, sgd + low])
    assert prior.log_density([]).shape == (0,)


def test_half_of_the_sample_is_founded_on_the_prior() -> None:
    space = space_of("high", 0.9)
    chosen = founders(space, {"mine": {"x0": 0.5}}, 34, seed=3)
    assert [o.operator for o in chosen] == ["default", "mine", *["prior"] * 16, *["sample"] * 16]
    # What is no part of the prior is what it would be without one.
    assert [o.genome for o in chosen[18:]] == sobol(space, 32, 3)[16:]
    means = [
        statistics.fmean(float(x) for o in part for x in o.genome.values())
        for part in (chosen[2:18], chosen[18:])
    ]
    assert means[0] > 0.75
    assert 0.4 < means[1] < 0.6
    assert [o.operator for o in founders(space_of(None), {}, 5, 3)] == ["default", *["sample"] * 4]


def distance(individual: Individual) -> float:
    """Return how far an individual is from the best that there is, in all genes."""
    return math.dist([float(x) for x in individual.genome.values()], [0.8] * 4)


def best_after(confidence: str | None, default: float, generations: int, seed: int) -> float:
    """Return how near the best comes, whatever the default's place is worth as a founder."""
    settings = SearchSettings(population_size=10, generations=generations, lookahead=5)
    search = Search(space_of(confidence, default), settings, seed)
    while (stint := search.ask()) is not None:
        judged = distance(search.born[stint.individual])
        search.tell(stint.number, Outcome.of_fitness(-judged))
    return min(map(distance, search.born))


@pytest.mark.slow
def test_a_good_prior_helps_and_a_bad_one_is_forgotten() -> None:
    seeds = range(12)

    def mean(confidence: str | None, default: float, generations: int) -> float:
        return statistics.fmean(best_after(confidence, default, generations, s) for s in seeds)

    # A default near the best, but not at it.
    assert mean("high", 0.7, 1) <= mean(None, 0.7, 1)
    # All of a bad prior's founders are far off.
    astray, free = mean("high", 0.1, 1), mean(None, 0.1, 1)
    assert astray > free
    later, freely = mean("high", 0.1, 8), mean(None, 0.1, 8)
    assert later < astray / 2
    assert later - freely < (astray - free) / 2
