"""Every strategy keeps what all must keep."""

import pytest

from evoft.errors import SettingsError
from evoft.search.strategies import STRATEGIES
from evoft.settings import STRATEGIES as NAMES
from evoft.settings import SearchSettings
from evoft.testing import StrategyContract


def settings_of(strategy: str, **changes: object) -> SearchSettings:
    values = {"population_size": 6, "generations": 4, "lookahead": 2, **changes}
    return SearchSettings(strategy=strategy, **values)  # type: ignore[arg-type]


class TestEvolution(StrategyContract):
    settings = settings_of("evolution", generations=2)
    tries = 4


class TestGenetic(StrategyContract):
    settings = settings_of("ga")


class TestRandom(StrategyContract):
    settings = settings_of("random")


class TestGrid(StrategyContract):
    settings = settings_of("grid")


class TestHyperband(StrategyContract):
    settings = settings_of("hyperband")


class TestSynchronousHyperband(StrategyContract):
    settings = settings_of("hyperband", lookahead=0)


class TestAsha(StrategyContract):
    settings = settings_of("asha", lookahead=5)


class TestBayes(StrategyContract):
    settings = settings_of("bayes", generations=3)
    tries = 4


@pytest.mark.slow
class TestBayesByGaussianProcess(StrategyContract):
    settings = settings_of("bayes", generations=2, sampler="gp", lookahead=1)
    tries = 2


def test_the_settings_know_the_strategies_that_there_are() -> None:
    assert set(NAMES) == set(STRATEGIES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "luck"}, "`strategy` must be one of evolution, .*, but is 'luck'"),
        ({"sampler": "cmaes"}, "`sampler` must be one of tpe, gp, but is 'cmaes'"),
        ({"points": 1}, "`points` must be >= 2, but is 1"),
        ({"points": 2.5}, "`points` must be a whole number, but is 2.5"),
    ],
)
def test_settings_that_no_strategy_has_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SearchSettings(**changes)
