"""Features behind a frozen prefix: the same results, computed once."""

from dataclasses import replace

import pytest
import torch

from evoft.settings import TrainingSettings
from evoft.training.backbone import digest
from evoft.training.features import FeatureCache
from evoft.training.fine_tuner import FineTuner
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


def test_workers_share_what_one_of_them_computed(make_tuner, space, tmp_path, prefixed):
    (cache := tmp_path / "cache").mkdir()
    asked = trial(space, 1, **CLEAN)
    outcomes = []
    for name in ("a", "b"):
        tuner = tuner_with(make_tuner, tmp_path / name, cache)
        outcomes.append(tuner.evaluate(asked))
    images = sum(len(tuner.pixels.splits[split]) for split in ("train", "val"))
    assert sum(prefixed) == images
    assert len(list(cache.iterdir())) == 3  # train's, validation's and the lock
    alone = tuner_with(make_tuner, tmp_path / "c").evaluate(asked)
    assert sum(prefixed) == 2 * images
    assert same_but_for_cost(outcomes[0], alone)
    assert same_but_for_cost(outcomes[1], alone)


def test_what_is_evicted_is_computed_again_with_the_same_bits(
    make_tuner, space, tmp_path, prefixed
):
    trials = [
        trial(space, n, freeze_depth=depth, **CLEAN) for n, depth in enumerate((0.5, 0.75, 0.5))
    ]
    results, passed = [], []
    for number, room in enumerate((2**30, 340_000)):  # all of it; a trial's, not two trials'
        (cache := tmp_path / f"cache {number}").mkdir()
        tuner = tuner_with(make_tuner, tmp_path / str(number), cache, cache_size=room)
        results.append([tuner.evaluate(asked) for asked in trials])
        passed.append(sum(prefixed))
        assert 0 < sum(path.stat().st_size for path in cache.iterdir()) <= room
    assert passed[1] - passed[0] > passed[0]
    for one, other in zip(*results, strict=True):
        assert same_but_for_cost(one, other)


def test_another_image_weight_size_or_split_is_another_entry(make_tuner, space, tmp_path):
    (cache := tmp_path / "cache").mkdir()

    def entries(tuner, express=None, **pixels):
        tuner = replace(tuner, pixels=replace(tuner.pixels, **pixels), _kept={})
        if express is not None:
            tuner = replace(tuner, express=express)
        recipe = tuner.express(trial(space).genome)
        tuner._splits(tuner.start(recipe, 0), recipe, lambda: None)
        return {path.name for path in cache.glob("*.features")}

    tuner = tuner_with(make_tuner, tmp_path, cache)
    seen = entries(tuner)
    assert entries(tuner) == seen  # of validation alone
    assert len(seen) == 1
    val = tuner.pixels.splits["val"]
    larger = tuner_with(make_tuner, tmp_path, cache, img_size=40)
    darker = tuner_with(make_tuner, tmp_path, cache, mean=(0.1, 0.1, 0.1))
    for changed in (
        {"tuner": tuner, "fingerprint": "another"},
        {"tuner": tuner, "splits": {**tuner.pixels.splits, "val": val[::-1].copy()}},
        {"tuner": larger},
        {"tuner": darker},
    ):
        now = entries(**changed)
        assert len(now) == len(seen) + 1
        seen = now
    facts = tuner.express.facts["embedded"]
    start = FineTuner._start_weights

    def shifted(self, model):
        return {name: value + 1e-3 for name, value in start(tuner, model).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FineTuner, "_start_weights", shifted)
        other = replace(facts, weights=digest(shifted(tuner, "embedded")))
        now = entries(tuner, replace(tuner.express, facts={"embedded": other}))
    assert len(now) == len(seen) + 1


def test_what_is_too_large_is_not_kept_and_said_once(make_tuner, space, tmp_path, prefixed, caplog):
    (cache := tmp_path / "cache").mkdir()
    for number in range(2):
        tuner = tuner_with(make_tuner, tmp_path, cache, cache_size=1000)
        tuner.evaluate(trial(space, number))
        tuner.evaluate(trial(space, number, **CLEAN))
    assert prefixed == []
    (message,) = caplog.messages
    assert message.startswith("a cache of 1000 is too small for ")
    assert "--cache-size" in message
