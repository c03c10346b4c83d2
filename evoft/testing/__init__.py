"""Contracts as test classes: whoever writes a strategy subclasses one and has it checked."""

from evoft.testing.strategy_contract import StrategyContract

__all__ = ["StrategyContract"]
