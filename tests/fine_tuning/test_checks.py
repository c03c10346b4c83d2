"""What is checked of a space, its founders and its fixed values before anything is trained."""

import json
from dataclasses import replace

import pytest
from climbing import install

from evoft.errors import SettingsError
from evoft.fine_tuning.checks import (
    check_lineage,
    check_objectives,
    check_recipes,
    check_rungs,
    check_search,
    searched_space,
    shortened_warmup,
    with_fitness_named,
)
from evoft.fine_tuning.preparation import expression_of
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace
from evoft.settings import (
    RunSettings,
    SearchSettings,
    Settings,
    TrainingSettings,
    objectives_in_file,
)
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
    ("search", "words"),
    [
        ({"finalists": 0}, r"`finalists` must be >= 1"),
        ({"epochs": 9}, r"`epochs` of \[search\] are those of a fitness function"),
    ],
)
def test_a_search_that_cannot_be_is_refused(climber, search, words):
    search = SearchSettings(strategy="climber", **search)
    with pytest.raises(SettingsError, match=words):
        check_search(Settings(search=search))


@pytest.mark.parametrize("objective", ["latency", "parameters"])
def test_an_objective_that_is_the_same_for_everybody_is_refused(objective):
    def check(models, space=None, **fixed):
        search = SearchSettings(objectives=("accuracy", objective))
        settings = Settings(search=search, training=TrainingSettings(models=models), fixed=fixed)
        check_objectives(settings, searched_space(space, settings))

    several = ("embedded", "test_resnet")
    words = f"`{objective}` must differ between individuals, but all .* from "
    with pytest.raises(SettingsError, match=words + "embedded: name several models"):
        check(("embedded",))
    with pytest.raises(SettingsError, match=words + "test_resnet: name several models"):
        check(several, model="test_resnet")
    check(several)
    check(several, SearchSpace(lr=Float(0.1, 0.2)))


def test_an_objective_that_fine_tuning_does_not_report_is_refused():
    settings = Settings(search=SearchSettings(objectives=("accuracy", "energy:min")))
    words = "are accuracy, latency, parameters, but there is energy:min, which no trial reports"
    with pytest.raises(SettingsError, match=words):
        check_objectives(settings, searched_space(None, settings))
    plain = Settings()
    check_objectives(plain, searched_space(None, plain))


def test_the_fitness_goes_by_the_name_of_the_metric():
    balanced = TrainingSettings(models=("embedded", "test_resnet"), metric="balanced_accuracy")

    def settings(*objectives, training=balanced):
        return Settings(search=SearchSettings(objectives=objectives), training=training)

    def check(*objectives, training=balanced):
        one = settings(*objectives, training=training)
        check_objectives(one, searched_space(None, one))

    check("balanced_accuracy", "latency")
    words = "`accuracy` is not the fitness, which is balanced_accuracy by --metric: write --obj"
    with pytest.raises(SettingsError, match=words):
        check("accuracy", "latency")
    with pytest.raises(SettingsError, match="are balanced_accuracy, latency, parameters, but"):
        check("balanced_accuracy", "energy:min")
    words = "is not the fitness, which is accuracy by --metric: write --objective accuracy"
    for name in ("fitness", "balanced_accuracy"):
        with pytest.raises(SettingsError, match=f"`{name}` {words}"):
            check(name, "latency", training=TrainingSettings(models=balanced.models))
    named = with_fitness_named(Settings(training=balanced))
    assert named.search.objectives == ("balanced_accuracy",)
    assert with_fitness_named(Settings()) == Settings()
    several = settings("balanced_accuracy", "latency")
    assert with_fitness_named(several) is several


def test_a_file_that_calls_the_fitness_accuracy_under_any_metric_is_read_as_it_was_meant():
    training = TrainingSettings(metric="balanced_accuracy")
    search = SearchSettings(objectives=("accuracy", "latency"))
    old = json.loads(json.dumps(Settings(search=search, training=training).to_dict()))
    assert Settings.of_file(old).search.objectives == ("balanced_accuracy", "latency")
    assert objectives_in_file(old) == ("balanced_accuracy", "latency")
    assert objectives_in_file({}) == ("accuracy",)


def test_a_first_rung_longer_than_the_epochs_is_refused(climber):
    settings = Settings(search=SearchSettings(strategy="climber", first_rung=6))
    with pytest.raises(SettingsError, match=r"`first_rung <= epochs` must hold, but got \(first_"):
        check_rungs(settings, searched_space(None, settings))


def test_what_settles_the_lineage_cannot_change(climber):
    before = Settings(search=SearchSettings(strategy="climber"))
    for search in ({"strategy": "ga"}, {"rung_factor": 2.0}, {"first_rung": 2.0}, {"lookahead": 1}):
        after = replace(before, search=replace(before.search, **search))
        (name,) = search
        with pytest.raises(SettingsError, match=f"`{name}` settles the lineage and cannot change"):
            check_lineage(before, after)
    with pytest.raises(SettingsError, match=r"`seed` settles the lineage.*was 0 and is to be 1"):
        check_lineage(before, replace(before, seed=1))
    smaller = replace(before, training=replace(before.training, cache_size=2**20))
    with pytest.raises(SettingsError, match=r"`cache_size` settles .* was 4G and is to be 1M:"):
        check_lineage(before, smaller)
    fixed = replace(before, fixed={"drop": 0.2, "lr": 0.1})
    with pytest.raises(SettingsError, match=r"`drop` settles .* was free and is to be 0.2:"):
        check_lineage(before, fixed)
    with pytest.raises(SettingsError, match=r"`lr` settles .* was 0.1 and is to be free:"):
        check_lineage(fixed, replace(before, fixed={"drop": 0.2}))
    check_lineage(fixed, fixed)
    moved = replace(before.training, data="/elsewhere")
    longer = replace(before.search, generations=9)
    check_lineage(before, replace(before, training=moved, search=longer, run=RunSettings(budget=9)))


class TestRungs:
    @pytest.fixture(autouse=True)
    def _a_strategy_that_climbs(self, monkeypatch):
        monkeypatch.setattr("evoft.settings.search.STRATEGIES", ("ga", "asha"))

    def check(self, space=None, strategy="asha", fixed=None, **training):
        settings = Settings(
            search=SearchSettings(strategy=strategy),
            training=TrainingSettings(**{"epochs": 9, **training}),
            fixed=fixed or {},
        )
        check_rungs(settings, searched_space(space, settings))

    def refused(self, *words, **what):
        with pytest.raises(SettingsError) as caught:
            self.check(**what)
        for word in words:
            assert word in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_rungs_take_the_place_of_patience(self):
        self.refused("`patience`", "asha", "1, 3, 9 epochs", "is 2", patience=2)
        self.refused("`patience`", "is 1", fixed={"patience": 1})
        self.refused("`patience`", "a gene", space=SearchSpace(patience=Integer(0, 3)))
        self.check()
        self.check(fixed={"patience": 0})

    def test_rungs_settle_the_epochs_and_the_cool_down(self):
        for name, gene in (("epochs", Integer(1, 9)), ("cooldown", Float(0.1, 0.9))):
            self.refused(f"`{name}`", f"--{name}", space=SearchSpace(**{name: gene}))
            self.refused(f"`{name}`", f"--{name}", fixed={name: 1})

    def test_with_one_rung_all_of_it_may_be_set(self):
        everything = SearchSpace(patience=Integer(0, 3), epochs=Integer(1, 9),
                                 cooldown=Float(0.1, 0.9))  # fmt: skip
        self.check(everything, strategy="ga", patience=2)
        self.check(everything, epochs=1, patience=2)

    def test_the_warm_up_ends_halfway_to_the_first_cool_down(self):
        facts = (BackboneFacts("embedded", 4, 10, LOOK, True, True, ""),)
        settings = Settings(
            search=SearchSettings(strategy="asha"),
            training=TrainingSettings(epochs=9, cooldown=0.25),
        )
        space = searched_space(None, settings)
        express = expression_of(settings, facts, space)
        long, longer, short = (
            express(space.complete({"warmup": warmup})) for warmup in (0.2, 0.4, 0.01)
        )
        assert long == longer
        assert long.warmup * 9 == pytest.approx(0.5 * 0.75)
        assert short.warmup == 0.01
        assert {long.cooldown, short.cooldown} == {0.25}
        assert express(space.complete({"sched": "constant"})).cooldown == 1.0
        assert long.warmup == settings.ladder(fine_tuning=True).longest_warmup
        with pytest.raises(SettingsError, match="warmup"):
            expression_of(replace(settings, fixed={"warmup": 2.0}), facts, space.pin(warmup=0))(
                space.pin(warmup=0).default()
            )

    @pytest.mark.parametrize(
        ("epochs", "warmup", "becomes", "way_out"),
        [
            (5, 0.2, "0.2 (1 of 5 epochs), but on the rungs of 1, 5 epochs becomes 0.075 (0.375",
             "--first-rung 3 leaves"),
            (9, 0.1, "0.1 (0.9 of 9 epochs), but on the rungs of 1, 3, 9 epochs becomes 0.0417",
             "--first-rung 3 leaves"),
            (2, 0.5, "on the rungs of 1, 2 epochs becomes 0.188", "--first-rung 2, a single rung,"),
        ],
    )  # fmt: skip
    def test_a_fixed_warm_up_that_the_rungs_cut_short_is_said_with_a_way_out(
        self, epochs, warmup, becomes, way_out
    ):
        settings = Settings(
            search=SearchSettings(strategy="asha"),
            training=TrainingSettings(epochs=epochs),
            fixed={"warmup": warmup},
        )
        said = shortened_warmup(settings)
        assert becomes in said
        assert way_out in said
        first = float(way_out.split()[1].rstrip(","))
        longer = replace(settings.search, first_rung=first)
        assert shortened_warmup(replace(settings, search=longer)) is None
        assert shortened_warmup(replace(settings, fixed={"warmup": 0.01})) is None
        assert shortened_warmup(replace(settings, fixed={})) is None
        assert shortened_warmup(replace(settings, search=SearchSettings(strategy="ga"))) is None
