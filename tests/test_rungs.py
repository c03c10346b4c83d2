"""Rungs through the library: what a fitness function sees, what is yielded, and what is final."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from climbing import install
from running import content, lineage

import evoft
from evoft.errors import PopulationMismatchError, SettingsError
from evoft.ledger import Memory
from evoft.lineage import Record, Store
from evoft.run import drive, final_trials, finalists
from evoft.trial import Stage, Trial
from evoft.workers.inline import InlineWorkers

SPACE = evoft.SearchSpace(x=evoft.Float(0.0, 1.0), kind=evoft.Choice(["a", "b"]))


@pytest.fixture(autouse=True)
def _climber(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch.setattr)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """Get better with the epochs, the nearer ``x`` is to 0.3; end out of order, fail at times."""
    assert trial.epochs is not None
    time.sleep(trial.seed % 4 * 0.001)
    if trial.individual % 7 == 5 and trial.rung == trial.individual % 2:
        raise ValueError("it would not")
    trial.report(trial.epochs, rung=trial.rung)
    return math.log(trial.epochs) - abs(float(genome["x"]) - 0.3) * trial.epochs


def options(**changes: Any) -> dict[str, Any]:
    return {"strategy": "climber", "epochs": 9, "generations": 3, "population_size": 4, **changes}


def run(**changes: Any) -> list[evoft.Generation]:
    return list(evoft.evolve(fitness, SPACE, **options(**changes)))


def test_a_fitness_sees_its_rung_and_its_epochs(tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    folder.mkdir()

    def seeing(genome: evoft.Genome, trial: evoft.Trial) -> float:
        seen = {"epochs": trial.epochs, "seed": trial.seed, "genome": dict(genome)}
        name = f"{trial.stage}-{trial.individual}-{trial.rung}"
        (folder / f"{name}-{trial.repeat}").write_text(json.dumps(seen))
        return fitness(genome, trial)

    search = evoft.SearchSettings(finalists=2, repeats=2)
    file = tmp_path / "mine.h5"
    list(evoft.evolve(seeing, SPACE, **options(workers=2, search=search, file=file)))
    seen = {p.name: json.loads(p.read_text()) for p in folder.iterdir()}
    rungs = {name: one["epochs"] for name, one in seen.items() if name.startswith("search")}
    assert {name.split("-")[2]: epochs for name, epochs in rungs.items()} == {
        "0": 1.0, "1": 3.0, "2": 9.0,
    }  # fmt: skip
    assert all(rungs[name] == 3.0 ** int(name.split("-")[2]) for name in rungs)
    for name, one in seen.items():
        _, individual, rung, _ = name.split("-")
        birth = seen[f"search-{individual}-0-0"]
        assert one["genome"] == birth["genome"]
        assert (one["seed"] == birth["seed"]) == name.startswith("search")
        assert rung == "0" or name.startswith("search")
    finals = [one for name, one in seen.items() if name.startswith("final")]
    assert len(finals) in (4, 6)
    assert {one["epochs"] for one in finals} == {9.0}
    assert len({one["seed"] for one in finals}) == len(finals)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run, in this process."""
    path = tmp_path_factory.mktemp("straight") / "mine.h5"
    with pytest.MonkeyPatch.context() as patch:
        install(patch.setattr)
        run(file=path, workers=0)
    return path


def told(generations: list[evoft.Generation]) -> list[Any]:
    """Return generations without what was measured."""
    return [
        (g.index, g.best.id, g.continued, [(i.id, i.rung, repr(i.fitness)) for i in g.individuals])
        for g in generations
    ]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_lineage_to_the_last_bit_on_any_number_of_workers(
    straight: Path, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "mine.h5"
    generations = run(file=path, workers=workers)
    assert lineage(evoft.Population.open(path)) == lineage(evoft.Population.open(straight))
    assert told(generations) == told(run(workers=0))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_in_two_halves_is_the_run(straight: Path, tmp_path: Path, workers: int) -> None:
    path = tmp_path / "mine.h5"
    first = run(file=path, workers=0, generations=1)
    rest = list(evoft.resume(fitness, path, generations=3, workers=workers))
    # What the first generation had room for is said again when it is whole.
    assert [g.index for g in first + rest] in ([0, 1, 2], [0, 0, 1, 2])
    mine, theirs = content(path), content(straight)
    for both in (mine, theirs):
        both["header/settings"] = both["header/settings"].replace('"workers":2', '"workers":null')
    assert mine == theirs
    assert list(evoft.resume(fitness, path)) == []


def test_generations_are_told_as_they_stood_at_their_end(tmp_path: Path) -> None:
    generations = run(workers=3, file=tmp_path / "mine.h5")
    population = evoft.Population.open(tmp_path / "mine.h5")
    records = sorted(
        (r for r in population.records.values() if r.birth), key=lambda r: r.trial.number
    )
    assert [g.index for g in generations] == [0, 1, 2]
    for generation in generations:
        mine = [r.trial for r in records if r.trial.generation == generation.index]
        assert [i.id for i in generation.individuals] == [t.individual for t in mine if not t.rung]
        assert list(generation.continued) == [t.individual for t in mine if t.rung]
        by_now = [r for r in records if r.trial.generation <= generation.index]
        latest = {r.trial.individual: r for r in by_now}  # the highest rung comes last
        for individual in generation.individuals:
            assert individual.rung == latest[individual.id].trial.rung
            assert repr(individual.outcome) == repr(latest[individual.id].outcome)
        scores = [r.outcome.score for r in latest.values()]
        assert generation.best.score == max(scores)
    assert sum(len(g.continued) for g in generations) > 5
    fallen = [g for g in generations for i in g.individuals if i.id in g.continued]
    assert fallen  # somebody was continued in the generation of his birth


def test_the_best_so_far_may_fall_back_behind_one_of_long_ago() -> None:
    """Who was continued stands with what that gave; then the best is whoever is best now."""

    def falling(genome: evoft.Genome, trial: evoft.Trial) -> float:
        return -float(trial.rung) - trial.individual / 100

    generations = list(evoft.evolve(falling, SPACE, **options(workers=0)))
    for generation in generations:
        assert generation.best.rung == 0
        assert generation.best.id not in generation.continued


def test_a_generation_of_nobody_but_one_who_fell_has_him_for_its_best() -> None:
    def falling(genome: evoft.Genome, trial: evoft.Trial) -> float:
        if trial.individual or trial.rung > 1:
            raise ValueError("it would not")
        return 1.0

    space = evoft.SearchSpace(a=evoft.Integer(0, 15))
    asha = options(strategy="asha", population_size=2, workers=0)
    *_, last = evoft.evolve(falling, space, **asha)
    assert (last.individuals, last.continued, last.best_so_far) == ((), (0,), None)
    assert (last.best.id, last.best.rung, last.best.earlier[1].fitness) == (0, 2, 1.0)
    assert math.isnan(last.best.fitness)


def evolution(**changes: Any) -> evoft.Evolution:
    return evoft.new(SPACE, **options(seed=1, **changes))


def test_ask_and_tell_with_rungs() -> None:
    with evolution() as mine:
        told = 0
        while (trial := mine.ask()) is not None:
            other = Trial(trial.individual, trial.genome, trial.seed, rung=trial.rung + 1)
            with pytest.raises(ValueError, match="it was told, or never asked"):
                mine.tell(other, 1.0)
            mine.tell(
                trial, fitness(trial.genome, trial) if trial.individual % 7 != 5 else math.nan
            )
            told += 1
        assert mine.ended
        assert len(mine.ledger.records) == told > len(mine.search.born)


def test_a_budget_keeps_back_what_full_trainings_take() -> None:
    """A trial on a low rung takes a part of a full training; the final runs are full ones."""

    class Timed:
        idle, busy = 1, 0

        def __init__(self) -> None:
            self.done: list[tuple[Trial, evoft.Outcome]] = []

        def submit(self, trial: Trial) -> None:
            seconds = 9 * mine.cost(trial)
            clock.append(seconds)
            outcome = evoft.Outcome.of_fitness(fitness_of(trial), seconds=seconds)
            self.done.append((trial, outcome))
            self.idle, self.busy = 0, 1

        def collect(self, timeout: float | None = None) -> list[tuple[Trial, evoft.Outcome]]:
            done, self.done = self.done, []
            self.idle, self.busy = 1, 0
            return done

        def close(self) -> None:
            pass

    def fitness_of(trial: Trial) -> float:
        return trial.rung - float(trial.genome["x"])

    clock: list[float] = []

    class Simulated(evoft.Evolution):
        @property
        def elapsed(self) -> float:
            return sum(clock)

    with evolution(generations=None) as made:
        mine = Simulated(made.search, made.ledger)
        list(drive(mine, Timed(), budget=60.0, reserve=lambda: 3.0 * mine.mean_seconds))
        assert mine.mean_seconds == pytest.approx(9.0)
        # 27 of the 60 seconds are kept back; with the mean of a trial it would have been less.
        assert 33 - 9 <= sum(clock) <= 33
        assert sum(clock) / len(clock) < 5


def judged(id: int, operator: str, *scores: float) -> evoft.Individual:
    individual = evoft.Individual(id, 0, (), operator, evoft.Genome(x=0.5, kind="a"), id)
    for score in scores:
        individual = individual.judged(evoft.Outcome.of_fitness(score))
    return individual


def test_finalists_stand_with_their_highest_rung_and_ties_go_to_the_higher_one() -> None:
    with evolution() as mine:
        mine.search.born.extend(
            [
                judged(0, "sample", 0.5),
                judged(1, "default", 0.1),
                judged(2, "sample", 0.9, 0.7),
                judged(3, "sample", 0.2, 0.6, 0.7),
                judged(4, "sample", 0.7),
                judged(5, "sample", math.nan),
                judged(6, "sample", 0.3, 0.8),
                judged(7, "sample", 0.7),
            ]
        )
        assert [i.id for i in finalists(mine, 5)] == [6, 3, 2, 4, 7, 1]
        assert [i.id for i in finalists(mine, 1)] == [6, 1]
        assert mine.best
        assert mine.best.id == 6
        trials = final_trials(mine, 1, 2)
        assert [(t.individual, t.repeat, t.epochs) for t in trials] == [
            (6, 0, 9), (6, 1, 9), (1, 0, 9), (1, 1, 9),
        ]  # fmt: skip
        assert {(t.stage, t.rung, t.number) for t in trials} == {(Stage.FINAL, 0, 0)}


def test_of_equals_on_a_rung_the_cheaper_model_is_a_finalist() -> None:
    recipes: list[dict[str, object]] = [
        {"model": "large", "freeze_depth": 4},
        {"model": "small", "freeze_depth": 0},
        {"model": "small", "freeze_depth": 2},
        {"model": "small", "freeze_depth": 2},
    ]
    with evolution() as mine:
        backbones = ({"model": "small", "parameters": 10}, {"model": "large", "parameters": 50})
        ledger = Memory(replace(mine.ledger.header, backbones=backbones))
        mine.ledger = ledger
        for id, recipe in enumerate(recipes):
            one = judged(id, "sample", 0.7)
            assert one.outcome
            trial = Trial(id, one.genome, id)
            ledger.append(Record(trial, one.outcome, one.unjudged, recipe, 1.0))
            mine.search.born.append(one)
        mine.search.born.append(judged(4, "sample", 0.71))  # the better one, whatever it costs
        assert [i.id for i in finalists(mine, 5)] == [4, 2, 3, 1, 0]


def test_without_a_default_recipe_there_is_none_to_compare_with() -> None:
    with evolution() as mine:
        mine.search.born.extend([judged(0, "grid", 0.5), judged(1, "grid", 0.7)])
        assert [i.id for i in finalists(mine, 1)] == [1]


def test_a_file_with_other_decisions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    with evolution(file=path) as mine:
        list(drive(mine, InlineWorkers(Target())))
        record = next(r for r in mine.ledger.records.values() if r.trial.rung)
        elders = [r for r in mine.ledger.records.values() if r.trial.number < record.trial.number]
    # All up to a promotion, which is in its place a trial later: a gap, and then the promotion.
    late = Trial(
        record.trial.individual, record.trial.genome, record.trial.seed, rung=record.trial.rung,
        epochs=record.trial.epochs, number=record.trial.number + 1,
        generation=record.trial.generation,
    )  # fmt: skip
    other = tmp_path / "other.h5"
    with Store.create(other, mine.ledger.header) as store:
        for elder in elders:
            store.append(elder)
        store.append(Record(late, record.outcome, record.birth, None, record.elapsed))
    with pytest.raises(
        PopulationMismatchError, match="this version of evoft decides that in trial"
    ):
        list(evoft.resume(fitness, other, workers=0))


class Target:
    def evaluate(self, trial: Trial) -> float:
        return fitness(trial.genome, trial)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "annealing"}, "`strategy` must be one of evolution, ga"),
        ({"epochs": 0}, "`epochs` must be > 0, but is 0"),
        (
            {"epochs": 0.5},
            "`first_rung <= epochs` must hold, but got (first_rung=1, epochs=0.5)",
        ),
        ({"search": evoft.SearchSettings(first_rung=10)}, "(first_rung=10, epochs=9)"),
        (
            {"space": evoft.SearchSpace(epochs=evoft.Integer(1, 9), x=evoft.Float(0, 1))},
            "`epochs` cannot be a gene for the strategy 'climber'",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    given = options(fitness=fitness, space=SPACE, file=tmp_path / "mine.h5") | changes
    with pytest.raises(SettingsError) as refused:
        evoft.evolve(**given)
    assert message in str(refused.value)
    del given["fitness"]
    with pytest.raises(SettingsError):
        evoft.new(**given)
    assert list(tmp_path.iterdir()) == []


def test_epochs_are_a_gene_like_any_other_where_there_are_no_rungs() -> None:
    space = evoft.SearchSpace(epochs=evoft.Integer(1, 9))
    evolution = evoft.new(space, strategy="ga", population_size=2)
    assert (trial := evolution.ask())
    assert (trial.genome["epochs"], trial.epochs) == (5, None)


def test_who_is_nothing_without_rungs_needs_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evoft.settings.search.RUNGS_ONLY", {"climber"})
    with pytest.raises(SettingsError, match="`epochs` must be given, for the strategy 'climber'"):
        evoft.evolve(fitness, SPACE, strategy="climber")


def test_the_arguments_win_over_the_search_settings() -> None:
    search = evoft.SearchSettings(strategy="climber", epochs=27, rung_factor=9)
    assert evoft.new(SPACE, search=search).search.ladder.rungs == (1.0, 5.0, 27.0)
    assert evoft.new(SPACE, search=search, epochs=9).search.ladder.rungs == (1.0, 9.0)
    assert evoft.new(SPACE, search=search, strategy="ga").search.ladder.rungs == (27.0,)
