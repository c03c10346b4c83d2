"""What an exported folder says of a soup."""

from __future__ import annotations

import pytest

from evoft.analysis.card import model_card, model_metrics, soup_sentence
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record
from evoft.outcome import Outcome
from evoft.settings import Settings, TrainingSettings
from evoft.soup import Fate, Soup
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict

BASE, OWN, OTHER = (Stage.FINAL, 0, 0), (Stage.FINAL, 0, 1), (Stage.SEARCH, 1, 0)
SOUP = Soup(BASE, 0.9, 0.94, ((OTHER, Fate.TAKEN), (OWN, Fate.TAKEN), ((0, 0, 0), Fate.APART)))
ALONE = Soup(BASE, 0.9, 0.9, ((OTHER, Fate.LEFT), (OWN, Fate.APART)))


def population(metric: str = "accuracy") -> Population:
    data = {
        "name": "pets", "splits": {"train": 48, "val": 100, "test": 50}, "classes": ["cat", "dog"],
        "fingerprint": "f00d", "largest_class": {"train": 40, "val": 60, "test": 30},
    }  # fmt: skip
    settings = Settings(training=TrainingSettings(metric=metric)).to_dict()
    header = Header("run", "now", 0, settings, {}, data, backbones=({"model": "embedded"},))
    genome = Genome(lr=0.1)
    trials = [
        (Trial(0, genome, 0, number=0), Individual(0, 0, (), "default", genome, 0)),
        (Trial(1, genome, 1, number=1, epochs=2.0), Individual(1, 0, (), "sample", genome, 1)),
        (Trial(0, genome, 9, Stage.FINAL, 0), None),
        (Trial(0, genome, 8, Stage.FINAL, 1), None),
    ]
    records = {
        trial.key: Record(trial, Outcome.of_fitness(0.9), birth, {"lr": 0.1}, 1.0)
        for trial, birth in trials
    }
    return Population.of(header, records, [Verdict(0, 0, 0, 0, 30, 10, 5, 5)])


def test_a_soup_is_told_by_its_runs_and_by_what_its_first_has_alone() -> None:
    assert soup_sentence(population(), SOUP) == (
        "The mean of the weights of 3 runs, of #0 (2), #1: validation accuracy 94.0 %, the first "
        "of them alone 90.0 %. They were chosen by that, so it is an optimistic number."
    )
    balanced = soup_sentence(population("balanced_accuracy"), SOUP)
    assert "validation balanced accuracy 94.0 %" in balanced


def test_a_card_says_where_its_individual_is_from() -> None:
    card = model_card(population(), BASE, soup=SOUP)
    assert "Individual 0 of an evoft population: born in generation 0 as `default`.\n" in card


def test_a_card_says_nothing_of_the_test_split_that_was_read_for_another_model() -> None:
    card = model_card(population(), BASE, soup=SOUP)
    sentence = soup_sentence(population(), SOUP)
    assert f"{sentence} The test split was not read for it." in card
    assert "right on 60.0 % of the validation images" in card
    assert "default recipe" not in card
    assert "test accuracy" not in card


def test_metrics_name_whose_weights_they_are() -> None:
    assert model_metrics(population(), BASE, soup=SOUP) == {
        "individual": 0, "stage": "final", "repeat": 0,
        "soup": [
            {"individual": 1, "stage": "search", "repeat": 0, "epochs": 2.0},
            {"individual": 0, "stage": "final", "repeat": 1},
        ],
        "validation_accuracy": 0.94, "validation_accuracy_alone": 0.9,
        "largest_class": {"validation_accuracy": 0.6, "test_accuracy": 0.6},
        "data": {
            "name": "pets", "images": 198, "fingerprint": "f00d", "content": None, "seed": 0,
            "val_share": 0.2, "test_share": 0.2, "max_train_images": None,
        },
    }  # fmt: skip


@pytest.mark.parametrize("told", [model_card, model_metrics])
def test_where_nobody_is_taken_it_is_the_model_alone(told) -> None:
    assert told(population(), BASE, soup=ALONE) == told(population(), BASE)
