"""The strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evoft.search.asha import Asha
from evoft.search.bayes import Bayes
from evoft.search.chronicle import Chronicle
from evoft.search.genetic import Genetic
from evoft.search.grid import Grid
from evoft.search.hyperband import Hyperband
from evoft.search.random_search import RandomSearch
from evoft.search.strategy import Strategy


def _evolution(chronicle: Chronicle) -> Strategy:
    # What it needs of scipy takes a third of a second to import.
    from evoft.search.evolution.algorithm import Evolution

    return Evolution(chronicle)


#: What makes each strategy.
STRATEGIES: Mapping[str, Callable[[Chronicle], Strategy]] = {
    "evolution": _evolution,
    "ga": Genetic,
    "random": RandomSearch,
    "grid": Grid,
    "hyperband": Hyperband,
    "asha": Asha,
    "bayes": Bayes,
}


def strategy_of(chronicle: Chronicle) -> Strategy:
    """Return the strategy that the settings name.

    Raises:
        SettingsError: It needs a library that is not installed.
    """
    return STRATEGIES[chronicle.settings.strategy](chronicle)
