"""What a search is after: names, directions, and what becomes of trials that do not report it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import evoft
from evoft.errors import SettingsError
from evoft.objectives import (
    FITNESS,
    LATENCY,
    Direction,
    Objective,
    objective_of,
    objectives_of,
    reporting,
    scores_of,
)
from evoft.outcome import Outcome, Status
from evoft.settings import METRICS

ENERGY = Objective("energy", Direction.MINIMISE)


def test_objectives_are_known_or_ones_own() -> None:
    assert objective_of("accuracy") is FITNESS
    assert objective_of("latency") is LATENCY
    assert objective_of("energy:min") == ENERGY
    assert objective_of("f1:max").direction is Direction.MAXIMISE
    for text in ("accuracy", "latency", "parameters", "energy:min", "f1:max"):
        assert str(objective_of(text)) == text


@pytest.mark.parametrize("name", [*METRICS, "fitness"])
def test_the_fitness_goes_by_the_name_of_what_it_is(name: str) -> None:
    objective = objective_of(name)
    assert str(objective) == name
    outcome = Outcome.of_fitness(0.5, metrics={name: 0.1})
    assert (objective.fitness, objective.value(outcome)) == (True, 0.5)
    assert reporting((objective,), Outcome.of_fitness(0.5)).status is Status.OK
    assert evoft.SearchSettings(objectives=(name, "energy:min")).objectives[0] == name


def test_a_metric_of_ones_own_may_have_the_name_of_one_that_evoft_has() -> None:
    own = objective_of("balanced_accuracy:max")
    assert own.value(Outcome.of_fitness(0.5, metrics={"balanced_accuracy": 0.1})) == 0.1
    assert str(own) == "balanced_accuracy:max"


@pytest.mark.parametrize("text", ["energy", "", "energy:", ":min", "a b:min", 3])
def test_what_names_no_objective_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="an objective is accuracy, latency, parameters, or"):
        objective_of(text)


@pytest.mark.parametrize("text", ["accuracy:min", "fitness:min", "fitness:max"])
def test_the_fitness_has_no_direction_of_its_own(text: str) -> None:
    name = text.partition(":")[0]
    words = f"as an objective is `{name}` alone, but is '{text}': where less is better return the"
    with pytest.raises(SettingsError, match=words):
        objective_of(text)


@pytest.mark.parametrize(
    ("objectives", "words"),
    [
        ((), "must name at least one"),
        (("accuracy", "accuracy"), "accuracy stands there twice"),
        (("accuracy", "fitness"), "the fitness once, but it stands there as accuracy and fitness"),
        (("latency",), "must have accuracy, the fitness, among them, but are latency"),
        ("accuracy", "must be a list of names, but is 'accuracy'"),
    ],
)
def test_settings_refuse_objectives_that_cannot_be(objectives: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        evoft.SearchSettings(objectives=objectives)  # type: ignore[arg-type]


def test_settings_take_objectives_in_any_list() -> None:
    named = evoft.SearchSettings(objectives=("accuracy", "energy:min"))
    for given in (["accuracy", "energy:min"], objectives_of(("accuracy", "energy:min"))):
        settings = evoft.SearchSettings(objectives=given)
        assert settings == named
        assert settings.objectives == ("accuracy", "energy:min")
    with pytest.raises(SettingsError, match="must be a list of names, but is 3"):
        evoft.SearchSettings(objectives=3)  # type: ignore[arg-type]


def test_scores_are_maximised_and_the_failed_have_none() -> None:
    objectives = objectives_of(("accuracy", "latency"))
    good = Outcome.of_fitness(0.5, metrics={"latency": 0.01})
    assert scores_of(objectives, good) == (0.5, -0.01)
    failed = (-math.inf, -math.inf)
    assert scores_of(objectives, Outcome.of_fitness(0.5)) == failed
    assert scores_of(objectives, Outcome.of_fitness(0.5, metrics={"latency": math.nan})) == failed
    assert scores_of(objectives, Outcome(Status.LOST, metrics={"latency": 0.01})) == failed
    assert scores_of(objectives, None) == failed


def test_a_trial_that_does_not_report_an_objective_has_failed() -> None:
    missing = reporting((FITNESS, ENERGY), Outcome.of_fitness(0.5, metrics={"latency": 1.0}))
    assert missing.status is Status.FAILED
    assert "does not report the objective `energy`" in missing.reason
    endless = reporting((FITNESS, ENERGY), Outcome.of_fitness(0.5, metrics={"energy": math.inf}))
    assert endless.reason == "the objective `energy` is inf, no finite number"
    for outcome in (
        Outcome.of_fitness(0.5, metrics={"energy": 1.0}),
        Outcome(Status.LOST, reason="it died"),
    ):
        assert reporting((FITNESS, ENERGY), outcome) is outcome


SPACE = evoft.SearchSpace(x=evoft.Float(0.0, 1.0), y=evoft.Float(0.0, 1.0))


def two(genome: evoft.Genome, trial: evoft.Trial) -> evoft.Outcome:
    """Schaffer's two parabolas: the front is 0.25 <= x <= 0.75 at y = 0."""
    x, y = float(genome["x"]), float(genome["y"])
    return evoft.Outcome.of_fitness(-((x - 0.25) ** 2) - y, metrics={"energy": (x - 0.75) ** 2 + y})


def one(genome: evoft.Genome, trial: evoft.Trial) -> float:
    return float(genome["x"])


SEARCH = evoft.SearchSettings(
    strategy="ga", finalists=0, objectives=("accuracy", "energy:min"), sigma=0.1
)


UNHEARD = (
    "the search is after `energy`, which no trial has reported: return \\(or tell\\) "
    "evoft.Outcome.of_fitness\\(fitness, metrics={'energy': ...}\\)"
)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_function_that_does_not_report_an_objective_is_told_at_its_first_trial(
    tmp_path: Path, workers: int
) -> None:
    file = tmp_path / "mine.h5"
    with pytest.raises(SettingsError, match=UNHEARD):
        next(evoft.evolve(one, SPACE, generations=2, workers=workers, search=SEARCH, file=file))
    with pytest.raises(SettingsError, match=UNHEARD):
        next(evoft.resume(one, file, workers=workers))
    assert len(evoft.Population.open(file)) == 0
    mended = [g.best.genome for g in evoft.resume(two, file, workers=workers)]
    straight = evoft.evolve(two, SPACE, generations=2, workers=0, search=SEARCH)
    assert mended == [g.best.genome for g in straight]


def test_trials_that_do_not_report_what_another_did_have_failed() -> None:
    def rarely(genome: evoft.Genome, trial: evoft.Trial) -> evoft.Outcome | float:
        return one(genome, trial) if trial.individual else two(genome, trial)

    (generation,) = evoft.evolve(rarely, SPACE, generations=1, workers=0, search=SEARCH)
    first, *others = (individual.outcome for individual in generation.individuals)
    assert first is not None
    assert first.status is Status.OK
    for outcome in others:
        assert outcome is not None
        assert outcome.status is Status.FAILED
        assert "does not report the objective `energy`: return evoft.Outcome" in outcome.reason
    assert generation.best_so_far == generation.individuals[0]


def test_who_tells_too_little_can_tell_it_again() -> None:
    with evoft.new(SPACE, population_size=4, search=SEARCH) as evolution:
        failed, good, last = (evolution.ask() for _ in range(3))
        assert failed
        assert good
        assert last
        evolution.tell(failed, evoft.Outcome(Status.FAILED, reason="it raised"))
        with pytest.raises(SettingsError, match=UNHEARD):
            evolution.tell(good, 0.5)
        assert set(evolution.ledger.records) == {failed.key}
        evolution.tell(good, evoft.Outcome.of_fitness(0.5, metrics={"energy": math.nan}))
        evolution.tell(last, 0.5)
        outcomes = [individual.outcome for individual in evolution.population]
        reasons = [outcome.reason for outcome in outcomes if outcome]
        assert reasons[:2] == ["it raised", "the objective `energy` is nan, no finite number"]
        assert "does not report the objective `energy`" in reasons[2]


def test_several_objectives_spread_over_the_front_on_any_number_of_workers() -> None:
    def births(generations: object) -> list[tuple[object, ...]]:
        return [
            (i.id, i.parents, i.operator, i.genome)
            for generation in generations  # type: ignore[attr-defined]
            for i in generation.individuals
        ]

    straight = births(evoft.evolve(two, SPACE, generations=25, workers=0, search=SEARCH, seed=3))
    assert (
        births(evoft.evolve(two, SPACE, generations=25, workers=2, search=SEARCH, seed=3))
        == straight
    )
    late = [genome for id, _, _, genome in straight if id >= 300]  # type: ignore[operator]
    near = [g for g in late if g["y"] < 0.05 and 0.15 < g["x"] < 0.85]  # type: ignore[index, operator]
    assert len(near) > len(late) / 2
    xs = sorted(float(g["x"]) for g in near)  # type: ignore[index]
    assert xs[0] < 0.35
    assert xs[-1] > 0.65


def test_objectives_are_an_argument_of_the_library_too() -> None:
    names = ("accuracy", "energy:min")
    search = evoft.SearchSettings(objectives=("accuracy", "f1:max"), finalists=0)
    for given in (names, list(names)):
        for more in ({}, {"search": search}):
            with evoft.new(SPACE, objectives=given, **more) as evolution:  # type: ignore[arg-type]
                assert evolution.search.settings.objectives == names
    with evoft.new(SPACE, search=search) as evolution:
        assert evolution.search.settings.objectives == search.objectives
    with pytest.raises(SettingsError, match="must be a list of names, but is 'accuracy'"):
        evoft.new(SPACE, objectives="accuracy")
    with pytest.raises(SettingsError, match=UNHEARD):
        next(evoft.evolve(one, SPACE, objectives=names, workers=0))


def test_the_front_is_had_from_the_library() -> None:
    how = {"strategy": "ga", "objectives": ("accuracy", "energy:min"), "generations": 2}
    with evoft.new(SPACE, **how) as evolution:  # type: ignore[arg-type]
        while (trial := evolution.ask()) is not None:
            evolution.tell(trial, two(trial.genome, trial))
        everybody = [
            (i.outcome.fitness, -i.outcome.metrics["energy"], i)
            for i in evolution.population
            if i.outcome
        ]
        front: evoft.Front = evoft.front_of(evolution.population)
    beaten = [
        any(f >= fitness and e >= energy and (f, e) != (fitness, energy) for f, e, _ in everybody)
        for fitness, energy, _ in everybody
    ]
    assert {i.id for i in front.individuals} == {
        one[2].id for one, worse in zip(everybody, beaten, strict=True) if not worse
    }
    assert 1 < len(front.individuals) < len(everybody)
