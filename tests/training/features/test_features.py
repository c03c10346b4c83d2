"""Features behind a frozen prefix: the same results, computed once."""

from typing import ClassVar

import pytest
import torch
from trials import CLEAN, same_but_for_cost, trial

from evoft.outcome import Status
from evoft.search.space import SearchSpace
from evoft.settings import TrainingSettings
from evoft.training.features import kept as kept_module
from evoft.training.features.kept import Features, in_one_piece
from evoft.training.freezing import freeze
from evoft.training.precision import Precision
from evoft.training.prefix.split import Split


def tuner_with(make_tuner, folder, **settings):
    return make_tuner(TrainingSettings(epochs=3, **settings), folder)


def weights(tuner, asked):
    return tuner.trained(asked.genome, asked.key).state_dict()


@pytest.mark.parametrize("depth", [0.25, 0.5, 0.75, 1.0])
def test_validation_gives_the_same_bits_with_and_without(make_tuner, space, tmp_path, depth):
    asked = trial(space, freeze_depth=depth, augment=0.5, mixup=0.2, drop=0.2, drop_path=0.1)
    shared = tuner_with(make_tuner, tmp_path / "a", views=0)
    alone = tuner_with(make_tuner, tmp_path / "b", cache_size=0, views=0)
    assert same_but_for_cost(shared.evaluate(asked), alone.evaluate(asked))
    first, second = weights(shared, asked), weights(alone, asked)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_images_of_validation_pass_through_frozen_layers_once(
    make_tuner, space, tmp_path, prefixed
):
    tuner = tuner_with(make_tuner, tmp_path, views=0)
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


SHORT = "CUDA out of memory. Tried to allocate 2.00 GiB"


def test_a_batch_that_does_not_fit_passes_through_frozen_layers_in_parts(
    make_tuner, space, tmp_path, monkeypatch
):
    asked, sizes, real = trial(space, 1, **CLEAN), [], Split.prefix

    def scarce(self, images):
        sizes.append(len(images))
        if len(images) > 11:
            raise torch.OutOfMemoryError(SHORT)
        return real(self, images)

    wanted = tuner_with(make_tuner, tmp_path / "a").evaluate(asked)
    monkeypatch.setattr(Split, "prefix", scarce)
    got = tuner_with(make_tuner, tmp_path / "b").evaluate(asked)
    # The one that splits are checked with, 40 to train on and 30 of validation.
    assert sizes == [5, 40, 20, 10, 10, 20, 10, 10, 30, 15, 7, 8, 15, 7, 8]
    for one, other in zip(got.curve, wanted.curve, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-3, abs=1e-3)


def test_where_memory_runs_out_while_a_model_is_split_it_trains_whole_this_once(
    make_tuner, space, tmp_path, monkeypatch, prefixed, caplog
):
    asked = trial(space, 1, **CLEAN)
    whole = tuner_with(make_tuner, tmp_path / "a", cache_size=0).evaluate(asked)
    assert prefixed == []
    tuner = tuner_with(make_tuner, tmp_path / "b")
    with monkeypatch.context() as patch:

        def short_of_memory(model, example):
            raise torch.OutOfMemoryError(SHORT)

        patch.setattr("evoft.training.prefix.split._plan", short_of_memory)
        assert same_but_for_cost(tuner.evaluate(asked), whole)
    assert prefixed == []
    (message,) = caplog.messages
    assert message.startswith("embedded trains whole, for memory ran out while it was split: ")
    tuner.evaluate(asked)
    assert sum(prefixed) == sum(len(tuner.pixels.splits[split]) for split in ("train", "val"))


def batches_whole(tuner, asked):
    """Return how many batches of training went through the whole model."""
    model, recipe = tuner.start(tuner.express(asked.genome), 0), tuner.express(asked.genome)
    train, _ = tuner.commons.splits(model, recipe, lambda: None)
    return train.features is None


class TestBatches:
    """What is gathered several batches at a time is what is gathered alone."""

    def views(self, count):
        drawn = torch.Generator().manual_seed(1)
        return tuple(
            (torch.randn(20, 6, 2, 2, generator=drawn), torch.randn(20, 3, generator=drawn))
            for _ in range(count)
        )

    @pytest.mark.parametrize("views", [1, 2, 5])
    @pytest.mark.parametrize("room", [1, 3 * 4 * 27 * 4, 2**20])  # bytes; 27 floats an image
    def test_each_row_is_its_images(self, monkeypatch, views, room):
        monkeypatch.setattr(kept_module, "_GATHERED", room)
        values = self.views(views)
        drawn = torch.Generator().manual_seed(2)
        chosen = torch.randint(20, (5, 4), generator=drawn)
        # Not every view is drawn.
        of = torch.randint(max(1, views - 1), (5, 4), generator=drawn)
        separate = Features(torch.nn.Identity(), values, views)
        joined = in_one_piece(separate, torch.device("cpu"))
        for kept in (separate, joined):
            batches = list(kept.batches(chosen, of))
            assert len(batches) == 5
            for batch, places, numbers in zip(batches, chosen, of, strict=True):
                for at, rows in enumerate(batch):
                    pairs = zip(numbers.tolist(), places.tolist(), strict=True)
                    expected = torch.stack([values[n][at][place] for n, place in pairs])
                    assert torch.equal(rows, expected)
                assert all(map(torch.equal, kept.batch(places, numbers), batch))
        assert all(
            torch.equal(a, b) and a.data_ptr() != b.data_ptr()
            for one, other in zip(joined.values, values, strict=True)
            for a, b in zip(one, other, strict=True)
        )
        first = separate.batch(chosen[0])
        assert torch.equal(first[0], values[0][0][chosen[0]])


class TestViews:
    CHANGED: ClassVar = {"augment": 0.5, "hflip": 0.5, "reprob": 0.25, "mixup": 0.2, "cutmix": 0.5}

    def test_each_that_a_recipe_may_draw_passes_through_frozen_layers_once(
        self, make_tuner, space, tmp_path, prefixed
    ):
        tuner = tuner_with(make_tuner, tmp_path, views=3)
        train, val = (len(tuner.pixels.splits[split]) for split in ("train", "val"))
        tuner.evaluate(trial(space, 1, **{**CLEAN, "augment": 0.5}))
        assert sum(prefixed) == 2 * train + val
        tuner.evaluate(trial(space, 2, **{**CLEAN, "augment": 0.4, "mixup": 0.4, "lr": 1e-2}))
        assert sum(prefixed) == 2 * train + val
        tuner.evaluate(trial(space, 3, **{**CLEAN, "augment": 0.5, "hflip": 0.5}))
        assert sum(prefixed) == 4 * train + val
        tuner.evaluate(trial(space, 4, **{**CLEAN, "augment": 1.0}))
        assert sum(prefixed) == 5 * train + val

    def test_a_trial_is_the_same_whatever_the_worker_did_before(self, make_tuner, space, tmp_path):
        asked = trial(space, 9, **self.CHANGED)
        fresh = tuner_with(make_tuner, tmp_path / "a", views=3)
        alone = fresh.evaluate(asked)
        recipe = fresh.express(asked.genome)
        model = fresh.start(recipe, 0)
        cache = fresh.commons.features
        freeze(model, recipe.freeze_depth)
        part = cache.parts(model, recipe, fresh.commons.examples("embedded", "train"))
        pool = 12 * 40 * part.bytes_per_image
        # As much as there must be, so that what others left is thrown out while this one runs.
        used = tuner_with(make_tuner, tmp_path / "b", cache_size=pool, views=3)
        for number, depth in enumerate((1.0, 0.5, 0.75, 1.0), start=1):
            used.evaluate(trial(space, number, freeze_depth=depth, augment=1.0, hflip=0.5))
        assert not batches_whole(used, asked)
        after = used.evaluate(asked)
        assert same_but_for_cost(after, alone)
        assert same_but_for_cost(used.evaluate(asked), alone)
        first, second = weights(fresh, asked), weights(used, asked)
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_one_that_is_certain_trains_like_the_images_whole(self, make_tuner, space, tmp_path):
        genes = {**space.to_dict(), "hflip": {"type": "float", "low": 0.0, "high": 1.0}}
        asked = trial(SearchSpace.from_dict(genes), 1, **{**CLEAN, "hflip": 1.0})
        views, whole = (
            make_tuner(TrainingSettings(epochs=3, views=n), tmp_path / str(n), genes).evaluate(
                asked
            )
            for n in (1, 0)
        )
        # Another batch through the prefix may round otherwise, so this is not to the bit.
        for one, other in zip(views.curve, whole.curve, strict=True):
            assert one.metrics == pytest.approx(other.metrics, rel=1e-3, abs=1e-3)

    def test_what_does_not_fit_trains_whole_which_is_said_once(
        self, make_tuner, space, tmp_path, prefixed, caplog
    ):
        asked = trial(space, 1, **self.CHANGED)
        whole = tuner_with(make_tuner, tmp_path / "a", views=0).evaluate(asked)
        fresh = tuner_with(make_tuner, tmp_path / "b", cache_size=1, views=3)
        assert same_but_for_cost(fresh.evaluate(asked), whole)
        fresh.evaluate(trial(space, 2, **self.CHANGED))
        (message,) = caplog.messages
        assert message.startswith("the cache of 1 is too small for what frozen layers of embedded")

    def test_whether_it_fits_depends_on_what_any_recipe_may_draw(self, make_tuner, space, tmp_path):
        one = trial(space, 1, **{**CLEAN, "hflip": 0.5})
        several = trial(space, 2, **self.CHANGED)
        tuner = tuner_with(make_tuner, tmp_path, views=3)
        recipe = tuner.express(one.genome)
        model = tuner.start(recipe, 0)
        freeze(model, recipe.freeze_depth)
        train = tuner.commons.examples("embedded", "train")
        part = tuner.commons.features.parts(model, recipe, train)
        pool = 12 * len(train) * part.bytes_per_image
        for most, whole in ((pool, False), (pool - 1, True)):
            tuner = tuner_with(make_tuner, tmp_path, cache_size=most, views=3)
            assert batches_whole(tuner, one) == whole
            assert batches_whole(tuner, several) == whole
            assert not batches_whole(tuner, trial(space, 3, **CLEAN))
            assert not batches_whole(tuner, trial(space, 3, **{**CLEAN, "mixup": 0.4}))

    @pytest.mark.parametrize("genes", [{"freeze_depth": 0.0}, {"freeze_depth": 0.5}])
    def test_without_views_images_change_anew_in_each_epoch(
        self, make_tuner, space, tmp_path, genes
    ):
        tuner = tuner_with(make_tuner, tmp_path, views=0)
        assert batches_whole(tuner, trial(space, 1, **self.CHANGED, **genes))

    def test_layers_that_train_see_images_anew_in_each_epoch(self, make_tuner, space, tmp_path):
        asked = trial(space, 1, **self.CHANGED, freeze_depth=0.0)
        one = tuner_with(make_tuner, tmp_path / "a", views=0).evaluate(asked)
        other = tuner_with(make_tuner, tmp_path / "b", views=3).evaluate(asked)
        assert same_but_for_cost(one, other)


@pytest.mark.parametrize(("share", "kept"), [(0.6, True), (0.4, False)])
def test_whether_they_fit_is_told_by_the_precision_that_they_are_kept_in(
    make_tuner, space, tmp_path, monkeypatch, caplog, share, kept
):
    asked = trial(space, 1, **CLEAN)
    tuner = tuner_with(make_tuner, tmp_path / "plain")
    recipe = tuner.express(asked.genome)
    model = tuner.start(recipe, 0)
    freeze(model, recipe.freeze_depth)
    train = tuner.commons.examples("embedded", "train")
    plain = len(train) * tuner.commons.features.parts(model, recipe, train).bytes_per_image
    few = Precision(torch.bfloat16, None)
    monkeypatch.setattr("evoft.training.precision.precision_of", lambda *_: few)
    # In half as many bits they take half as much.
    tuner = tuner_with(make_tuner, tmp_path / "few", cache_size=int(share * plain))
    assert tuner.evaluate(asked).status is Status.OK
    assert (not any("too small" in said for said in caplog.messages)) == kept
