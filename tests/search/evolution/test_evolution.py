"""The evolution: one lineage whatever the workers do, on rungs or on one; better than chance."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscape import LADDER, SPACE, curve, quality
from numpy.random import Generator
from sequences import sobol
from strategies import spaces

from evoft.audit import agreements, is_audited
from evoft.genome import Genome
from evoft.individual import Individual
from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.search.chronicle import Chronicle
from evoft.search.evolution import algorithm
from evoft.search.evolution.algorithm import Evolution, _Field
from evoft.search.evolution.brood import Breeding, Brood, Parent, breed
from evoft.search.evolution.encoding import Array, Indices
from evoft.search.evolution.tuning import Tuning
from evoft.search.genes import Choice, Float
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.search.stint import Stint
from evoft.settings import SearchSettings

#: The same, and where somebody says what is good.
SPACES = {
    "silent": SPACE,
    "stated": SearchSpace({**SPACE, "decay": Float(0.0, 1.0, default=0.6)}),
}
SMALL = Tuning(breeding=Breeding(size=24))
Score = Callable[[Genome, float], float]


def outcome_of(search: Search, stint: Stint, score: Score = curve) -> Outcome:
    """Return the outcome of a stint; every seventh individual fails on its second rung."""
    if stint.individual % 7 == 6 and stint.rung == 1:
        return Outcome(Status.DIVERGED, reason="it would not")
    genome = search.born[stint.individual].genome
    return Outcome.of_fitness(score(genome, search.ladder.rungs[stint.rung]))


def search_of(
    seed: int = 7,
    *,
    ladder: Ladder = LADDER,
    tuning: Tuning = SMALL,
    space: SearchSpace = SPACE,
    named: dict[str, dict[str, object]] | None = None,
    **changes: object,
) -> Search:
    options = SearchSettings(
        **{"strategy": "evolution", "population_size": 6, "generations": 1, **changes}  # type: ignore[arg-type]
    )

    def made(chronicle: Chronicle) -> Evolution:
        return Evolution(chronicle, tuning=tuning)

    return Search(space, options, seed, ladder=ladder, strategy=made, named=named)  # type: ignore[arg-type]


def run(search: Search, score: Score = curve) -> Search:
    """Tell each outcome at once."""
    while (stint := search.ask()) is not None:
        search.tell(stint.number, outcome_of(search, stint, score))
    assert search.ended
    return search


def lineage(search: Search) -> tuple[list[Stint], list[Individual]]:
    """Return all that must be the same to the bit: the stints, and who was born as what."""
    return search.stints, search.born


@functools.cache
def straight(lookahead: int = 2, space: str = "silent") -> tuple[list[Stint], list[Individual]]:
    return lineage(run(search_of(lookahead=lookahead, space=SPACES[space])))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("lookahead", "seed"), [(0, 0), (2, 1), (2, 2), (4, 3)])
def test_outcomes_told_in_any_order_give_the_same_lineage(
    lookahead: int, seed: int, space: str
) -> None:
    search = search_of(lookahead=lookahead, space=SPACES[space])
    rng = np.random.default_rng(seed)
    waiting: list[Stint] = []
    while True:
        stint = search.ask() if not waiting or rng.random() < 0.5 else None
        if stint is not None:
            waiting.append(stint)
        elif waiting:
            one = waiting.pop(int(rng.integers(len(waiting))))
            search.tell(one.number, outcome_of(search, one))
        else:
            break
    assert lineage(search) == straight(lookahead, space)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("share", "missing"), [(0.1, 0), (0.3, 3), (0.6, 1), (0.9, 2), (1.0, 0)])
def test_restored_and_continued_equals_straight_through(
    share: float, missing: int, space: str
) -> None:
    stints, born = straight(space=space)
    kept = round(share * len(stints))
    search = search_of(lookahead=2, space=SPACES[space])
    for stint in stints[:kept]:
        search.restore(born[stint.individual].unjudged, stint.rung)
    # The youngest were in flight when the run was killed: they are taken back.
    for stint in stints[: max(kept - missing, 0)]:
        search.tell(stint.number, outcome_of(search, stint))
    search.withdraw()
    assert lineage(run(search)) == (stints, born)


def test_a_seed_gives_one_lineage_and_another_seed_another() -> None:
    assert lineage(run(search_of(lookahead=2))) == straight()
    assert lineage(run(search_of(8, lookahead=2)))[1] != straight()[1]


def test_the_lineage_is_a_genetic_algorithms_on_rungs() -> None:
    stints, born = straight()
    operators = [individual.operator for individual in born]
    assert operators[:6] == ["default", *["sample"] * 5]
    assert len(set(operators)) >= 5
    assert set(operators) <= {
        "default", "sample", "crossover", "crossover+mutation", "differential", "mutation",
        "resampling", "immigrant",
    }  # fmt: skip
    for individual in born:
        assert 0.0 < individual.step <= 0.5
        assert len(individual.parents) <= 2
        assert all(parent < individual.id for parent in individual.parents)
        alone = individual.operator in {"default", "sample", "immigrant"}
        assert bool(individual.parents) != alone
    assert {individual.step for individual in born[:6]} == {0.2}
    assert len({individual.step for individual in born[6:]}) > 3
    assert {stint.rung for stint in stints} == {0, 1, 2}
    assert len({tuple(SPACE.phenotype(i.genome).items()) for i in born}) == len(born)


@pytest.mark.parametrize("lookahead", [0, 3])
def test_a_stated_default_climbs_first_and_without_a_rest(lookahead: int) -> None:
    stints, _ = straight(lookahead, "stated")
    # The others are born meanwhile, as many as there is room for.
    climbs = [(stint.number, stint.individual) for stint in stints if stint.rung]
    assert climbs[0] == (lookahead + 1, 0)
    assert next(stint.individual for stint in stints if stint.rung == 2) == 0
    if not lookahead:
        assert [stint.individual for stint in stints[:4]] == [0, 0, 0, 1]
    silent, _ = straight(lookahead)
    assert [stint.rung for stint in silent[:6]] == [0] * 6


@pytest.mark.parametrize("space", SPACES)
def test_where_nobody_climbs_all_founders_are_born_without_waiting(space: str) -> None:
    search = search_of(lookahead=1, space=SPACES[space], ladder=Ladder())
    stints = [search.ask() for _ in range(6)]
    assert all(stint is not None and stint.rung == 0 for stint in stints)


def test_of_a_stated_default_that_fails_the_others_are_founders_as_ever() -> None:
    search = search_of(lookahead=0, space=SPACES["stated"])
    while (stint := search.ask()) is not None:
        fails = stint.individual == 0 and stint.rung == 1
        outcome = Outcome(Status.DIVERGED) if fails else outcome_of(search, stint)
        search.tell(stint.number, outcome)
    assert [(s.individual, s.rung) for s in search.stints[:7]] == [
        (0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0),
    ]  # fmt: skip


def test_nobody_is_continued_after_a_failure() -> None:
    search = search_of(lookahead=2)
    while (stint := search.ask()) is not None:
        bad = stint.rung == 1 and stint.individual % 2
        outcome = Outcome(Status.DIVERGED) if bad else outcome_of(search, stint)
        search.tell(stint.number, outcome)
    failed = [i for i in search.born if i.status is Status.DIVERGED]
    assert len(failed) >= 2
    assert {individual.rung for individual in failed} == {1}


def test_it_spends_what_there_is_and_never_more() -> None:
    search = run(search_of(lookahead=0))
    assert 6 - LADDER.cost(0) < search.spent <= 6 + 1e-9


def test_those_in_flight_are_never_continued_and_no_rung_is_left_out() -> None:
    search = search_of(lookahead=4)
    waiting: list[Stint] = []
    most = 0
    while (stint := search.ask()) is not None or waiting:
        if stint is None:
            one = waiting.pop()
            search.tell(one.number, outcome_of(search, one))
            continue
        assert stint.individual not in {other.individual for other in waiting}
        waiting.append(stint)
        most = max(most, len(waiting))
    assert most == 6  # the founders are born without waiting; then four ahead and itself


def test_all_named_founders_are_born_first_and_a_small_space_is_born_whole() -> None:
    named = {f"founder {i}": {"decay": 0.1 * i} for i in range(5)}
    search = run(search_of(named=named, tuning=Tuning(founders=4)))
    assert [i.operator for i in search.born[:8]] == ["default", *named, "sample", "sample"]
    tiny = SearchSpace(opt=Choice(["a", "b", "c"]), deep=Choice([False, True]))
    search = run(search_of(space=tiny, lookahead=0, population_size=20), lambda g, e: e)
    assert len({individual.genome for individual in search.born}) == len(search.born) == 6
    assert search.exhausted
    assert [i.rung for i in search.born if i.status is Status.OK] == [2] * 6


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.LOST])
def test_where_all_fail_strangers_go_on_being_born(status: Status) -> None:
    search = search_of(generations=1, ladder=Ladder())
    while (stint := search.ask()) is not None:
        search.tell(stint.number, Outcome(status, reason="it would not"))
    assert len(search.born) == 6
    assert search.ended
    search = search_of(generations=4, ladder=Ladder())
    while (stint := search.ask()) is not None:
        bad = stint.number < 12
        outcome = Outcome(status) if bad else outcome_of(search, stint)
        search.tell(stint.number, outcome)
    operators = [individual.operator for individual in search.born]
    assert operators[6:12] == ["immigrant"] * 6
    assert {"mutation", "crossover", "differential", "crossover+mutation"} & set(operators[16:])


@settings(max_examples=10, deadline=None)
@given(spaces(most=4), st.integers(0, 2**32), st.sampled_from([Ladder(), Ladder((1.0, 4.0))]))
def test_any_space_can_be_searched(space: SearchSpace, seed: int, ladder: Ladder) -> None:
    def score(genome: Genome, epochs: float) -> float:
        units = [gene.unit(genome[name]) for name, gene in space.items()]
        return epochs - sum((unit - 0.3) ** 2 for unit in units)

    search = run(search_of(seed, space=space, ladder=ladder, population_size=5, lookahead=1), score)
    assert len({tuple(map(repr, space.phenotype(i.genome).items())) for i in search.born}) == len(
        search.born
    )
    for individual in search.born:
        assert space.check(individual.genome) == individual.genome


def test_the_audited_climb_whatever_their_score() -> None:
    search = run(search_of(lookahead=0, ladder=Ladder((1.0, 2.0, 40.0))))
    sample = [i for i in search.born if is_audited(7, i.id) and i.id >= 6]
    climbed = [i for i in sample if i.rung >= 1]
    assert len(sample) >= 4
    assert climbed[:4] == sample[:4]
    # Of the others, some are left where they are.
    assert any(i.rung == 0 for i in search.born if not is_audited(7, i.id))


def test_a_lowest_rung_that_says_nothing_is_given_up() -> None:
    def deceptive(genome: Genome, epochs: float) -> float:
        return quality(genome) * (-1.0 if epochs == 1.0 else 1.0)

    # It is given up on eight audited, one in five births, so more than forty must be paid for.
    search = search_of(lookahead=0, population_size=20, ladder=Ladder((1.0, 2.0, 50.0)))
    since = 0
    while (stint := search.ask()) is not None:
        genome = search.born[stint.individual].genome
        score = deceptive(genome, search.ladder.rungs[stint.rung])
        search.tell(stint.number, Outcome.of_fitness(score))
        if not since and agreements(search.born, 7, 3)[0].is_low:
            since = len(search.born)
    assert 0 < since < len(search.born) - 3
    assert any(i.rung == 0 for i in search.born[:since])
    assert all(i.rung >= 1 for i in search.born[since:-1])


def best_found(search: Search) -> float:
    """Return the true quality of whoever looked best."""
    best = max(search.born, key=lambda i: i.score)
    return quality(best.genome)


def test_it_beats_random_search_by_far_at_equal_cost() -> None:
    """Of five seeds the middle one is a tenth as far from the best; a third is asked for."""
    found, chance = [], []
    for seed in range(5):
        tuning = Tuning(breeding=Breeding(size=50))
        search = search_of(
            seed, tuning=tuning, ladder=Ladder((1.0, 3.0, 9.0)), lookahead=0, population_size=15
        )
        while (stint := search.ask()) is not None:
            genome = search.born[stint.individual].genome
            score = curve(genome, search.ladder.rungs[stint.rung])
            search.tell(stint.number, Outcome.of_fitness(score))
        found.append(best_found(search))
        chance.append(max(map(quality, sobol(SPACE, 15, seed))))
    assert np.median(found) > np.median(chance) / 3


def test_no_twins_are_bred() -> None:
    """Where little is left to gain, twins of the best would be born without end."""
    slope = SearchSpace(x=Float(0.0, 1.0), y=Float(0.0, 1.0))
    search = Search(
        slope, SearchSettings(population_size=12, generations=1, lookahead=0), 1, ladder=LADDER
    )
    while (stint := search.ask()) is not None:
        x, y = search.born[stint.individual].genome.values()
        search.tell(stint.number, Outcome.of_fitness(float(x) + float(y)))
    places = np.array([[*individual.genome.values()] for individual in search.born], dtype=float)
    bred = [i for i, individual in enumerate(search.born) if individual.parents]
    assert len(bred) > 5
    gaps = [np.abs(places[:i] - places[i]).max(axis=1).min() for i in bred]
    assert min(gaps) > 0.0099


class Watched(Evolution):
    """Keeps what stood before the referee at each decision."""

    def __init__(self, chronicle: Chronicle, tuning: Tuning) -> None:
        super().__init__(chronicle, tuning=tuning)
        self.paused: list[tuple[list[int], list[int], list[int]]] = []

    def _field(self, alive: Indices, scores: Array, promises: Array, rng: Generator) -> _Field:
        field = super()._field(alive, scores, promises, rng)
        waiting = [self._knowledge.is_waiting(id) for id in alive.tolist()]
        by_promise, by_score = (
            [id for id in alive[np.argsort(-by, kind="stable")].tolist()
             if waiting[alive.tolist().index(id)]]
            for by in (promises, scores)
        )  # fmt: skip
        self.paused.append((field.paused.tolist(), by_promise, by_score))
        return field


def test_who_is_uncertain_is_not_forgotten_for_those_of_higher_scores() -> None:
    """Else each would be born, judged on a rung that tells little, and never be continued."""
    made: list[Watched] = []

    def watched(chronicle: Chronicle) -> Watched:
        made.append(Watched(chronicle, Tuning(breeding=Breeding(size=24), paused=3)))
        return made[-1]

    options = SearchSettings(population_size=12, generations=1, lookahead=0)
    run(Search(SPACE, options, 7, ladder=LADDER, strategy=watched))
    assert all(paused == by_promise[:3] for paused, by_promise, _ in made[0].paused)
    assert any(set(paused) != set(by_score[:3]) for paused, _, by_score in made[0].paused)


def test_no_two_parents_are_of_one_niche(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where little is left to gain, the best are one family."""
    families: list[np.ndarray] = []

    def seen(box: Any, breeding: Breeding, living: Sequence[Parent], *rest: Any) -> Brood:
        families.append(np.array([parent.units for parent in living]))
        return breed(box, breeding, living, *rest)

    monkeypatch.setattr(algorithm, "breed", seen)
    slope = SearchSpace(x=Float(0.0, 1.0), y=Float(0.0, 1.0))
    settings = SearchSettings(population_size=20, generations=1, lookahead=0)
    search = Search(slope, settings, 1, ladder=LADDER)
    while (stint := search.ask()) is not None:
        x, y = search.born[stint.individual].genome.values()
        search.tell(stint.number, Outcome.of_fitness(float(x) + float(y)))
    places = np.array([[*individual.genome.values()] for individual in search.born], dtype=float)

    def least_gap(units: np.ndarray) -> float:
        gaps = [np.abs(units[:i] - units[i]).max(axis=1).min() for i in range(1, len(units))]
        return min(gaps, default=1.0)

    assert len(families) > 20
    assert least_gap(places) < 0.04
    assert min(map(least_gap, families)) > 0.0499


def test_parts_can_be_taken_away() -> None:
    lineages = []
    for changes in (
        {}, {"referee": False}, {"worth": "plain"}, {"thrift": 1.0}, {"schooling": 2.5},
        {"founders": 4}, {"incumbent": "observed"}, {"loyalty": 3.0}, {"incumbent": "both"},
    ):  # fmt: skip
        tuning = Tuning(breeding=Breeding(size=24), **changes)  # type: ignore[arg-type]
        search = run(search_of(lookahead=0, population_size=4, tuning=tuning))
        lineages.append([(s.individual, s.rung, search.born[s.individual].genome)
                         for s in search.stints])  # fmt: skip
    assert all(one != lineages[0] for one in lineages[1:-1])


class Faith:
    """A belief that the decay is high, with a weight."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def sample(self, rng: np.random.Generator) -> Genome:
        return SPACE.sample(rng).replace(decay=float(rng.uniform(0.95, 1.0)))

    def log_density(self, genomes: object) -> np.ndarray:
        return np.array([-10.0 * (1.0 - float(g["decay"])) for g in genomes])  # type: ignore[attr-defined]


def test_a_prior_guides_at_first_and_is_forgotten() -> None:
    def bred(weight: float, seed: int) -> tuple[float, float]:
        settings = SearchSettings(population_size=6, generations=7, lookahead=0)
        faith = Faith(weight)
        search = Search(
            SPACE, settings, seed, strategy=lambda c: Evolution(c, tuning=SMALL, prior=faith)
        )
        decays = [float(i.genome["decay"]) for i in run(search).born[6:]]
        return float(np.mean(decays[:6])), float(np.mean(decays[-6:]))

    # One seed may find a way to live with a bad belief: the middle one of five must not.
    believing, plain = [[bred(weight, seed) for seed in range(5)] for weight in (20.0, 0.0)]
    assert np.median(believing, axis=0)[0] > np.median(plain, axis=0)[0] + 0.1
    assert abs(np.median(believing, axis=0)[1] - 0.3) < 0.25


def test_the_cached_referee_is_that_of_the_records() -> None:
    whole = run(search_of(lookahead=0))
    stints, born = lineage(whole)
    for kept in itertools.islice(range(len(stints)), 20, None, 25):
        search = search_of(lookahead=0)
        for stint in stints[:kept]:
            search.restore(born[stint.individual].unjudged, stint.rung)
            search.tell(stint.number, outcome_of(search, stint))
        decided = search.ask()
        assert decided == stints[kept]
        assert search.born[decided.individual].genome == born[decided.individual].genome
