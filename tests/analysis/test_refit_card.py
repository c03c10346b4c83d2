"""What an exported folder says of a recipe that was trained anew."""

from __future__ import annotations

from dataclasses import replace

from test_card import population

from evoft.analysis.refit_card import refit_card, refit_metrics, result_lines, training_words
from evoft.outcome import Outcome
from evoft.refit import Refit, Refitted

FIT = Refit(
    individual=1,
    recipe={"model": "embedded", "epochs": 30},
    seed=7,
    with_val=False,
    data=dict(population().header.data),
    split={"seed": 3, "val_share": 0.1, "test_share": 0.2, "max_train_images": None},
    environment={"evoft": "0.1", "timm": "1.0", "torch": "2.0"},
    same_images=False,
)
REFITTED = Refitted(fit=FIT, outcome=Outcome.of_fitness(0.9), images=(30, 20), right=(27, 10))


def test_it_says_whose_recipe_and_what_it_was_trained_on() -> None:
    card = refit_card(population(), REFITTED)
    assert (
        "The recipe of individual 1 of an evoft population, born in generation 0 as `sample`, "
        "trained anew: 30 epochs on the 48 images of train, seed 7.\n" in card
    )
    assert "- evoft 0.1, timm 1.0, torch 2.0\n" in card
    both = replace(FIT, with_val=True, recipe={"epochs": 1})
    assert training_words(both) == "1 epoch on the 148 images of train and val, seed 7"


def test_test_images_are_told_by_the_populations_metric() -> None:
    assert result_lines(population(), REFITTED) == [
        "Test accuracy 74.0 % (60.4 to 84.1).",
        "Validation accuracy 90.0 %.",
        "Always saying the largest class is right on 60.0 % of the test images.",
    ]
    balanced = result_lines(population("balanced_accuracy"), REFITTED)
    assert balanced[0].startswith("Test balanced accuracy 70.0 % (")
    assert balanced[2] == "Always saying the largest class has a balanced accuracy of 50.0 %."


def test_who_may_choose_by_the_test_images_is_warned() -> None:
    same = replace(REFITTED, fit=replace(FIT, same_images=True))
    assert "choose among refits by validation" in result_lines(population(), same)[-1]


def test_validation_images_that_were_trained_on_say_nothing() -> None:
    refitted = replace(REFITTED, fit=replace(FIT, with_val=True))
    lines = result_lines(population(), refitted)
    assert not any(line.startswith("Validation") for line in lines)
    assert refit_metrics(population(), refitted)["validation_accuracy"] is None


def test_metrics_say_how_the_images_are_split_again() -> None:
    metrics = refit_metrics(population(), REFITTED)
    assert metrics["validation_accuracy"] == 0.9
    assert metrics["data"] == {
        "name": "pets", "images": 198, "fingerprint": "f00d", "content": None, "seed": 3,
        "val_share": 0.1, "test_share": 0.2, "max_train_images": None,
    }  # fmt: skip
