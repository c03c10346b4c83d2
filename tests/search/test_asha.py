"""ASHA against Algorithm 2 of its paper, read word by word."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoft.individual import Individual
from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.search.clock import Clock
from evoft.search.genes import Float
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.seeds import derive
from evoft.settings import SearchSettings
from evoft.testing.trace import straight

SPACE = SearchSpace(x=Float(0, 1))


def get_job(
    judged: list[dict[int, float]], promoted: list[set[int]], eta: int
) -> tuple[int, int] | None:
    """Return who is promoted and whereto (Li et al. 2020, Algorithm 2); None: grow the bottom rung.

    Args:
        judged: Of each rung, the score of each configuration that has ended there.
        promoted: Of each rung, whom a job was given out for there.
        eta: The reduction factor.
    """
    for k in reversed(range(len(judged) - 1)):
        scores = judged[k]
        candidates = sorted(scores, key=lambda id: (-scores[id], id))[: len(scores) // eta]
        for t in candidates:
            if scores[t] > -float("inf") and t not in promoted[k + 1]:
                return t, k + 1
    return None


def check_by_the_paper(search: Search, places: int, eta: int) -> None:
    """Check each decision of a search that has ended against the algorithm."""
    clock = Clock(places)
    judged: list[dict[int, float]] = [{} for _ in search.ladder.rungs]
    promoted: list[set[int]] = [set() for _ in search.ladder.rungs]
    newborn = 0
    for stint in search.stints:
        for number in clock.ended():
            ended = search.stints[number]
            judged[ended.rung][ended.individual] = score(search, ended)
        expected = get_job(judged, promoted, eta)
        if expected is None:
            expected = (newborn, 0)
            newborn += 1
        assert (stint.individual, stint.rung) == expected
        promoted[stint.rung].add(stint.individual)
        clock.start(stint)


def score(search: Search, stint: Stint) -> float:
    individual = search.born[stint.individual]
    outcomes = (*individual.earlier, individual.outcome)
    found = outcomes[stint.rung]
    assert found is not None
    return found.score


def noisy(stint: Stint, individual: Individual) -> Outcome:
    if derive(individual.seed, "fail", stint.rung) % 6 == 0:
        return Outcome(Status.DIVERGED, fitness=99.0)
    noise = derive(individual.seed, "noise", stint.rung) / 2**63
    return Outcome.of_fitness(float(individual.genome["x"]) + noise)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(0, 3), st.integers(0, 9), st.integers(0, 2**32))
def test_each_decision_is_that_of_the_algorithm(
    eta: int, top: int, lookahead: int, seed: int
) -> None:
    how = SearchSettings(strategy="asha", population_size=10, generations=2, lookahead=lookahead)
    ladder = Ladder(tuple(float(eta**k) for k in range(top + 1)))
    search = straight(Search(SPACE, how, seed, ladder=ladder), noisy)
    assert len(search.stints) >= 20
    check_by_the_paper(search, lookahead + 1, eta)


def test_the_first_promotions() -> None:
    how = SearchSettings(strategy="asha", population_size=5, generations=1, lookahead=0)
    search = Search(SPACE, how, 0, ladder=Ladder((1.0, 3.0, 9.0)))
    scores = [0.1, 0.9, 0.5, 0.2, 0.3, 0.95, 0.8, 0.4, 0.05]
    straight(search, lambda stint, i: Outcome.of_fitness(scores[i.id % 9]))
    stints = [(s.individual, s.rung) for s in search.stints]
    # One of three, then the second of six, the third of nine, and at last one of those three.
    assert stints[:13] == [
        (0, 0), (1, 0), (2, 0), (1, 1),
        (3, 0), (4, 0), (5, 0), (5, 1),
        (6, 0), (7, 0), (8, 0), (6, 1), (5, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("lookahead", [0, 4])
def test_who_failed_counts_on_its_rung_and_is_never_promoted(lookahead: int) -> None:
    def most_fail(stint: Stint, individual: Individual) -> Outcome:
        return noisy(stint, individual) if individual.id % 4 == 0 else Outcome(Status.TIMED_OUT)

    how = SearchSettings(strategy="asha", population_size=10, generations=2, lookahead=lookahead)
    search = straight(Search(SPACE, how, 3, ladder=Ladder((1.0, 2.0, 4.0))), most_fail)
    continued = {s.individual for s in search.stints if s.rung}
    assert continued
    assert all(id % 4 == 0 for id in continued)
