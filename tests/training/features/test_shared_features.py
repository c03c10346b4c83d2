"""Features in a run's store: computed once for all workers, and never of other data."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from trials import CLEAN, same_but_for_cost, trial

from evoft.outcome import Status
from evoft.settings import TrainingSettings
from evoft.training.backbone import digest
from evoft.training.examples import Examples
from evoft.training.features import cache as features
from evoft.training.start import Start


def tuner_with(make_tuner, folder, cache=None, **settings):
    return make_tuner(TrainingSettings(epochs=2, **settings), folder, cache=cache)


def test_workers_share_what_one_of_them_computed(make_tuner, space, tmp_path, prefixed):
    (cache := tmp_path / "cache").mkdir()
    asked = trial(space, 1, **CLEAN)
    outcomes = []
    for name in ("a", "b"):
        tuner = tuner_with(make_tuner, tmp_path / name, cache)
        outcomes.append(tuner.evaluate(asked))
    images = sum(len(tuner.pixels.splits[split]) for split in ("train", "val"))
    assert sum(prefixed) == images
    assert len(list(cache.glob("*.features"))) == 2  # train's and validation's
    assert len(list(cache.iterdir())) == 4  # and the plan and the lock
    alone = tuner_with(make_tuner, tmp_path / "c").evaluate(asked)
    assert sum(prefixed) == 2 * images
    assert same_but_for_cost(outcomes[0], alone)
    assert same_but_for_cost(outcomes[1], alone)


@pytest.mark.slow
def test_another_crop_or_interpolation_is_another_feature(make_tuner, space, tmp_path, prefixed):
    (cache := tmp_path / "cache").mkdir()
    asked, images = trial(space, 1, **CLEAN), 40 + 30
    found = []
    for number, look in enumerate(({}, {"crop_pct": 0.6}, {"interpolation": "nearest"})):
        tuner = tuner_with(make_tuner, tmp_path / f"a{number}", cache, **look)
        found.append(tuner.evaluate(asked))
        assert sum(prefixed) == (2 * number + 1) * images
        alone = tuner_with(make_tuner, tmp_path / f"b{number}", **look)
        assert same_but_for_cost(found[-1], alone.evaluate(asked))
    assert len({str(outcome.curve) for outcome in found}) == 3


def test_what_is_evicted_is_computed_again_with_the_same_bits(
    make_tuner, space, tmp_path, prefixed
):
    trials = [
        trial(space, n, freeze_depth=depth, **CLEAN) for n, depth in enumerate((0.5, 0.75, 0.5))
    ]
    results, passed, room = [], [], 2**30
    for number in range(2):
        (cache := tmp_path / f"cache {number}").mkdir()
        tuner = tuner_with(make_tuner, tmp_path / str(number), cache, cache_size=room)
        results.append([tuner.evaluate(asked) for asked in trials])
        passed.append(sum(prefixed))
        taken = sum(path.stat().st_size for path in cache.glob("*.features"))
        assert 0 < taken <= room
        room = taken - 1
    assert passed[1] - passed[0] > passed[0]
    for one, other in zip(*results, strict=True):
        assert same_but_for_cost(one, other)


def test_a_model_is_split_once_for_all_workers(make_tuner, space, tmp_path, monkeypatch):
    (cache := tmp_path / "cache").mkdir()
    split, made = features.split, []

    def counted(model, depth, example):
        made.append(depth)
        return split(model, depth, example)

    monkeypatch.setattr(features, "split", counted)
    trials = [trial(space, n, freeze_depth=d, **CLEAN) for n, d in enumerate((0.5, 0.75, 0.5))]
    for name in ("a", "b"):
        tuner = tuner_with(make_tuner, tmp_path / name, cache)
        for asked in trials:
            tuner.evaluate(asked)
    assert len(made) == 2


class TestChain:
    """Features of a deeper cut are made of those of a shallower one, where those may be kept."""

    CHANGED: ClassVar = {"augment": 0.5, "hflip": 0.5, "mixup": 0.2, "drop": 0.2, "drop_path": 0.1}
    DEPTHS: ClassVar = {"embedded": (1, 2, 4, 5)}

    def chained(self, make_tuner, folder, cache=None, **settings):
        tuner = tuner_with(make_tuner, folder, cache, views=2, **settings)
        return replace(tuner, depths=self.DEPTHS)

    @pytest.mark.parametrize("batch", [256, 16])  # of 40 and 30 images, the last one's 8 and 14
    def test_features_have_the_same_bits(
        self, make_tuner, space, tmp_path, monkeypatch, prefixed, batch
    ):
        monkeypatch.setattr(Examples, "passing", batch)
        (cache := tmp_path / "cache").mkdir()
        tuners = [
            self.chained(make_tuner, tmp_path, cache),
            tuner_with(make_tuner, tmp_path, views=2),
        ]
        for depth in (1.0, 0.25, 0.75):
            asked = trial(space, freeze_depth=depth, **self.CHANGED)
            found = []
            for tuner in tuners:
                recipe = tuner.express(asked.genome)
                split = tuner.commons.splits(tuner.start(recipe, 0), recipe, lambda: None)
                found.append([v for e in split for view in e.features.values for v in view])
            assert len(found[0]) == len(found[1])
            assert all(map(torch.equal, *found))
        # Once straight from the images, and once at each of three depths.
        versions = 4 * 40 + 30
        assert sum(prefixed) == versions + 3 * versions

    @pytest.mark.parametrize("shared", [True, False])
    def test_images_pass_through_frozen_layers_once_and_trials_stay_as_they_are(
        self, make_tuner, space, tmp_path, prefixed, shared
    ):
        if shared:
            (cache := tmp_path / "cache").mkdir()
        trials = [
            trial(space, number, freeze_depth=depth, **self.CHANGED)
            for number, depth in enumerate((0.75, 1.0, 0.25, 0.5))
        ]
        tuner = self.chained(make_tuner, tmp_path / "a", cache if shared else None)
        chained = [tuner.evaluate(asked) for asked in trials]
        assert sum(prefixed) == 4 * 40 + 30
        alone = [tuner_with(make_tuner, tmp_path / "b", views=2).evaluate(t) for t in trials]
        assert all(map(same_but_for_cost, chained, alone))

    def test_where_not_all_fits_the_rest_does_it(self, make_tuner, space, tmp_path, prefixed):
        asked = trial(space, freeze_depth=1.0, **self.CHANGED)
        outcomes = []
        # What is kept of an image takes 24 KiB at the first depth, 8 at the next two, 1 at last.
        for kept, entries in ((41, 4), (24, 3), (9, 2), (8, 1)):
            (cache := tmp_path / str(kept)).mkdir()
            size = (kept * 1024) * 2 * 4 * 40
            tuner = self.chained(make_tuner, tmp_path, cache, cache_size=size)
            outcomes.append(tuner.evaluate(asked))
            assert len(list(cache.glob("*.features"))) == entries * (4 + 1)
        assert all(same_but_for_cost(outcomes[0], other) for other in outcomes)


def test_another_image_weight_size_or_split_is_another_entry(make_tuner, space, tmp_path):
    (cache := tmp_path / "cache").mkdir()

    def entries(tuner, express=None, **pixels):
        tuner = replace(tuner, pixels=replace(tuner.pixels, **pixels))
        if express is not None:
            tuner = replace(tuner, express=express)
        recipe = tuner.express(trial(space, **CLEAN).genome)
        tuner.commons.splits(tuner.start(recipe, 0), recipe, lambda: None)
        return {path.name for path in cache.glob("*.features")}

    tuner = tuner_with(make_tuner, tmp_path, cache)
    seen = entries(tuner)
    assert entries(tuner) == seen
    assert len(seen) == 2  # training's and validation's
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
        assert len(now) > len(seen)
        seen = now
    facts = tuner.express.facts["embedded"]
    start = Start._start_weights

    def shifted(self, model):
        return {name: value + 1e-3 for name, value in start(tuner.commons.start, model).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Start, "_start_weights", shifted)
        other = replace(facts, weights=digest(shifted(tuner, "embedded")))
        now = entries(tuner, replace(tuner.express, facts={"embedded": other}))
    assert len(now) > len(seen)


def test_what_is_too_large_is_not_kept_and_said_once(make_tuner, space, tmp_path, prefixed, caplog):
    (cache := tmp_path / "cache").mkdir()
    for number in range(2):
        tuner = tuner_with(make_tuner, tmp_path, cache, cache_size=1000)
        tuner.evaluate(trial(space, number))
        tuner.evaluate(trial(space, number, **CLEAN))
    assert prefixed == []
    (message,) = caplog.messages
    assert message.startswith("the cache of 1000 is too small for ")
    assert "--cache-size" in message


def test_a_model_that_cannot_be_traced_trains_whole_and_says_so_once(
    make_tuner, space, tmp_path, monkeypatch, prefixed, caplog
):
    (cache := tmp_path / "cache").mkdir()
    tuners = [tuner_with(make_tuner, tmp_path / name, cache, views=0) for name in ("a", "b")]
    asked = [trial(space, n, freeze_depth=d, drop=n / 4) for n, d in enumerate((0.5, 1.0))]
    network = type(tuners[0].start(tuners[0].express(asked[0].genome), 0))
    forward = network.forward

    def deciding(self, images):
        return forward(self, images if float(images.sum()) > -1e9 else -images)

    with monkeypatch.context() as patch:
        patch.setattr(network, "forward", deciding)
        outcomes = [[tuner.evaluate(trial) for trial in asked] for tuner in tuners]
    assert prefixed == []
    alone = tuner_with(make_tuner, tmp_path / "c", cache_size=0, views=0)
    for one, other, number in zip(*outcomes, asked, strict=True):
        assert one.status is Status.OK
        assert same_but_for_cost(one, other)
        assert same_but_for_cost(one, alone.evaluate(number))
    (record,) = caplog.records
    assert record.levelname == "WARNING"  # which needs no handler to be seen
    assert record.message.startswith("embedded trains whole, for it cannot be traced (TraceError")
