"""The strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evoft.search.chronicle import Chronicle
from evoft.search.genetic import Genetic
from evoft.search.strategy import Strategy

#: What makes each strategy.
STRATEGIES: Mapping[str, Callable[[Chronicle], Strategy]] = {
    "ga": Genetic,
}


def strategy_of(chronicle: Chronicle) -> Strategy:
    """Return the strategy that the settings name."""
    return STRATEGIES[chronicle.settings.strategy](chronicle)
