"""The contract of strategies finds what it forbids."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from evoft.outcome import Outcome
from evoft.search.genetic import Genetic
from evoft.search.sampling import newcomer, stranger
from evoft.search.stint import Decision, Offspring, Stint
from evoft.settings import SearchSettings
from evoft.testing import StrategyContract


class Counting(Genetic):
    """Remembers how often it was asked."""

    calls = 0

    def decide(self) -> Decision | None:
        self.calls += 1
        return super().decide() if self.calls % 3 else stranger(self._chronicle)


class Peeking(Genetic):
    """Looks at outcomes in the chronicle, whenever they come."""

    def decide(self) -> Decision | None:
        if all(i.outcome for i in self._chronicle.born):
            return super().decide()
        return newcomer(self._chronicle)


class Ordered(Genetic):
    """Depends on what was taken before what was learned."""

    taken = 0

    def take(self, stint: Stint) -> None:
        self.taken += 1

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        super().learn(stint, Outcome.of_fitness(float(self.taken % 7)))


class Lucky(Genetic):
    """Draws from a generator of its own."""

    def decide(self) -> Decision | None:
        return Offspring(self._space.at([random.random() for _ in self._space]), (), "sample")


class Twins(Genetic):
    """Has everybody born again."""

    def decide(self) -> Decision | None:
        return newcomer(self._chronicle) if len(self._chronicle.born) < 6 else self._again()

    def _again(self) -> Decision:
        return Offspring(self._chronicle.born[1].genome, (), "sample")


class Merciful(Genetic):
    """Has the failed breed."""

    def decide(self) -> Decision | None:
        child = super().decide()
        failed = [i.id for i in self._chronicle.born if i.outcome and i.score == -math.inf]
        if isinstance(child, Offspring) and not self.blind and failed:
            return Offspring(child.genome, (failed[-1],), "mutation")
        return child


def contract_of(strategy: Callable[..., Genetic]) -> StrategyContract:
    class Contract(StrategyContract):
        settings = SearchSettings(population_size=6, generations=4, lookahead=2)

    Contract.strategy = strategy
    return Contract()


@pytest.mark.parametrize(
    ("strategy", "test"),
    [
        (Counting, "test_asking_twice_gives_one_answer"),
        (Counting, "test_a_search_that_is_restored_goes_on_as_it_would_have"),
        (Peeking, "test_outcomes_told_in_any_order_give_the_same_decisions"),
        (Ordered, "test_outcomes_that_come_after_the_records_make_no_difference"),
        (Lucky, "test_asking_twice_gives_one_answer"),
        (Lucky, "test_what_was_taken_back_was_never_asked_for"),
        (Lucky, "test_the_default_and_the_named_founders_come_first"),
        (Twins, "test_nobody_is_born_twice"),
        (Merciful, "test_only_those_who_did_well_are_continued_or_have_children"),
    ],
)
def test_a_fault_is_found(strategy: Callable[..., Genetic], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(contract_of(strategy), test)()


def test_a_strategy_without_fault_passes() -> None:
    contract = contract_of(Genetic)
    tests = [getattr(contract, name) for name in dir(contract) if name.startswith("test_")]
    assert len(tests) > 12
    for test in tests:
        test()
