"""Bayesian optimization by Optuna: what it is told, what it answers, and that it keeps nothing."""

from __future__ import annotations

import importlib.util
import logging
import math
import subprocess
import sys
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import spaces

from evoft.errors import SettingsError
from evoft.individual import Individual
from evoft.outcome import Outcome, Status
from evoft.search.bayes import _distribution, _parameter, _suggest, _value
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.settings import SearchSettings
from evoft.testing.trace import straight

SAMPLERS = ("tpe", "gp")
SPACE = SearchSpace(
    lr=Float(1e-5, 1e-1, log=True),
    depth=Integer(0, 12),
    batch=Integer(1, 64, log=True),
    width=Ordinal([16, 32, 64]),
    opt=Choice(["adam", "sgd", True]),
    momentum=Float(0, 0.99, default=0.9, when={"opt": ["sgd"]}),
)


def judge(stint: Stint, individual: Individual) -> Outcome:
    genome = individual.genome
    distance = (math.log10(float(genome["lr"])) + 3) ** 2 + abs(int(genome["depth"]) - 4) / 4
    return Outcome.of_fitness(-distance - (genome["opt"] != "sgd"))


def search_of(sampler: str = "tpe", seed: int = 0, **changes: object) -> Search:
    values = {"population_size": 10, "generations": 3, "lookahead": 1, **changes}
    found = SearchSettings(strategy="bayes", sampler=sampler, **values)  # type: ignore[arg-type]
    return Search(SPACE, found, seed)


@settings(deadline=None)
@given(spaces(), st.data())
def test_what_optuna_knows_a_value_as_is_that_value(
    space: SearchSpace, data: st.DataObject
) -> None:
    for gene in space.values():
        value = gene.at(data.draw(st.floats(0, 1)))
        parameter = _parameter(gene, value)
        distribution = _distribution(gene)
        assert distribution._contains(distribution.to_internal_repr(parameter))
        back = _value(gene, parameter)
        assert (type(back), back) == (type(value), value)


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_it_samples_first_and_then_follows_what_was_good(sampler: str) -> None:
    size = 10 if sampler == "tpe" else 6  # Gaussian processes take their time
    search = straight(search_of(sampler, population_size=size), judge)
    operators = [i.operator for i in search.born]
    assert operators[:11] == ["default"] + ["sample"] * 10  # ten outcomes, and one in flight
    assert set(operators[11:]) <= {sampler, "sample"}
    assert operators.count(sampler) >= 3 * size - 12
    sampled = sorted(i.fitness for i in search.born if i.operator == "sample")
    suggested = sorted(i.fitness for i in search.born if i.operator == sampler)
    assert suggested[len(suggested) // 2] > sampled[len(sampled) // 2]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_suggestion_follows_from_what_was_seen_and_the_seed(sampler: str) -> None:
    born = straight(search_of("tpe"), judge).born
    seen = [(i.genome, (i.score,) if i.id % 5 else None) for i in born]
    one = _suggest(SPACE, sampler, seen, 1)
    assert SPACE.check(one) == one
    assert one == _suggest(SPACE, sampler, seen, 1)
    assert one != _suggest(SPACE, sampler, seen, 2)
    assert one != _suggest(SPACE, sampler, seen[:12], 1)


def test_genes_that_do_not_count_have_their_defaults() -> None:
    born = straight(search_of("tpe", generations=5), judge).born
    bred = [i.genome for i in born if i.operator == "tpe"]
    assert {genome["momentum"] for genome in bred if genome["opt"] != "sgd"} <= {0.9}
    assert len({genome["momentum"] for genome in bred if genome["opt"] == "sgd"}) > 5


def test_the_failed_are_as_bad_as_the_worst_and_no_worse(monkeypatch) -> None:
    told = []

    # Stands in for Optuna: what matters is what it is told.
    def suggest(space, name, seen, seed, objectives):
        assert objectives == 1
        told.append([score for _, (score,) in seen])
        return space.default()

    monkeypatch.setattr("evoft.search.bayes._suggest", suggest)

    def some_fail(stint: Stint, individual: Individual) -> Outcome:
        bad = Outcome(Status.DIVERGED) if individual.id % 3 == 0 else None
        return bad or Outcome.of_fitness(-float(individual.id))

    straight(search_of(generations=2, lookahead=0), some_fail)
    assert told[0] == [-8.0, -1, -2, -8, -4, -5, -8, -7, -8, -8]
    assert all(score is not None for scores in told for score in scores)


def test_those_in_flight_are_told_as_running(monkeypatch) -> None:
    told = []

    def suggest(space, name, seen, seed, objectives):
        told.append([scores is None for _, scores in seen])
        return space.default()

    monkeypatch.setattr("evoft.search.bayes._suggest", suggest)
    straight(search_of(generations=2, lookahead=3), judge)
    assert told
    assert all(flags == [False] * (len(flags) - 3) + [True] * 3 for flags in told)


def test_while_all_fail_the_sample_goes_on() -> None:
    search = straight(search_of(), lambda stint, individual: Outcome(Status.FAILED))
    assert [i.operator for i in search.born] == ["default"] + ["sample"] * 29


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_optuna_says_nothing(sampler: str, capfd, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        straight(search_of(sampler, population_size=6, generations=2, lookahead=0), judge)
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if r.name.startswith("optuna")] == []
    assert caught == []


def test_without_optuna_one_sentence_says_what_to_install(monkeypatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "optuna" else found(name, *a)
    )
    with pytest.raises(SettingsError, match=r"`bayes` is Optuna's.*: `pip install evoft\[bayes\]`"):
        search_of()


def test_nobody_else_imports_optuna() -> None:
    code = (
        "import sys, evoft; from evoft.search.search import Search; "
        "from evoft.search.bayes import Bayes; print('optuna' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


@settings(max_examples=20, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_a_suggestion_is_of_the_space_whatever_its_genes(space: SearchSpace, seed: int) -> None:
    seen = [(space.at([(i + 0.5) / 12] * len(space)), (float(i % 5),)) for i in range(12)]
    genome = _suggest(space, "tpe", seen, seed)
    assert space.check(genome) == genome


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_genes_beyond_what_optuna_reckons_with(sampler: str) -> None:
    space = SearchSpace(
        a=Float(-1e300, 1e300),
        b=Float(5e-324, 1e300, log=True),
        c=Integer(-(2**40), 2**40),
        d=Float(1.0, 1.0 + 3e-16),
        e=Integer(1, 2**40, log=True),
        f=Float(0, 5e-324),
        g=Float(0, 1),
    )
    settings = SearchSettings(strategy="bayes", sampler=sampler, population_size=7, generations=2)
    search = Search(space, settings, seed=3)
    straight(search, lambda stint, individual: Outcome.of_fitness(individual.genome["g"]))
    assert len(search.born) == 14
    for one in search.born:
        space.check(one.genome)
