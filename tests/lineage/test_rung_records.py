"""Individuals on several rungs: who they are, which generations are complete, and what damage does.

A strategy that climbs runs through the real loop; whatever it leaves behind is read again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import content

import evoft
from evoft.errors import PopulationFileError
from evoft.evolution import Evolution
from evoft.header import Header
from evoft.individual import Generation, Individual, best_of
from evoft.lineage import Population, Record, Store, check, repair
from evoft.lineage.generations import MISSING, generations_of, individuals_of
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.search.chronicle import Chronicle
from evoft.search.search import Search
from evoft.search.stint import Decision, Offspring, Promotion, Stint
from evoft.seeds import generator
from evoft.settings import Settings
from evoft.trial import Stage, Trial

SPACE = evoft.SearchSpace(x=evoft.Float(0.0, 1.0), kind=evoft.Choice(["a", "b"]))


class Climber:
    """Bears two and then continues the best that can be, over and over."""

    def __init__(self, chronicle: Chronicle) -> None:
        self.chronicle = chronicle
        self.scores: dict[int, float] = {}  # of those that wait on a rung

    @property
    def blind(self) -> bool:
        return not self.chronicle.stints

    def take(self, stint: Stint) -> None:
        self.scores.pop(stint.individual, None)

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        if outcome.score > -math.inf and stint.rung < self.chronicle.ladder.top:
            self.scores[stint.individual] = outcome.score

    def decide(self) -> Decision | None:
        number = len(self.chronicle.stints)
        if number % 3 == 2 and self.scores:
            return Promotion(max(self.scores, key=lambda id: (self.scores[id], -id)))
        rng = generator(self.chronicle.seed, "breed", number)
        parents = tuple(sorted(self.scores)[-2:])
        return Offspring(SPACE.sample(rng), parents, "crossover" if parents else "sample", 0.25)


def judge(trial: Trial) -> Outcome:
    """Fall and rise from rung to rung; fail here and there."""
    if trial.individual % 9 == 7:
        return Outcome(Status.DIVERGED, reason="it would not")
    chance = random.Random(trial.seed)
    scores = [chance.random() for _ in range(trial.rung + 1)]
    curve = tuple(CurvePoint(float(r), {"loss": 1.0 - s}) for r, s in enumerate(scores))
    return Outcome(Status.OK, scores[-1], curve=curve, seconds=chance.random())


@pytest.fixture
def climbing() -> Settings:
    """Settings whose ladder has the rungs 1, 3 and 9."""
    search = evoft.SearchSettings(population_size=2, generations=4, lookahead=1, epochs=9)
    return Settings(seed=3, search=search)


def evolution(path: Path, settings: Settings) -> Evolution:
    ladder = settings.ladder(fine_tuning=False)
    assert ladder.rungs == (1.0, 3.0, 9.0)
    header = Header("run", "now", settings.seed, settings.to_dict(), SPACE.to_dict())
    store = Store.open(path) if path.exists() else Store.create(path, header)
    search = Search(SPACE, settings.search, settings.seed, ladder=ladder, strategy=Climber)
    return Evolution(search, store)


def run(
    path: Path, settings: Settings, stop: int | None = None, order: random.Random | None = None
) -> list[Generation]:
    """Run to the end, or until so many trials were told; the youngest may end first."""
    shown, waiting = [], []
    with evolution(path, settings) as mine:
        while stop is None or stop > 0:
            while (trial := mine.next()) is not None:
                waiting.append(trial)
            shown += list(mine.complete())
            if not waiting:
                break
            trial = waiting.pop(order.randrange(len(waiting)) if order else 0)
            mine.tell(trial, judge(trial))
            stop = None if stop is None else stop - 1
    return shown


@pytest.fixture
def straight(tmp_path: Path, climbing: Settings) -> Path:
    """A population that was run to its end, one trial after the other."""
    path = tmp_path / "straight.h5"
    run(path, climbing)
    return path


def test_a_population_shows_individuals_on_their_highest_rungs(straight: Path) -> None:
    population = Population.open(straight)
    assert population.on_rungs
    rungs = [individual.rung for individual in population]
    assert set(rungs) == {0, 1, 2}
    assert len(population.records) == sum(rungs) + len(rungs)
    for individual in population:
        trials = population.trials(individual.id)
        assert [record.trial.rung for record in trials] == list(range(individual.rung + 1))
        assert (*individual.earlier, individual.outcome) == tuple(r.outcome for r in trials)
        assert [population.epochs(r.trial) for r in trials] == [1.0, 3.0, 9.0][: len(trials)]
        assert all(r.birth == individual.unjudged for r in trials)
        assert individual.step == 0.25
    numbers = sorted(record.trial.number for record in population.records.values())
    assert numbers == list(range(len(numbers)))
    scores = {i.id: i.score for i in population}
    assert population.best is population[max(scores, key=lambda id: (scores[id], -id))]


def test_the_generations_of_a_file_are_those_that_were_shown(
    tmp_path: Path, climbing: Settings
) -> None:
    shown = run(tmp_path / "a.h5", climbing)
    population = Population.open(tmp_path / "a.h5")
    assert repr(list(population.generations)) == repr(shown)  # in which NaN equals NaN
    assert [g.index for g in shown] == [0, 1, 2, 3]
    births = [i.id for g in shown for i in g.individuals]
    assert births == list(range(len(births)))
    assert any(g.continued for g in shown)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_depends_on_who_ends_first(
    tmp_path: Path, climbing: Settings, straight: Path, seed: int
) -> None:
    shown = run(tmp_path / "a.h5", climbing, order=random.Random(seed))
    assert content(tmp_path / "a.h5") == content(straight)
    assert repr(shown) == repr(list(Population.open(straight).generations))


def test_stopped_after_any_trial_it_ends_the_same(
    tmp_path: Path, climbing: Settings, straight: Path
) -> None:
    generations = Population.open(straight).generations
    count = len(Population.open(straight).records)
    assert count > 20
    for stop in range(1, count, 5):
        path = tmp_path / f"{stop}.h5"
        before = run(path, climbing, stop, random.Random(stop))
        after = run(path, climbing)
        assert content(path) == content(straight)
        for generation in (*before, *after):
            assert repr(generation) == repr(generations[generation.index])


def by_key(population: Population) -> list[Record]:
    return [population.records[key] for key in sorted(population.records)]


def without_line_of(journal: Path, key: tuple[Stage, int, int]) -> None:
    """Alter the line of a trial."""
    lines = journal.read_bytes().splitlines(keepends=True)
    mark = b'"individual":%d,"repeat":0,"rung":%d,' % key[1:]
    (found,) = [i for i, line in enumerate(lines) if mark in line and b'"search"' in line]
    lines[found] = lines[found].replace(b'"rung"', b'"gnur"')
    journal.write_bytes(b"".join(lines))


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_lower_rung_is_said_and_costs_no_other(
    climbing: Settings, straight: Path, lost: int
) -> None:
    before, expected = Population.open(straight), content(straight)
    top = next(i for i in before if i.rung == 2)
    key = (Stage.SEARCH, top.id, lost)
    without_line_of(straight.with_suffix(".journal"), key)
    straight.unlink()
    done = repair(straight)
    words = f"individual {top.id} was judged on rung 2, but its record of rung {lost} is lost"
    for findings in (done, check(straight)):
        (said,) = [f for f in findings if words in f.what]
        assert (said.severity, "evoft resume" in said.way_out) == ("warning", True)
    after = Population.open(straight)
    kept = [record for record in by_key(before) if record.key != key]
    assert repr(by_key(after)) == repr(kept)
    mended = after[top.id]
    assert (mended.rung, mended.outcome, mended.step) == (2, top.outcome, top.step)
    assert mended.earlier[lost] is MISSING
    assert mended.earlier[1 - lost] == top.earlier[1 - lost]
    assert len(after.trials(top.id)) == 2
    assert after.recipe(top.id) == before.recipe(top.id)
    number = before.records[key].trial.number
    asked = before.records[key].trial.generation
    assert [g.index for g in after.generations] == [g.index for g in before.generations][:asked]
    run(straight, climbing)
    assert content(straight) == expected
    assert {finding.severity for finding in check(straight)} == {"ok"}
    assert Population.open(straight).records[key].trial.number == number


def test_an_individual_of_a_lost_birth_keeps_its_facts(header: Header, search_record: Any) -> None:
    high = search_record(4, rung=2, number=9, asked=3)
    (individual,) = individuals_of([high])
    assert individual.earlier == (MISSING, MISSING)
    assert (individual.outcome, individual.rung) == (high.outcome, 2)
    population = Population.of(header, {high.key: high})
    assert population.recipe(4) == high.recipe
    assert population.trials(4) == (high,)
    with pytest.raises(PopulationFileError):
        population.trials(5)


def test_the_best_so_far_may_fall_and_hand_over(search_record: Any) -> None:
    header = Header("run", "now", 0, {"search": {"population_size": 2}})
    records = [
        search_record(0, 0.9, number=0, generation=0),
        search_record(1, 0.8, number=1, generation=0),
        search_record(0, 0.5, number=2, generation=0, asked=1, rung=1),
        search_record(2, 0.1, number=3, generation=1),
        search_record(3, 0.2, number=4, generation=1),
    ]
    first, second = generations_of(records, header, individuals_of(records))
    assert [g.best_so_far.id for g in (first, second) if g.best_so_far] == [0, 1]
    assert first.individuals[0].score == 0.9
    assert (second.continued, [i.id for i in second.individuals]) == ((0,), [2, 3])


def as_schema_1_told(individuals: Iterable[Individual], size: int) -> list[tuple[Any, ...]]:
    """Return the generations as evoft told them before there were rungs."""
    births: dict[int, list[Individual]] = {}
    for individual in individuals:
        births.setdefault(individual.generation, []).append(individual)
    complete: list[tuple[Any, ...]] = []
    best: Individual | None = None
    for index in sorted(births):
        born = births[index]
        if len(born) < size or index != len(complete):  # one that is not there is not complete
            break
        best = best_of([best, *born] if best else born)
        complete.append((index, tuple(born), best, ()))
    return complete


@given(
    size=st.integers(1, 4),
    scores=st.lists(st.none() | st.sampled_from([0.1, 0.2, 0.3, math.nan]), max_size=14),
    chance=st.randoms(use_true_random=False),
)
def test_without_rungs_generations_are_what_they_were(
    size: int, scores: list[float | None], chance: random.Random
) -> None:
    records = []
    for id, score in enumerate(scores):
        if score is None:  # not ended
            continue
        genome = evoft.Genome(x=id)
        birth = Individual(id, id // size, (), "sample", genome, id)
        trial = Trial(id, genome, id, number=id, generation=id // size)
        records.append(Record(trial, Outcome.of_fitness(score), birth, None, 0.0))
    chance.shuffle(records)
    header = Header("run", "now", 0, {"search": {"population_size": size}})
    told = [
        (g.index, g.individuals, g.best_so_far, g.continued)
        for g in generations_of(records, header, individuals_of(records))
    ]
    assert repr(told) == repr(as_schema_1_told(individuals_of(records), size))


def test_a_higher_rung_with_a_recipe_of_its_own_keeps_it(
    tmp_path: Path, header: Header, search_record: Any
) -> None:
    low = search_record(0, number=0)
    others = [replace(search_record(0, rung=r, number=r), recipe=recipe)
              for r, recipe in ((1, {"model": "other"}), (2, None), (3, low.recipe))]  # fmt: skip
    path = tmp_path / "digits.h5"
    with Store.create(path, header) as store:
        for record in (*others, low):
            store.append(record)
    path.with_suffix(".journal").unlink()
    population = Population.open(path)
    recipes = [record.recipe for record in population.trials(0)]
    assert recipes == [low.recipe, {"model": "other"}, None, low.recipe]
