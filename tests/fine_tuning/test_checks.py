"""What is checked of a space, its founders and its fixed values before anything is trained."""

import pytest

from evoft.errors import SettingsError
from evoft.fine_tuning.checks import check_recipes, searched_space
from evoft.fine_tuning.preparation import expression_of
from evoft.search.genes import Choice, Float, Ordinal
from evoft.search.space import SearchSpace
from evoft.settings import Settings, TrainingSettings
from evoft.training.data import Preprocessing
from evoft.training.facts import BackboneFacts

LOOK = Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, "center")


def check(space=None, models=("embedded",), founders=None, **fixed):
    facts = tuple(BackboneFacts(m, 4, 10, LOOK, True, True, "") for m in models)
    settings = Settings(training=TrainingSettings(models=models), fixed=fixed)
    searched = searched_space(space, settings)
    return check_recipes(expression_of(settings, facts, searched), searched, founders or {})


def refused(*words, **what):
    with pytest.raises(SettingsError) as caught:
        check(**what)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_default_space_is_sound_and_names_its_optimizers():
    assert {recipe.opt for recipe in check()} == {"adamw", "adam", "sgd", "rmsprop"}
    assert {recipe.opt for recipe in check(opt="lion")} == {"lion"}


def test_genes_and_bounds_that_no_recipe_has():
    refused("`learning_rate` has no meaning", space=SearchSpace(learning_rate=Float(0.1, 0.2)))
    refused("the gene `drop`", "in [0, 1)", space=SearchSpace(drop=Float(0.0, 1.0)))
    refused("`sched`", space=SearchSpace(sched=Choice(["a", "b", "c", "d", "e", "cosine"])))
    values = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.5]
    refused("the gene `augment`", "1.5", space=SearchSpace(augment=Ordinal(values)))
    space = SearchSpace(opt=Choice(["adamw", "sgd"]),
                        momentum=Float(-1.0, 1.0, when={"opt": ["sgd"]}))  # fmt: skip
    refused("`momentum`", space=space)
    space = SearchSpace(lr=Float(0.1, 0.2), model=Choice(["embedded", "other"]))
    refused("--model names only embedded", space=space)


def test_fixed_values():
    for fixed in ({"lr": 0}, {"freeze_depth": "all"}, {"freeze_depth": float("nan")}, {"opt": 3},
                  {"nosuch": 1}):  # fmt: skip
        refused(next(iter(fixed)), **fixed)


def test_founders():
    refused("the founder `mine`", "lr", founders={"mine": {"lr": 30.0}})
    refused("the founder `mine`", "`nosuch`", founders={"mine": {"nosuch": 1}})
    assert check(founders={"mine": {"lr": 0.05}})[-1].lr == 0.05


def test_several_models_are_a_gene_in_a_space_of_ones_own():
    settings = Settings(training=TrainingSettings(models=("a", "b")))
    searched = searched_space(SearchSpace(lr=Float(0.1, 0.2)), settings)
    assert searched["model"].values == ("a", "b")
    assert {recipe.model for recipe in check(models=("embedded", "b"))} == {"embedded", "b"}
