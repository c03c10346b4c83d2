"""The words for what a run is going to do and what came of a generation, with rungs and without."""

import logging
import re
from types import SimpleNamespace

import pytest
from climbing import install

from evoft.cli.progress import (
    _generation,
    _idle,
    _individuals,
    _small,
    generation_words,
    trials_bar,
)
from evoft.genome import Genome
from evoft.individual import Generation, Individual
from evoft.outcome import Outcome, Status
from evoft.settings import SearchSettings, Settings, TrainingSettings


@pytest.fixture(autouse=True)
def _climber(monkeypatch):
    install(monkeypatch.setattr)


def plan_of(strategy, epochs, **search):
    search = SearchSettings(strategy=strategy, **search)
    settings = Settings(search=search, training=TrainingSettings(epochs=epochs))
    return SimpleNamespace(settings=settings, ladder=settings.ladder(fine_tuning=True))


def test_the_ladder_is_told_in_words():
    plan = plan_of("climber", 9)
    assert _individuals(plan) == (
        "as many as 48 full trainings in 4 generations pay for, judged after 1, 3 and 9 epochs"
    )
    assert _generation(plan).startswith("as much training as 12 full ones")
    plan = plan_of("climber", 2, generations=None)
    assert _individuals(plan) == "as many as the budget allows, judged after 1 and 2 epochs"
    assert "judged after 0.5 and 1 epochs" in _individuals(plan_of("climber", 1, first_rung=0.5))


def test_one_rung_is_told_as_ever():
    for plan in (plan_of("ga", 9), plan_of("climber", 9, first_rung=9)):
        assert _individuals(plan) == "48 in 4 generations, each for at most 9 epochs"
        assert _generation(plan) == ""


def individual(id, *fitness):
    made = Individual(id, 0, (), "sample", Genome(x=1), id)
    for one in fitness:
        made = made.judged(Outcome.of_fitness(one) if one else Outcome(Status.FAILED))
    return made


def test_a_generation_is_told_with_its_births_and_whom_it_continued():
    born = (individual(0, 0.5), individual(1, 0.25, 0.75), individual(2, None))
    generation = Generation(0, born, born[1], (1,))
    words = "best so far 0.7500 (#1), mean 0.6250"
    assert generation_words(generation, on_rungs=True) == f"3 born, 1 continued, {words}"
    assert generation_words(generation, on_rungs=False) == words
    failed = Generation(1, (individual(3, None),), None)
    assert generation_words(failed, on_rungs=False) == "no best yet, all failed"
    elder = Generation(2, (), born[1], (0, 1))
    assert generation_words(elder, on_rungs=True) == "0 born, 2 continued, best so far 0.7500 (#1)"


def test_workers_that_the_search_cannot_keep_busy_are_named():
    search = SearchSettings(population_size=4)
    assert _idle(search, 3) == ""
    assert _idle(search, 4).startswith("of which the search keeps at most 3 busy, for 2 trials")
    assert _idle(SearchSettings(population_size=4, strategy="random"), 4) == ""


def test_one_is_told_as_one():
    words = "4 in 1 generation, each for at most 1 epoch"
    assert _individuals(plan_of("ga", 1, generations=1, population_size=4)) == words


def test_a_warning_stands_in_a_line_of_its_own_above_the_bar(capsys):
    with trials_bar(9, 0, "trial", scale=False) as bar:
        bar.update(3)
        logging.getLogger("evoft.fine_tuning.session").warning("the disk is %s", "small")
    lines = re.split(r"[\r\n]", capsys.readouterr().err)
    assert "the disk is small" in lines
    assert any("3/9" in line for line in lines)
    assert logging.getLogger("evoft").handlers == []


def test_whoever_names_no_backbone_for_images_of_their_own_is_told_what_they_get():
    assert "--model" in _small(TrainingSettings(data="photos"))
    assert _small(TrainingSettings(data="photos", models=("resnet18",))) == ""
    assert _small(TrainingSettings()) == ""
