"""What every strategy must keep, as tests that pytest collects from a subclass.

::

    class TestMine(StrategyContract):
        settings = SearchSettings(strategy="mine", population_size=6, generations=4)

A strategy that has no name among evoft's is given by ``strategy``, a function of the chronicle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from evoft.genome import Value
from evoft.individual import Individual
from evoft.outcome import Outcome, Status
from evoft.search.chronicle import Chronicle
from evoft.search.clock import Clock
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Decision, Stint
from evoft.search.strategies import strategy_of
from evoft.search.strategy import Strategy
from evoft.seeds import derive, generator
from evoft.settings import SearchSettings
from evoft.testing.trace import decided, phenotypes, shuffled, straight, tell

#: The ways to fail, in turn.
_BAD = [status for status in Status if status is not Status.OK]


class StrategyContract:
    """Determinism whatever the workers do, resuming anywhere, failure as data, nobody twice.

    Its attributes may be replaced by a subclass.
    """

    #: How the search goes; ``lookahead`` above 0 asks the most of a strategy.
    settings: ClassVar[SearchSettings]
    #: Makes the strategy; None: the one that the settings name.
    strategy: ClassVar[Callable[[Chronicle], Strategy] | None] = None
    space: ClassVar[SearchSpace] = SearchSpace(
        lr=Float(1e-5, 1e-1, log=True),
        depth=Integer(0, 12),
        width=Ordinal([16, 32, 64]),
        opt=Choice(["adam", "sgd", "rmsprop"]),
        momentum=Float(0, 0.99, when={"opt": ["sgd", "rmsprop"]}),
    )
    #: A space of 16 phenotypes.
    small: ClassVar[SearchSpace] = SearchSpace(
        a=Integer(0, 3), b=Choice(["x", "y"]), c=Ordinal([1, 2, 3], when={"b": ["y"]})
    )
    #: Epochs of a full training; a strategy that judges on rungs has 1, 3 and 9 to climb.
    epochs: ClassVar[float] = 9.0
    named: ClassVar[Mapping[str, Mapping[str, Value]]] = {"linear probe": {"depth": 12}}
    #: How many random orders and places are tried where all of them would be too many.
    tries: ClassVar[int] = 8
    seed: ClassVar[int] = 7

    def judge(self, stint: Stint, individual: Individual) -> Outcome:
        """Return the outcome of a stint: noisy on low rungs, and every seventh fails somewhere."""
        if individual.id % 7 == 3 and stint.rung == individual.id % 2:
            return Outcome(_BAD[individual.id % len(_BAD)], reason="it would not")
        genome = individual.genome
        distance = abs(math.log10(float(genome["lr"])) + 3) + abs(int(genome["depth"]) - 4) / 4
        noise = derive(individual.seed, "noise", stint.rung) / 2**63
        return Outcome.of_fitness(-distance - (genome["opt"] != "sgd") - noise / (1 + stint.rung))

    def judge_small(self, stint: Stint, individual: Individual) -> Outcome:
        """Return the outcome of a stint in the small space: one in five fails somewhere."""
        if individual.id % 5 == 2 and stint.rung == individual.id % 3:
            return Outcome(_BAD[individual.id % len(_BAD)], reason="it would not")
        return Outcome.of_fitness(float(individual.id % 5))

    def search(self, **changes: Any) -> Search:
        """Return a new search; ``settings``, ``space``, ``seed``, ``strategy`` can be others."""
        settings = changes.get("settings", self.settings)
        return Search(
            changes.get("space", self.space),
            settings,
            changes.get("seed", self.seed),
            ladder=settings.ladder(self.epochs),
            named=changes.get("named", self.named),
            strategy=changes.get("strategy", type(self).strategy),
        )

    def test_outcomes_told_in_any_order_give_the_same_decisions(self) -> None:
        expected = decided(straight(self.search(), self.judge))
        for number in range(self.tries):
            rng = generator(self.seed, "contract", number)
            search = shuffled(self.search(), self.judge, rng, most=1 + number % 8)
            assert decided(search) == expected

    def test_a_search_that_is_restored_goes_on_as_it_would_have(self) -> None:
        whole = straight(self.search(), self.judge)
        for kept in self._places(len(whole.stints)):
            search = self.search()
            for stint in whole.stints[:kept]:
                search.restore(whole.born[stint.individual].unjudged, stint.rung)
                tell(search, stint, self.judge)
            assert decided(straight(search, self.judge)) == decided(whole)

    def test_outcomes_that_come_after_the_records_make_no_difference(self) -> None:
        whole = straight(self.search(), self.judge)
        for number, kept in enumerate(self._places(len(whole.stints))):
            search = self.search()
            for stint in whole.stints[:kept]:
                search.restore(whole.born[stint.individual].unjudged, stint.rung)
            order = generator(self.seed, "contract", number).permutation(kept).tolist()
            for place in sorted(order, key=lambda n: (whole.stints[n].rung, order.index(n))):
                tell(search, whole.stints[place], self.judge)
            assert decided(straight(search, self.judge)) == decided(whole)

    def test_what_was_taken_back_was_never_asked_for(self) -> None:
        expected = decided(straight(self.search(), self.judge))
        for number in range(self.tries):
            rng = generator(self.seed, "contract", number)
            search = self.search()
            for _ in range(3):
                for _ in range(int(rng.integers(1 + len(expected) // 2))):
                    search.ask()
                    waiting = [s for s in search.stints if not search.told(s.number)]
                    if waiting and rng.random() < 0.7:
                        tell(search, waiting[int(rng.integers(len(waiting)))], self.judge)
                search.withdraw()
                assert not search.stints or search.told(search.stints[-1].number)
            assert decided(straight(search, self.judge)) == expected

    def test_asking_twice_gives_one_answer(self) -> None:
        make = type(self).strategy or strategy_of
        search = straight(self.search(strategy=lambda c: _Twice(make(c))), self.judge)
        assert decided(search) == decided(straight(self.search(), self.judge))

    def test_a_decision_knows_nothing_that_has_not_ended_on_the_clock(self) -> None:
        whole = straight(self.search(), self.judge)
        for changed in self._places(len(whole.stints) - 1):

            def other(stint: Stint, individual: Individual, changed: int = changed) -> Outcome:
                same = self.judge(stint, individual)
                flip = Outcome.of_fitness(99.0) if same.score < -1 else Outcome(Status.LOST)
                return flip if stint.number == changed else same

            first = _known_from(whole.stints, changed, self.settings.births_ahead + 1)
            changed_course = decided(straight(self.search(), other))
            assert changed_course[:first] == decided(whole)[:first]

    def test_another_seed_is_another_search(self) -> None:
        one, other = (straight(self.search(seed=seed), self.judge) for seed in (1, 2))
        assert list(phenotypes(one)) != list(phenotypes(other))

    def test_a_longer_search_begins_like_a_shorter_one(self) -> None:
        generations = self.settings.generations or 2
        longer = replace(self.settings, generations=generations + 1)
        short = decided(straight(self.search(), self.judge))
        assert short
        assert decided(straight(self.search(settings=longer), self.judge))[: len(short)] == short

    def test_the_default_and_the_named_founders_come_first(self) -> None:
        born = straight(self.search(), self.judge).born
        assert [i.operator for i in born[:2]] == ["default", "linear probe"]
        assert born[0].genome == self.space.default()
        assert born[1].genome == self.space.complete(self.named["linear probe"])

    def test_genomes_are_of_the_space_and_parents_are_elders(self) -> None:
        search = straight(self.search(), self.judge)
        for individual in search.born:
            assert self.space.check(individual.genome) == individual.genome
            assert all(parent < individual.id for parent in individual.parents)
            assert len(individual.parents) <= 2

    def test_nobody_is_born_twice(self) -> None:
        found = list(phenotypes(straight(self.search(), self.judge)))
        assert len(found) == len(set(found)) > len(self.named)

    def test_only_those_who_did_well_are_continued_or_have_children(self) -> None:
        search = straight(self.search(), self.judge)
        for stint in search.stints:
            if stint.rung:
                below = search.born[stint.individual].earlier[stint.rung - 1]
                assert below.score > -math.inf
        parents = {parent for i in search.born for parent in i.parents}
        failed = {i.id for i in search.born if not i.earlier and i.score == -math.inf}
        assert failed
        assert not parents & failed

    def test_no_more_is_spent_than_there_is(self) -> None:
        search = straight(self.search(), self.judge)
        births = self.settings.births
        assert births is None or births - 1 <= search.spent <= births + 1e-9

    def test_a_search_in_which_all_fail_comes_to_its_end(self) -> None:
        search = straight(self.search(), lambda stint, individual: Outcome(Status.OUT_OF_MEMORY))
        assert search.ended
        assert all(stint.rung == 0 for stint in search.stints)

    def test_a_finite_space_is_searched_through_and_then_the_search_ends(self) -> None:
        settings = replace(self.settings, generations=None)
        search = straight(
            self.search(settings=settings, space=self.small, named={}),
            lambda stint, individual: Outcome.of_fitness(float(individual.id % 5)),
        )
        assert search.ended
        assert search.exhausted
        found = list(phenotypes(search))
        assert len(found) == len(set(found)) == 16

    def test_in_a_small_space_all_who_climb_do_so_to_the_top(self) -> None:
        lookahead = self.settings.population_size - 1  # so that many are in flight at the end
        how = replace(self.settings, generations=None, lookahead=lookahead)
        changes = {"settings": how, "space": self.small, "named": {}}
        search = straight(self.search(**changes), self.judge_small)
        top = max(stint.rung for stint in search.stints)
        assert top in {0, search.ladder.top}
        assert {i.rung for i in search.born if i.score > -math.inf} == {top}
        for kept in (len(search.stints) // 2, len(search.stints) - 2):
            other = self.search(**changes)
            for stint in search.stints[:kept]:
                other.restore(search.born[stint.individual].unjudged, stint.rung)
                tell(other, stint, self.judge_small)
            assert decided(straight(other, self.judge_small)) == decided(search)

    def _places(self, count: int) -> Sequence[int]:
        """Return a few places among ``count`` stints, the first and the last among them."""
        if count <= self.tries:
            return range(count + 1)
        between = generator(self.seed, "contract places").permutation(count)
        return sorted({0, count, *between[: self.tries - 2].tolist()})


class _Twice:
    """A strategy that is asked twice each time, and must not mind."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy

    @property
    def blind(self) -> bool:
        return self._strategy.blind

    def take(self, stint: Stint) -> None:
        self._strategy.take(stint)

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        self._strategy.learn(stint, outcome)

    def decide(self) -> Decision | None:
        first, second = self._strategy.decide(), self._strategy.decide()
        assert first == second, "two calls of `decide` in a row gave different answers"
        return second


def _known_from(stints: Sequence[Stint], changed: int, places: int) -> int:
    """Return the first decision that may know the outcome of stint ``changed``."""
    clock = Clock(places)
    for stint in stints:
        if changed in clock.ended():
            return stint.number
        clock.start(stint)
    return len(stints)
