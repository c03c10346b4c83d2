"""Every kind of gene: what it makes is valid, and what is no gene is refused in one sentence."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import CHOICES, FLOATS, GENES, INTEGERS, ORDINALS, UNITS

from evoft.errors import SpaceError
from evoft.genome import same
from evoft.search.gene import Gene
from evoft.search.genes import Choice, Float, Integer, Ordinal, gene_of

SEEDS = st.integers(0, 2**32)
SIGMAS = st.floats(1e-6, 2.0)


@given(GENES, UNITS)
def test_every_position_is_a_value(gene: Gene, unit: float) -> None:
    value = gene.at(unit)
    assert gene.holds(value)
    assert 0.0 <= gene.unit(value) <= 1.0


@given(st.one_of(INTEGERS, ORDINALS, CHOICES), UNITS)
def test_a_value_is_found_again_at_its_position(gene: Gene, unit: float) -> None:
    value = gene.at(unit)
    assert same(gene.at(gene.unit(value)), value)


@given(FLOATS, UNITS)
def test_a_float_is_found_again_but_for_rounding(gene: Float, unit: float) -> None:
    value = gene.at(unit)
    again = gene.at(gene.unit(value))
    if gene.log:
        slack = 1e-12 * max(1.0, abs(math.log(gene.low)), abs(math.log(gene.high)))
        assert math.log(again) == pytest.approx(math.log(value), abs=slack)
    else:
        assert again == pytest.approx(value, rel=1e-9, abs=1e-12 * (gene.high - gene.low))


@given(st.one_of(FLOATS, INTEGERS), UNITS, UNITS)
def test_positions_and_values_rise_together(gene: Gene, a: float, b: float) -> None:
    low, high = sorted([a, b])
    assert gene.at(low) <= gene.at(high)  # type: ignore[operator]


@given(INTEGERS)
def test_both_bounds_of_an_integer_can_be_reached(gene: Integer) -> None:
    assert (gene.at(0.0), gene.at(1.0)) == (gene.low, gene.high)
    assert (type(gene.at(0.0)), type(gene.at(1.0))) == (int, int)


@given(st.integers(1, 12).flatmap(lambda n: st.integers(-9, 9).map(lambda low: (low, low + n))))
def test_every_integer_has_an_equal_share_of_the_interval(bounds: tuple[int, int]) -> None:
    gene = Integer(*bounds)
    count = int(gene.size)
    values = [gene.at((i + 0.5) / (10 * count)) for i in range(10 * count)]
    assert values == [v for v in range(gene.low, gene.high + 1) for _ in range(10)]


@given(st.one_of(ORDINALS, CHOICES))
def test_every_listed_value_has_an_equal_share(gene: Ordinal) -> None:
    count = len(gene.values)
    assert [gene.at((i + 0.5) / count) for i in range(count)] == list(gene.values)
    assert gene.size == count


@given(GENES, UNITS, SEEDS, SIGMAS)
def test_a_mutant_is_another_value_of_the_gene(
    gene: Gene, unit: float, seed: int, sigma: float
) -> None:
    value = gene.at(unit)
    mutant = gene.mutate(value, np.random.default_rng(seed), sigma)
    assert gene.holds(mutant)
    if not isinstance(gene, Float) or gene.high > gene.low * (1 + 1e-9) > 0:
        assert not same(mutant, value)


@given(GENES, UNITS, SEEDS, SIGMAS)
def test_mutation_is_a_function_of_the_generator(
    gene: Gene, unit: float, seed: int, sigma: float
) -> None:
    first, second = (
        gene.mutate(gene.at(unit), np.random.default_rng(seed), sigma) for _ in range(2)
    )
    assert same(first, second)


@given(ORDINALS, UNITS, SEEDS, SIGMAS)
def test_an_ordinal_goes_to_a_neighbour(
    gene: Ordinal, unit: float, seed: int, sigma: float
) -> None:
    value = gene.at(unit)
    mutant = gene.mutate(value, np.random.default_rng(seed), sigma)
    assert abs(gene.index(mutant) - gene.index(value)) == 1


@pytest.mark.parametrize(
    "gene", [Integer(-2, 2), Ordinal([1, 2, 3, 4, 5]), Choice(["a", "b", "c", "d"])]
)
def test_repeated_mutation_reaches_every_value(gene: Gene) -> None:
    rng = np.random.default_rng(0)
    value, seen = gene.at(0.0), set()
    for _ in range(300):
        value = gene.mutate(value, rng, 0.1)
        seen.add(value)
    assert len(seen) == gene.size


def test_a_small_step_of_a_float_is_small() -> None:
    rng = np.random.default_rng(0)
    steps = [abs(Float(0.0, 1.0).mutate(0.5, rng, 0.01) - 0.5) for _ in range(200)]
    assert 0 < max(steps) < 0.06


@pytest.mark.parametrize("value", [0.001, 0.999])
def test_steps_over_a_bound_do_not_pile_up_on_it(value: float) -> None:
    rng = np.random.default_rng(0)
    mutants = [Float(0.0, 1.0).mutate(value, rng, 0.3) for _ in range(200)]
    assert not {0.0, 1.0} & set(mutants)


@given(GENES)
def test_a_gene_is_read_back_from_its_dictionary(gene: Gene) -> None:
    data = json.loads(json.dumps(gene.to_dict()))
    again = gene_of(data)
    assert again == gene
    assert again.to_dict() == gene.to_dict() == data
    assert same(again.standard, gene.standard)


def test_a_gene_without_a_confidence_is_written_as_before_there_were_any() -> None:
    assert Integer(0, 3, default=1).to_dict() == {
        "type": "integer", "low": 0, "high": 3, "log": False, "default": 1,
    }  # fmt: skip
    assert Integer(0, 3, default=1, confidence="low").to_dict()["confidence"] == "low"


@pytest.mark.parametrize("gene", [Float, Integer])
def test_a_condition_is_read_back(gene: type[Float]) -> None:
    there = gene(1, 2, when={"opt": ["sgd", "lion"], "depth": [0]}, default=2)
    again = gene_of(there.to_dict())
    assert again.when == {"opt": ["sgd", "lion"], "depth": [0]}
    assert again == there


@pytest.mark.parametrize(
    ("gene", "standard"),
    [
        (Float(1.0, 3.0), 2.0),
        (Float(1e-4, 1e-2, log=True), 1e-3),
        (Float(0, 1, default=1), 1.0),
        (Integer(1, 3), 2),
        (Ordinal([8, 16, 32]), 16),
        (Choice(["relu", "gelu", "silu"]), "relu"),
        (Choice([True, False], default=False), False),
    ],
)
def test_the_standard_value(gene: Gene, standard: object) -> None:
    assert gene.standard == pytest.approx(standard)
    assert type(gene.standard) is type(standard)


def test_numpy_numbers_become_plain_ones() -> None:
    gene = Float(np.float64(0.0), np.float64(1.0), default=np.float64(0.5))
    assert {type(v) for v in (gene.at(0.0), gene.at(1.0), gene.standard)} == {float}
    assert [type(v) for v in Ordinal(np.arange(3)).values] == [int] * 3
    assert [type(v) for v in Choice([np.float64(1.5), np.bool_(True)]).values] == [float, bool]
    assert Integer(np.int64(1), np.int32(9), default=np.uint8(3)) == Integer(1, 9, default=3)
    assert Float(np.float32(0.25), np.int64(2), default=np.float32(0.5)) == Float(
        0.25, 2, default=0.5
    )
    assert Ordinal([8, 16], default=np.int64(16)) == Ordinal([8, 16], default=16)
    assert json.dumps(Integer(np.int64(1), np.int64(9), default=np.int64(3)).to_dict())


def test_a_gene_may_have_very_many_values() -> None:
    """As where it is the row of a table of everything that was ever evaluated."""
    gene = Ordinal(range(200_000))
    assert [gene.index(value) for value in (0, 123_456, 199_999)] == [0, 123_456, 199_999]
    assert all(gene.holds(value) for value in range(0, 200_000, 2))
    assert not any(map(gene.holds, (True, 1.0, "1", 200_000, [1], None)))
    assert gene.describe() == "0, 1, ... 199999"
    with pytest.raises(SpaceError, match="but 7 stands there twice"):
        Choice([*range(100_000), 7])


def test_one_and_true_and_one_point_zero_are_three_values() -> None:
    gene = Choice([1, True, 1.0])
    assert [gene.index(v) for v in (1, True, 1.0)] == [0, 1, 2]
    assert not Integer(0, 2).holds(True)
    assert not Integer(0, 2).holds(1.0)
    assert not Float(0, 2).holds(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float("0", 1), "`low` must be a finite number of the gene's type, got '0'"),
        (lambda: Float(0, math.inf), "`high` must be a finite number of the gene's type, got inf"),
        (lambda: Float(math.nan, 1), "`low` must be a finite number of the gene's type, got nan"),
        (lambda: Float(False, 1), "`low` must be a finite number of the gene's type, got False"),
        (lambda: Integer(0, 1.5), "`high` must be a finite number of the gene's type, got 1.5"),
        (lambda: Integer(0, 10**400), "`high` must be a finite number of the gene's type, got 100"),
        (lambda: Integer(0, 2**41), "`-2**40 <= low < high <= 2**40` must hold for whole numbers"),
        (lambda: Float(0.1, 0.001), "`low < high` must hold, but got (low=0.1, high=0.001)"),
        (lambda: Integer(3, 3), "`low < high` must hold, but got (low=3, high=3)"),
        (
            lambda: Float(-1.7e308, 1.7e308),
            "`-1e300 <= low < high <= 1e300` must hold, but got (low=-1.7e",
        ),
        (lambda: Float(0, 1, log=True), "`low > 0` must hold with log=True, but got (low=0)"),
        (
            lambda: Float(1e10, math.nextafter(1e10, 2e10), log=True),
            "`low < high` must hold for their logarithms, but got (low=10000000000.0",
        ),
        (lambda: Float(0, 1, default=2), "`default` must be one of the gene's values, but 2.0 is "),
        (lambda: Integer(0, 1, default=0.5), "but 0.5 is not in 0 .. 1"),
        (lambda: Ordinal([1, 2], default=3), "but 3 is not in 1, 2"),
        (
            lambda: Float(0, 1, confidence="high"),
            "`confidence` says how sure a gene is of its `default`, but there is none: give one",
        ),
        (
            lambda: Choice(["a", "b"], default="a", confidence="sure"),
            "`confidence` must be one of low, medium, high, but is 'sure'",
        ),
        (
            lambda: gene_of({"type": "integer", "low": 0, "high": 3, "confidence": ["low"]}),
            "`confidence` must be one of low, medium, high, but is ['low']",
        ),
        (lambda: Choice(["a"]), "`values` must list at least two values, but got ['a']"),
        (lambda: Choice("relu"), "`values` must be a list, but is 'relu'"),
        (lambda: Choice({"b", "a"}), "`values` must be a list, but is {"),
        (lambda: Ordinal(None), "`values` must be a list, but is None"),
        (lambda: Float(1, 2, log="yes"), "`log` must be true or false, but is 'yes'"),
        (
            lambda: Choice(["a", None]),
            "a value must be a number, a text or a boolean, but got None",
        ),
        (lambda: Ordinal([1.0, math.inf]), "a value must be finite, but got inf"),
        (lambda: Choice(["a", "b", "a"]), "`values` must be different, but 'a' stands there twice"),
        (lambda: gene_of({"low": 0}), "one of float, integer, ordinal, choice, but is missing"),
        (lambda: gene_of({"type": []}), "`type` must be one of float, integer, ordinal, choice"),
        (lambda: gene_of({"type": "float", "low": 0}), "a gene of type float needs `high`"),
        (
            lambda: gene_of({"type": "choice", "values": [1, 2], "low": 0}),
            "a gene of type choice has no `low`",
        ),
        (
            lambda: gene_of({"type": "choice", "values": "ab"}),
            "`values` must be a list, but is 'ab'",
        ),
        (
            lambda: gene_of({"type": "float", "low": 1, "high": 2, "log": "yes"}),
            "`log` must be true or false, but is 'yes'",
        ),
    ],
)
def test_what_is_no_gene_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        make()
    assert message in str(refused.value)
