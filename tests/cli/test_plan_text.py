"""The words for what a run is going to do, with rungs and without."""

from types import SimpleNamespace

import pytest
from climbing import install

import evoft
from evoft.cli.plan_text import _few, _fixed, _generation, _idle, _individuals, _small
from evoft.settings import SearchSettings, Settings, TrainingSettings


@pytest.fixture(autouse=True)
def _climber(monkeypatch):
    install(monkeypatch.setattr)


def plan_of(strategy, epochs, fixed=None, **search):
    search = SearchSettings(strategy=strategy, **search)
    training = TrainingSettings(epochs=epochs)
    settings = Settings(search=search, training=training, fixed=fixed or {})
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


def test_workers_that_the_search_cannot_keep_busy_are_named():
    search = SearchSettings(population_size=4, lookahead=2)
    assert _idle(search, 3) == ""
    assert _idle(search, 4).startswith("of which the search keeps at most 3 busy, for 2 trials")
    assert _idle(SearchSettings(population_size=4, strategy="random"), 4) == ""


def test_one_is_told_as_one():
    words = "4 in 1 generation, each for at most 1 epoch"
    assert _individuals(plan_of("ga", 1, generations=1, population_size=4)) == words


def test_whoever_names_no_backbone_for_images_of_their_own_is_told_what_they_get():
    assert "--model" in _small(TrainingSettings(data="photos"))
    assert _small(TrainingSettings(data="photos", models=("resnet18",))) == ""
    assert _small(TrainingSettings()) == ""


def test_a_fixed_warm_up_is_told_as_it_will_be():
    fixed = {"lr": 0.1, "warmup": 0.2}
    assert _fixed(plan_of("ga", 5, fixed)) == "lr = 0.1, warmup = 0.2"
    words = "lr = 0.1, warmup = 0.075 (0.2 is too long for the rungs)"
    assert _fixed(plan_of("climber", 5, fixed)) == words
    assert _fixed(plan_of("climber", 5, {"warmup": 0.05})) == "warmup = 0.05"
    assert _fixed(plan_of("climber", 5)) == ""


def test_a_freeze_depth_beyond_the_last_group_is_told_as_it_will_be():
    for depth, told in ((99, "5 (99 is more than there are)"), (5, "5"), (1.0, "1.0")):
        plan = plan_of("ga", 5, {"freeze_depth": depth})
        plan.backbones = [SimpleNamespace(layer_groups=3), SimpleNamespace(layer_groups=5)]
        assert _fixed(plan) == f"freeze_depth = {told}"


@pytest.mark.parametrize(
    ("fixed", "genes", "counts"),
    [
        ({"opt": "adamw"}, {}, False),
        ({"opt": "sgd"}, {}, True),
        ({}, {}, False),  # adamw
        ({}, {"opt": evoft.Choice(["adamw", "sgd"])}, True),
        ({}, {"opt": evoft.Choice(["adamw", "lamb"])}, False),
    ],
)
def test_a_momentum_that_does_not_count_is_told_as_such(fixed, genes, counts):
    plan = plan_of("ga", 5, {"momentum": 0.9, **fixed})
    plan.space = genes
    assert ("momentum = 0.9 (which does not count" in _fixed(plan)) is not counts


def test_whoever_searches_a_gene_or_two_is_told_where_the_others_are():
    plan = plan_of("ga", 5)
    for genes, told in ((["lr"], True), (["lr", "opt"], True), (["lr", "opt", "drop"], False)):
        plan.space = dict.fromkeys(genes)
        assert ("`evoft space > mine.toml`" in _few(plan)) is told
    fixed = plan_of("ga", 5, {"opt": "sgd", "drop": 0.1})
    fixed.space = {"lr": None}
    assert _few(fixed) == ""
