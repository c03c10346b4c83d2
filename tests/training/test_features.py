"""Features behind a frozen prefix: the same results, computed once."""

from dataclasses import replace

import pytest
import torch

from evoft.settings import TrainingSettings
from evoft.training.features import FeatureCache
from evoft.training.prefix import Split
from evoft.trial import Trial

CLEAN = {"augment": 0.0, "hflip": 0.0, "reprob": 0.0, "mixup": 0.0, "cutmix": 0.0}


@pytest.fixture
def prefixed(monkeypatch):
    """Return how many images passed through a prefix, a number a batch, checks left aside."""
    counts = []
    real = FeatureCache.features

    def counted(*arguments):
        with monkeypatch.context() as patch:
            prefix = Split.prefix
            patch.setattr(Split, "prefix", lambda s, i: (counts.append(len(i)), prefix(s, i))[1])
            return real(*arguments)

    monkeypatch.setattr(FeatureCache, "features", counted)
    return counts


def tuner_with(make_tuner, folder, cache=None, **settings):
    return make_tuner(TrainingSettings(epochs=3, **settings), folder, cache=cache)


def trial(space, number=1, **genes):
    return Trial(number, space.complete({"batch_size": 8, "freeze_depth": 0.5, **genes}), 5)


def same_but_for_cost(one, other):
    return replace(one, peak_memory=0) == replace(other, peak_memory=0)


def weights(tuner, asked):
    return tuner.trained(asked.genome, asked.key).state_dict()


@pytest.mark.parametrize("depth", [0.25, 0.5, 0.75, 1.0])
def test_validation_gives_the_same_bits_with_and_without(make_tuner, space, tmp_path, depth):
    asked = trial(space, freeze_depth=depth, augment=0.5, mixup=0.2, drop=0.2, drop_path=0.1)
    shared = tuner_with(make_tuner, tmp_path / "a")
    alone = tuner_with(make_tuner, tmp_path / "b", cache_size=0)
    assert same_but_for_cost(shared.evaluate(asked), alone.evaluate(asked))
    first, second = weights(shared, asked), weights(alone, asked)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_images_of_validation_pass_through_frozen_layers_once(
    make_tuner, space, tmp_path, prefixed
):
    tuner = tuner_with(make_tuner, tmp_path)
    images = len(tuner.pixels.splits["val"])
    tuner.evaluate(trial(space, 1, augment=0.5))
    assert sum(prefixed) == images
    tuner.evaluate(trial(space, 2, augment=0.1, lr=1e-2, opt="sgd", drop=0.3))
    assert sum(prefixed) == images
    tuner.evaluate(trial(space, 3, augment=0.5, freeze_depth=1.0))
    assert sum(prefixed) == 2 * images


def test_images_that_a_recipe_leaves_alone_do_so_in_training_too(
    make_tuner, space, tmp_path, prefixed
):
    tuner = tuner_with(make_tuner, tmp_path)
    images = sum(len(tuner.pixels.splits[split]) for split in ("train", "val"))
    asked = trial(space, 1, **CLEAN)
    shared = tuner.evaluate(asked)
    tuner.evaluate(trial(space, 2, lr=1e-2, **CLEAN))
    assert sum(prefixed) == images
    alone = tuner_with(make_tuner, tmp_path / "b", cache_size=0).evaluate(asked)
    # Another batch through the prefix may round otherwise, so this is not to the bit.
    for one, other in zip(shared.curve, alone.curve, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-3, abs=1e-3)


def test_a_recipe_that_trains_everything_has_no_prefix(make_tuner, space, tmp_path, prefixed):
    tuner_with(make_tuner, tmp_path).evaluate(trial(space, freeze_depth=0.0, **CLEAN))
    assert prefixed == []


def test_frozen_layers_from_random_weights_are_not_shared(make_tuner, space, tmp_path, prefixed):
    tuner = tuner_with(make_tuner, tmp_path, pretrained=False)
    tuner.evaluate(trial(space, **CLEAN))
    assert prefixed == []
