"""The strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evoft.search.chronicle import Chronicle
from evoft.search.genetic import Genetic
from evoft.search.strategy import Strategy


def _evolution(chronicle: Chronicle) -> Strategy:
    # What it needs of scipy takes a third of a second to import.
    from evoft.search.evolution import Evolution

    return Evolution(chronicle)


#: What makes each strategy.
STRATEGIES: Mapping[str, Callable[[Chronicle], Strategy]] = {
    "evolution": _evolution,
    "ga": Genetic,
}


def strategy_of(chronicle: Chronicle) -> Strategy:
    """Return the strategy that the settings name."""
    return STRATEGIES[chronicle.settings.strategy](chronicle)
