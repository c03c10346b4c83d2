"""Which freeze depths are known beforehand."""

import pytest

from evoft.fine_tuning.depths import freeze_depths
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace
from evoft.training.data import Preprocessing
from evoft.training.default_space import DEFAULT_GENES
from evoft.training.facts import BackboneFacts

LOOK = Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, "center")


def depths(gene, groups=18, **fixed):
    space = SearchSpace(lr=Float(0.1, 0.2), **({"freeze_depth": gene} if gene else {}))
    return freeze_depths(space, fixed, BackboneFacts("any", groups, 10, LOOK, True, True, ""))


def test_those_of_the_default_space():
    space = SearchSpace.from_dict(DEFAULT_GENES)
    facts = BackboneFacts("any", 18, 10, LOOK, True, True, "")
    assert freeze_depths(space, {}, facts) == (4, 9, 14, 18)


@pytest.mark.parametrize(
    ("gene", "expected"),
    [
        (Ordinal([0, 3, 40]), (3, 18)),
        (Choice([1.0, 0.5]), (9, 18)),
        (Integer(0, 4), (1, 2, 3, 4)),
        (Integer(2, 2**40), (2, 5, 8, 12, 15, 18)),
        (Integer(20, 30), (18,)),
        (Float(0.0, 1.0), (4, 9, 14, 18)),
        (Float(0.5, 0.6), (9, 10, 11)),
    ],
)
def test_all_values_in_layer_groups_or_some_evenly(gene, expected):
    assert depths(gene) == expected


def test_what_is_fixed_is_the_only_one():
    assert depths(None, freeze_depth=0.5) == (9,)
    assert depths(None) == ()
