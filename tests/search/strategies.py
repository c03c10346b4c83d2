"""Hypothesis strategies for genes and spaces of every kind."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from evoft.search.gene import CONFIDENCES, Gene
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace

#: Genes of each kind, one of them under a condition.
MIXED = SearchSpace(
    lr=Float(1e-5, 1e-1, log=True),
    depth=Integer(0, 12),
    width=Ordinal([16, 32, 64]),
    act=Choice(["relu", "gelu", "silu"]),
    momentum=Float(0, 0.99, when={"act": ["relu"]}),
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6),
    st.text('abcxyz-_. é"\\', min_size=1, max_size=6),
)
#: Positions on the unit interval, its ends among them.
UNITS = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.0, 1.0))
SURE = st.sampled_from([None, *CONFIDENCES])


def _usable(bounds: list[Any], log: bool) -> bool:
    low, high = bounds
    if not (low < high and math.isfinite(high - low)):
        return False
    return not log or (low > 0 and math.log(low) < math.log(high))


@st.composite
def _ranges(draw: st.DrawFn, numbers: st.SearchStrategy[Any]) -> dict[str, Any]:
    log = draw(st.booleans())
    pairs = st.lists(numbers, min_size=2, max_size=2).map(sorted)
    low, high = draw(pairs.filter(lambda bounds: _usable(bounds, log)))
    return {"low": low, "high": high, "log": log}


@st.composite
def ranges(draw: st.DrawFn, gene: type[Gene], numbers: st.SearchStrategy[Any]) -> Gene:
    bounds = draw(_ranges(numbers))
    plain = gene(**bounds)
    if draw(st.booleans()):
        bounds["default"] = plain.at(draw(UNITS))
        bounds["confidence"] = draw(SURE)
    return gene(**bounds)


@st.composite
def listed(draw: st.DrawFn, gene: type[Ordinal] | type[Choice]) -> Gene:
    # Equal in type and value: 0.0 and -0.0 are one value, 1 and True and 1.0 are three.
    values = draw(
        st.lists(VALUES, min_size=2, max_size=6, unique_by=lambda value: (type(value), value))
    )
    default = draw(st.sampled_from([None, *values]))
    return gene(values, default=default, confidence=draw(SURE) if default is not None else None)


FLOATS = ranges(Float, st.floats(-1e300, 1e300))
INTEGERS = ranges(Integer, st.integers(-(2**40), 2**40) | st.integers(-5, 20))
ORDINALS = listed(Ordinal)
CHOICES = listed(Choice)
GENES = st.one_of(FLOATS, INTEGERS, ORDINALS, CHOICES)


@st.composite
def spaces(draw: st.DrawFn, genes: st.SearchStrategy[Gene] = GENES, most: int = 6) -> SearchSpace:
    """Draw a space of which some genes depend on earlier ones, and those on earlier ones still."""
    built: dict[str, Gene] = {}
    for gene in draw(st.lists(genes, min_size=1, max_size=most)):
        when = None
        if built and draw(st.booleans()):
            other = draw(st.sampled_from(sorted(built)))
            units = draw(st.lists(UNITS, min_size=1, max_size=2))
            when = {other: [built[other].at(unit) for unit in units]}
        table = {**gene.to_dict(), "when": when}
        del table["type"]
        built[f"gene{len(built)}"] = type(gene)(**table)
    return SearchSpace(built)
