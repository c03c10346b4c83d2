"""What all strategies share: rungs, the clock, restarts, and the end of what there is to spend."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

import pytest
from climbing import FOUNDERS, Climber
from hypothesis import given, settings
from hypothesis import strategies as st

from evoft.errors import PopulationMismatchError
from evoft.individual import Individual
from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.search.chronicle import Chronicle
from evoft.search.genes import Choice, Float, Integer
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Decision, Offspring, Promotion, Stint
from evoft.seeds import derive
from evoft.settings import SearchSettings

SPACE = SearchSpace(x=Float(0.0, 1.0), depth=Integer(0, 12), opt=Choice(["adam", "sgd"]))
LADDER = Ladder((1.0, 3.0, 9.0))


def settings_of(**changes: object) -> SearchSettings:
    return SearchSettings(**{"population_size": 4, "generations": 3, **changes})  # type: ignore[arg-type]


def search_of(ladder: Ladder = LADDER, **changes: object) -> Search:
    return Search(SPACE, settings_of(**changes), 7, ladder=ladder, strategy=Climber)


def judge(search: Search, stint: Stint) -> Outcome:
    """Return a fitness that grows with the rung, by another amount for each; some fail."""
    if derive(1, "failure", stint.individual, stint.rung) % 9 == 0:
        return Outcome(Status.DIVERGED, reason="it would not")
    luck = derive(2, "fitness", stint.individual, stint.rung) % 1000 / 1000
    x = float(search.born[stint.individual].genome["x"])
    return Outcome.of_fitness(-abs(x - 0.3) + 0.2 * stint.rung + 0.3 * luck)


def run(search: Search, judge: Callable[[Search, Stint], Outcome] = judge) -> Search:
    """Tell each outcome at once."""
    while (stint := search.ask()) is not None:
        search.tell(stint.number, judge(search, stint))
    assert search.ended
    return search


def history(search: Search) -> list[object]:
    """Return all that was decided, and what became of everybody."""
    return [*search.stints, *map(repr, search.born)]


STRAIGHT = run(search_of())


@cache
def straight(lookahead: int) -> list[object]:
    """Return what is decided where each outcome is told at once."""
    return history(run(search_of(lookahead=lookahead)))


def test_it_climbs() -> None:
    rungs = [stint.rung for stint in STRAIGHT.stints]
    assert {rung: rungs.count(rung) > 3 for rung in (0, 1, 2)} == {0: True, 1: True, 2: True}
    for id, individual in enumerate(STRAIGHT.born):
        mine = [stint for stint in STRAIGHT.stints if stint.individual == id]
        assert [stint.rung for stint in mine] == list(range(individual.rung + 1))
        assert len(individual.earlier) == individual.rung
        assert individual.outcome == judge(STRAIGHT, mine[-1])
        assert individual.seed == derive(7, "trial", id)
    assert [stint.number for stint in STRAIGHT.stints] == list(range(len(STRAIGHT.stints)))


@settings(max_examples=40)
@given(st.data(), st.integers(0, 3))
def test_outcomes_told_in_any_order_decide_the_same(data: st.DataObject, lookahead: int) -> None:
    search = search_of(lookahead=lookahead)
    waiting: list[Stint] = []
    while True:
        asks = not waiting or data.draw(st.booleans())
        if asks and (stint := search.ask()) is not None:
            waiting.append(stint)
        elif waiting:
            stint = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            search.tell(stint.number, judge(search, stint))
        else:
            break
    assert history(search) == straight(lookahead)


@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_a_decision_stands_on_what_has_ended_on_the_clock_and_nothing_later(
    lookahead: int,
) -> None:
    before = run(search_of(lookahead=lookahead)).stints
    ends, free = [], [0.0] * (lookahead + 1)
    begins = []
    for stint in before:
        begins.append(min(free))
        free[free.index(min(free))] = begins[-1] + stint.cost
        ends.append(begins[-1] + stint.cost)
    changed_later = 0
    for changed in range(len(before)):

        def other(search: Search, stint: Stint, changed: int = changed) -> Outcome:
            same = judge(search, stint)
            flip = Outcome(Status.LOST) if same.score > -1 else Outcome.of_fitness(9.0)
            return flip if stint.number == changed else same

        stints = run(search_of(lookahead=lookahead), other).stints
        blind = max(FOUNDERS, changed + 1)
        may_know = [n for n in range(blind, len(before)) if begins[n] >= ends[changed] - 1e-9]
        first = min(may_know, default=len(before))
        assert stints[:first] == before[:first]
        changed_later += stints != before
    assert changed_later > len(before) / 3


@pytest.mark.parametrize("lookahead", [0, 2, 3])
def test_as_many_are_in_the_open_as_lookahead_says(lookahead: int) -> None:
    search = search_of(lookahead=lookahead, generations=2)
    counts = []
    while True:
        while search.ask() is not None:
            pass
        if (number := waits(search)) is None:
            break
        if not search.ended:
            counts.append(sum(not search.told(stint.number) for stint in search.stints))
        search.tell(number, judge(search, search.stints[number]))
    assert counts[0] == max(FOUNDERS, lookahead + 1)
    assert set(counts[FOUNDERS:]) == {lookahead + 1}
    assert history(search) == history(run(search_of(lookahead=lookahead, generations=2)))


def waits(search: Search) -> int | None:
    """Return the stint that the search waits for."""
    id = search.waits_for
    if id is None:
        return None
    return next(s.number for s in search.stints if s.individual == id and not search.told(s.number))


@given(st.integers(0, 3), st.integers(0, 60))
def test_the_outcome_that_it_waits_for_is_the_one_that_it_needs(lookahead: int, ready: int) -> None:
    search = search_of(lookahead=lookahead)
    for _ in range(ready):
        if (stint := search.ask()) is not None:
            search.tell(stint.number, judge(search, stint))
    while search.ask() is not None:
        pass
    needed = waits(search)
    if search.ended or needed is None:
        return
    for stint in search.stints:
        if not search.told(stint.number) and stint.number != needed:
            search.tell(stint.number, judge(search, stint))
    assert search.ask() is None
    assert waits(search) == needed
    search.tell(needed, judge(search, search.stints[needed]))
    assert search.ask() is not None or search.ended


@pytest.mark.parametrize("lookahead", [0, 2])
def test_restored_at_any_point_and_continued_it_is_the_same(lookahead: int) -> None:
    whole = run(search_of(lookahead=lookahead))
    for kept in range(len(whole.stints) + 1):
        search = search_of(lookahead=lookahead)
        for stint in whole.stints[:kept]:
            search.restore(whole.born[stint.individual].unjudged, stint.rung)
            search.tell(stint.number, judge(whole, stint))
        assert search.stints == whole.stints[:kept]
        assert history(run(search)) == history(whole)
        assert search.ended


@given(st.data())
def test_what_was_withdrawn_was_never_asked_for(data: st.DataObject) -> None:
    search = search_of()
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(0, 30))):
            if search.ask() is None:
                if (number := waits(search)) is None or data.draw(st.booleans()):
                    break
                search.tell(number, judge(search, search.stints[number]))
        untold = [stint for stint in search.stints if not search.told(stint.number)]
        # As when a budget ended: some that wait are judged, and some younger ones are not.
        for stint in untold:
            if data.draw(st.booleans()):
                search.tell(stint.number, judge(search, stint))
        search.withdraw()
        assert not search.stints or search.told(search.stints[-1].number)
        assert search.spent == pytest.approx(sum(stint.cost for stint in search.stints))
    for stint in list(search.stints):
        if not search.told(stint.number):
            search.tell(stint.number, judge(search, stint))
    assert history(run(search)) == history(STRAIGHT)


@given(st.integers(0, 40), st.data())
def test_a_twin_goes_its_own_way(count: int, data: st.DataObject) -> None:
    search = search_of()
    for _ in range(count):
        if search.ask() is None:
            if (number := waits(search)) is None:
                break
            search.tell(number, judge(search, search.stints[number]))
    untold = [stint for stint in search.stints if not search.told(stint.number)]
    for stint in untold:
        if data.draw(st.booleans()):
            search.tell(stint.number, judge(search, stint))
    twin, same = search.twin(), search.twin()
    assert history(twin) == history(search)
    before = history(search)
    for stint in untold:
        if not twin.told(stint.number):
            twin.tell(stint.number, Outcome.of_fitness(0.0))
            same.tell(stint.number, judge(same, stint))
    run(twin, lambda search, stint: Outcome.of_fitness(-float(stint.number)))
    assert history(search) == before
    assert history(run(same)) == history(STRAIGHT)


def test_a_generation_is_as_much_training_as_its_size_in_full_ones() -> None:
    spent = 0.0
    for stint in STRAIGHT.stints:
        assert stint.generation == int((spent + 1e-9) // 4)
        assert stint.cost == pytest.approx({0: 1 / 9, 1: 2 / 9, 2: 6 / 9}[stint.rung])
        spent += stint.cost
    assert STRAIGHT.spent == pytest.approx(spent)
    assert 11 < spent <= 12 + 1e-9
    births = [stint for stint in STRAIGHT.stints if stint.rung == 0]
    assert [i.generation for i in STRAIGHT.born] == [stint.generation for stint in births]
    assert len(births) > 12


def test_with_one_rung_a_generation_is_so_many_births() -> None:
    search = run(search_of(Ladder((9.0,))))
    assert [stint.generation for stint in search.stints] == [0] * 4 + [1] * 4 + [2] * 4
    assert {stint.cost for stint in search.stints} == {1.0}


class Scripted:
    """Decides what it was told to."""

    blind = True

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = iter(decisions)

    def __call__(self, chronicle: Chronicle) -> Scripted:
        return self

    def take(self, stint: Stint) -> None:
        pass

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        pass

    def decide(self) -> Decision | None:
        return next(self.decisions, None)


def scripted(ladder: Ladder, *decisions: Decision, **changes: object) -> Search:
    settings = settings_of(**{"population_size": 2, "generations": 1, **changes})
    return Search(SPACE, settings, 7, ladder=ladder, strategy=Scripted(decisions))


def births(count: int) -> list[Offspring]:
    return [Offspring(SPACE.default().replace(depth=n), (), "sample") for n in range(count)]


def test_it_ends_when_all_is_spent() -> None:
    search = scripted(Ladder((1.0, 9.0)), *births(2), Promotion(0), Promotion(1), *births(9))
    assert len(run(search).stints) == 4
    assert search.spent == pytest.approx(2.0)
    assert (search.ended, search.exhausted, search.none_left) == (True, False, False)


def test_it_is_exhausted_when_what_is_next_does_not_fit_in_what_is_left() -> None:
    ladder = Ladder((1.0, 9.0))
    search = scripted(ladder, *births(3), Promotion(0), Promotion(1), *births(9))
    assert len(run(search).stints) == 4
    assert search.spent == pytest.approx(11 / 9)
    assert (search.ended, search.exhausted, search.none_left) == (True, True, False)
    assert search.ask() is None
    # With more to spend it goes on from there.
    more = scripted(ladder, *births(3), Promotion(0), Promotion(1), generations=2)
    assert [s.individual for s in run(more).stints] == [0, 1, 2, 0, 1]


def test_it_is_exhausted_when_nothing_is_left_to_train() -> None:
    search = scripted(LADDER, *births(2), generations=None)
    assert len(run(search).stints) == 2
    assert (search.ended, search.exhausted, search.none_left) == (True, True, True)


@pytest.mark.parametrize("ladder", [LADDER, Ladder((9.0,))])
def test_exhausted_and_withdrawn_it_goes_on(ladder: Ladder) -> None:
    search = Search(
        SearchSpace(a=Integer(0, 2)),
        settings_of(generations=None, lookahead=3),
        7,
        ladder=ladder,
        strategy=Climber,
    )
    while search.ask() is not None:
        pass
    # On rungs those in flight may yet be continued.
    assert search.none_left is (ladder is not LADDER)
    search.withdraw()
    assert (search.born, search.exhausted) == ([], False)
    run(search, lambda search, stint: Outcome.of_fitness(float(stint.individual)))
    assert sorted(int(i.genome["a"]) for i in search.born) == [0, 1, 2]


@pytest.mark.parametrize(
    ("decisions", "rung"),
    [
        ([*births(1), Promotion(0)], 1),  # not judged yet
        ([*births(2), Promotion(1), Promotion(1)], 2),
    ],
)
def test_only_who_was_judged_is_continued(decisions: list[Decision], rung: int) -> None:
    search = scripted(LADDER, *decisions, population_size=4)
    search.ask()
    if rung == 2:
        search.ask()
        search.tell(1, Outcome.of_fitness(1.0))
        search.ask()
    id = decisions[-1].individual  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=f"individual {id} cannot be continued to rung {rung}"):
        search.ask()


def test_nobody_is_continued_above_the_top() -> None:
    search = scripted(Ladder((1.0, 3.0)), *births(1), Promotion(0), Promotion(0))
    for number in range(2):
        search.ask()
        search.tell(number, Outcome.of_fitness(1.0))
    with pytest.raises(ValueError, match="cannot be continued to rung 2"):
        search.ask()


@pytest.mark.parametrize(
    ("id", "rung", "message"),
    [
        (5, 0, "go from individual 2 to 5: run `evoft fsck`"),
        (1, 0, "go from individual 2 to 1: run `evoft fsck`"),
        (3, 1, "individual 3 to rung 1, but the next that it can be judged on is 0 of 0 to 2"),
        (0, 2, "individual 0 to rung 2, but the next that it can be judged on is 1 of 0 to 2"),
    ],
)
def test_records_that_do_not_follow_are_refused(id: int, rung: int, message: str) -> None:
    search = search_of()
    for individual in STRAIGHT.born[:3]:
        search.restore(individual.unjudged)
    with pytest.raises(PopulationMismatchError, match=re.escape(message)):
        search.restore(STRAIGHT.born[id].unjudged, rung)


def test_records_above_the_top_are_refused() -> None:
    search = search_of(Ladder((9.0,)))
    search.restore(STRAIGHT.born[0].unjudged)
    with pytest.raises(PopulationMismatchError, match=r"rung 1, but the next .* is 1 of 0"):
        search.restore(STRAIGHT.born[0].unjudged, 1)


def test_the_born_show_what_each_rung_gave() -> None:
    search = scripted(LADDER, *births(1), Promotion(0), Promotion(0))
    seen: list[Individual] = []
    for number in range(3):
        search.ask()
        search.tell(number, Outcome.of_fitness(float(number)))
        seen.append(search.born[0])
    assert [i.rung for i in seen] == [0, 1, 2]
    assert [i.fitness for i in seen] == [0.0, 1.0, 2.0]
    assert [o.fitness for o in seen[-1].earlier] == [0.0, 1.0]
    assert seen[-1].unjudged == seen[0].unjudged
