"""Every gene reaches the trainer, and nothing but recipe and seed does."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from trials import shared_with

from evoft.errors import SettingsError
from evoft.genome import Genome
from evoft.outcome import Status
from evoft.recipe import Recipe
from evoft.search.space import SearchSpace
from evoft.settings import TrainingSettings
from evoft.shared import SharedArray
from evoft.training.default_space import DEFAULT_GENES, MEANINGS, default_genes
from evoft.training.expression import Expression
from evoft.training.fine_tuner import checkpoint_path
from evoft.trial import Trial

#: Each gene: what is the same on both sides, and its values there.
CHANGES = {
    "model": ({}, "embedded", "test_byobnet"),
    "epochs": ({}, 2, 3),
    "patience": ({"epochs": 4, "lr": 1e-5}, 0, 1),
    "lr": ({}, 1e-3, 1.01e-3),
    "head_lr_factor": ({}, 1.0, 2.0),
    "weight_decay": ({}, 1e-2, 2e-2),
    "l1": ({}, 0.0, 1e-5),
    "batch_size": ({}, 8, 16),
    "drop": ({}, 0.0, 0.3),
    "drop_path": ({}, 0.0, 0.3),
    "freeze_depth": ({}, 0.0, 0.5),
    "opt": ({}, "adamw", "adam"),
    "momentum": ({"opt": "sgd"}, 0.9, 0.8),
    "layer_decay": ({}, 1.0, 0.8),
    "sched": ({}, "cosine", "linear"),
    "warmup": ({}, 0.1, 0.4),
    "cooldown": ({}, 1.0, 0.5),
    "smoothing": ({}, 0.0, 0.1),
    "mixup": ({}, 0.0, 0.2),
    "cutmix": ({}, 0.0, 0.5),
    "augment": ({}, 0.2, 0.3),
    "hflip": ({}, 0.0, 0.5),
    "reprob": ({}, 0.0, 0.5),
    "model_ema": ({}, 0.0, 0.9),
    "class_weights": ({}, "none", "balanced"),
    "clip_grad": ({}, 0.0, 0.1),
}


@pytest.fixture(scope="module")
def runs(make_tuner, space, tmp_path_factory):
    """``runs(seed=5, **genes)`` trains once and returns the outcome and the weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    embedded = make_tuner(TrainingSettings(epochs=2), folder)
    other = make_tuner(
        TrainingSettings(models=("test_byobnet",), pretrained=False, img_size=32), folder
    )
    done = {}
    # What weighs classes needs some of unequal size, which the images above are not.
    pixels = embedded.pixels
    some = {**pixels.splits, "train": pixels.splits["train"][:37]}
    uneven = replace(embedded, pixels=replace(pixels, splits=some, fingerprint="some"))

    def run(seed=5, again=False, **genes):
        genome = space.complete({"batch_size": 16, **genes})
        unequal = "class_weights" in genes
        key = genome, seed, unequal
        if again or key not in done:
            tuner = embedded if genome["model"] == "embedded" else other
            tuner = uneven if unequal else tuner
            trial = Trial(0, genome, seed)
            outcome = tuner.evaluate(trial)
            assert outcome.status is Status.OK, outcome.reason
            done[key] = outcome, load_file(checkpoint_path(folder, trial.key))
        return done[key]

    run.tuner = embedded
    return run


def same_weights(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_every_gene_is_tried_here():
    others = {"model", "epochs", "patience", "model_ema", "cooldown", "class_weights", "clip_grad"}
    assert set(CHANGES) == {*DEFAULT_GENES, *others}
    assert set(CHANGES) == set(Recipe.__dataclass_fields__) == set(MEANINGS)


@pytest.mark.parametrize("gene", CHANGES)
def test_a_gene_alone_changes_the_training(runs, gene):
    around, one, other = CHANGES[gene]
    outcome, weights = runs(**around, **{gene: one})
    changed_outcome, changed_weights = runs(**around, **{gene: other})
    assert not same_weights(weights, changed_weights)
    if gene in ("epochs", "patience"):
        assert len(outcome.curve) != len(changed_outcome.curve)


@pytest.mark.parametrize(
    ("gene", "value"),
    [(gene, value) for gene, table in DEFAULT_GENES.items() for value in table.get("values", [])],
)
def test_every_listed_value_trains_its_own_way(runs, gene, value):
    around = CHANGES[gene][0]
    others = [v for v in DEFAULT_GENES[gene]["values"] if v != value]
    _outcome, weights = runs(**around, **{gene: value})
    for other in others:
        if gene == "batch_size" and min(value, other) >= 40:
            continue  # larger than the data set: both are one step an epoch
        _, other_weights = runs(**around, **{gene: other})
        assert not same_weights(weights, other_weights)


#: Everything random at once.
LOUD = {"drop": 0.4, "drop_path": 0.3, "mixup": 0.4, "cutmix": 0.5, "augment": 0.9,
        "hflip": 0.5, "reprob": 0.5, "smoothing": 0.1, "opt": "sgd", "lr": 0.01}  # fmt: skip


class TestRepetition:
    def test_the_same_trial_gives_the_same_bits(self, runs):
        first = runs(**LOUD)
        runs(opt="rmsprop", freeze_depth=1.0)
        runs(model="test_byobnet", drop=0.2)
        torch.rand(7)
        second = runs(**LOUD, again=True)
        assert second[0].curve == first[0].curve
        assert second[0].fitness == first[0].fitness
        assert same_weights(first[1], second[1])

    def test_another_seed_gives_others(self, runs):
        assert not same_weights(runs()[1], runs(seed=6)[1])

    def test_a_frozen_model_does_not_leak_into_the_next_trial(self, runs):
        first = runs(lr=2e-3)
        runs(freeze_depth=1.0, again=True)
        second = runs(lr=2e-3, again=True)
        assert same_weights(first[1], second[1])

    def test_a_worker_process_gives_the_same_bits(self, runs, space, two_workers, tmp_path):
        genome = space.complete({"batch_size": 16, **LOUD})
        here, weights = runs(**LOUD)
        tuner = runs.tuner
        two_workers.retarget(replace(shared_with(two_workers, tuner), checkpoints=tmp_path))
        results = []
        for individual, genes in enumerate((genome, space.default(), genome)):
            two_workers.submit(Trial(individual, genes, 5))
            while not (done := two_workers.collect()):
                pass
            results += done
        assert len(two_workers.pids) == 1
        for trial, outcome in (results[0], results[2]):
            assert outcome.fitness == here.fitness
            assert outcome.curve == here.curve
            assert same_weights(weights, load_file(checkpoint_path(tmp_path, trial.key)))


class TestCanonicalForm:
    @staticmethod
    def recipe(runs, space, **genes):
        return runs.tuner.express(space.complete(genes))

    def test_momentum_without_an_optimizer_that_has_it(self, runs, space):
        for opt in ("adamw", "adam"):
            a, b = (self.recipe(runs, space, opt=opt, momentum=m) for m in (0.1, 0.9))
            assert a == b
        for opt in ("sgd", "rmsprop"):
            a, b = (self.recipe(runs, space, opt=opt, momentum=m) for m in (0.1, 0.9))
            assert a != b

    @pytest.mark.parametrize("gene", ["layer_decay", "drop_path"])
    def test_what_needs_a_trunk_when_only_the_head_trains(self, runs, space, gene):
        values = (0.4, 0.2)
        if gene == "layer_decay":
            values = (0.9, 0.5)
        a, b = (self.recipe(runs, space, freeze_depth=1.0, **{gene: v}) for v in values)
        assert a == b
        a, b = (self.recipe(runs, space, freeze_depth=0.5, **{gene: v}) for v in values)
        assert a != b

    def test_one_rate_when_only_the_head_trains(self, runs, space):
        a = self.recipe(runs, space, freeze_depth=1.0, lr=1e-3, head_lr_factor=4.0)
        b = self.recipe(runs, space, freeze_depth=1.0, lr=2e-3, head_lr_factor=2.0)
        assert a == b
        assert a.lr == 4e-3

    def test_it_trains_the_same(self, runs):
        alike = (
            {"freeze_depth": 1.0, "lr": 1e-3, "head_lr_factor": 4.0, "layer_decay": 0.5},
            {"freeze_depth": 1.0, "lr": 2e-3, "head_lr_factor": 2.0, "drop_path": 0.3},
        )
        (one, weights), (other, others) = (runs(**genes) for genes in alike)
        assert one.curve == other.curve
        assert same_weights(weights, others)

    def test_depths_that_are_the_same_number_of_groups(self):
        one = Recipe.of({"model": "m", "epochs": 1, "freeze_depth": 0.5}, layer_groups=4)
        two = Recipe.of({"model": "m", "epochs": 1, "freeze_depth": 2}, layer_groups=4)
        assert one == two
        many = Recipe.of({"model": "m", "epochs": 1, "freeze_depth": 99}, layer_groups=4)
        assert many.freeze_depth == 4

    def test_rates_that_the_architecture_does_not_have(self, make_tuner):
        settings = TrainingSettings(models=("densenet121",), pretrained=False, img_size=32)
        facts = make_tuner(settings).express.facts["densenet121"]
        assert facts.drop
        assert not facts.drop_path
        space = SearchSpace.from_dict(default_genes(["densenet121"]))
        express = Expression(settings, {"densenet121": facts}, {}, space.phenotype)
        recipes = [express(space.complete({"drop_path": rate})) for rate in (0.0, 0.3)]
        assert recipes[0] == recipes[1]
        recipes = [express(space.complete({"drop": rate})) for rate in (0.0, 0.3)]
        assert recipes[0] != recipes[1]


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "value"),
        [("lr", 0.0), ("lr", -1.0), ("lr", float("nan")), ("lr", "a"), ("head_lr_factor", 0),
         ("weight_decay", -0.1), ("l1", -1), ("batch_size", 0), ("batch_size", 1.5), ("drop", 1.0),
         ("drop_path", -0.1), ("freeze_depth", -1), ("freeze_depth", 1.5), ("freeze_depth", "all"),
         ("freeze_depth", float("nan")), ("freeze_depth", True), ("opt", 3), ("model", None),
         ("momentum", -1), ("layer_decay", 0), ("sched", "exp"), ("warmup", 1.0),
         ("smoothing", 1.0), ("mixup", -0.1), ("cutmix", float("inf")), ("augment", 1.1),
         ("hflip", 2), ("reprob", -0.5), ("epochs", 0), ("epochs", 2.0), ("patience", -1),
         ("learning_rate", 0.1)],
    )  # fmt: skip
    def test_a_value_out_of_range_is_named(self, field, value):
        with pytest.raises(SettingsError, match=field) as caught:
            Recipe.of({"model": "m", "epochs": 1, field: value}, layer_groups=4)
        assert "\n" not in str(caught.value)

    def test_a_model_that_was_not_given(self, runs, space):
        with pytest.raises(SettingsError, match="--model names only embedded"):
            runs.tuner.express(space.complete({"model": "test_byobnet"}))


def test_the_backbone_is_a_gene_when_there_are_several():
    assert "model" not in default_genes(["embedded"])
    assert next(iter(default_genes(["embedded", "resnet10t"]))) == "model"


def test_shared_pixels_are_the_trainers_alone(runs):
    shared = next(iter(runs.tuner.pixels.images.values()))
    assert isinstance(shared, SharedArray)
    before = shared.open().copy()
    runs(augment=1.0, reprob=0.5, again=True)
    assert (shared.open() == before).all()


def test_genome_values_reach_the_recipe_as_they_are(runs, space):
    recipe = runs.tuner.express(Genome({**space.default(), "lr": 0.0123456789}))
    assert recipe.lr == 0.0123456789
