"""What is checked of a space, its founders and its fixed values before anything is trained."""

from dataclasses import replace

import pytest
from climbing import install

from evoft.errors import SettingsError
from evoft.fine_tuning.checks import check_lineage, check_recipes, check_search, searched_space
from evoft.fine_tuning.preparation import expression_of
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace
from evoft.settings import RunSettings, SearchSettings, Settings, TrainingSettings
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


@pytest.fixture
def climber(monkeypatch):
    """Have settings know a strategy that judges on rungs."""
    install(monkeypatch.setattr)


@pytest.mark.parametrize(
    ("search", "changes", "words"),
    [
        ({"finalists": 0}, {}, r"`finalists` must be >= 1"),
        ({"epochs": 9}, {}, r"`epochs` of \[search\] are those of a fitness function"),
        ({"first_rung": 6}, {}, r"`first_rung <= epochs` must hold, but got \(first_rung=6, ep"),
        ({}, {"fixed": {"epochs": 3}}, "`epochs` cannot be a gene, nor fixed, for the strategy"),
    ],
)
def test_a_search_that_cannot_be_is_refused(climber, search, changes, words):
    search = SearchSettings(strategy="climber", **search)
    with pytest.raises(SettingsError, match=words):
        check_search(SearchSpace(lr=Float(0.1, 0.2)), Settings(search=search, **changes))


def test_epochs_are_no_gene_on_rungs_and_one_elsewhere(climber):
    space = SearchSpace(epochs=Integer(1, 5))
    check_search(space, Settings(search=SearchSettings(strategy="ga")))
    with pytest.raises(SettingsError, match="`epochs` cannot be a gene"):
        check_search(space, Settings(search=SearchSettings(strategy="climber")))


def test_what_settles_the_lineage_cannot_change(climber):
    before = Settings(search=SearchSettings(strategy="climber"))
    for search in ({"strategy": "ga"}, {"rung_factor": 2.0}, {"first_rung": 2.0}, {"lookahead": 1}):
        after = replace(before, search=replace(before.search, **search))
        (name,) = search
        with pytest.raises(SettingsError, match=f"`{name}` settles the lineage and cannot change"):
            check_lineage(before, after)
    with pytest.raises(SettingsError, match=r"`seed` settles the lineage.*was 0 and is to be 1"):
        check_lineage(before, replace(before, seed=1))
    moved = replace(before.training, data="/elsewhere")
    longer = replace(before.search, generations=9)
    check_lineage(before, replace(before, training=moved, search=longer, run=RunSettings(budget=9)))
