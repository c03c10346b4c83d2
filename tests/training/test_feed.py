"""The feed: a trial's batches, whatever way its images come in."""

from dataclasses import replace

import pytest
import torch

from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training.features.cache import FeatureCache
from evoft.training.features.passes import Rendered, compute
from evoft.training.features.store import FeatureStore
from evoft.training.feed import Feed
from evoft.training.freezing import freeze
from evoft.training.views import possible

CHANGED = {"augment": 0.6, "hflip": 0.5, "reprob": 0.5}


def recipe(**values):
    return Recipe(
        **{"model": "embedded", "epochs": 2, "batch_size": 12, "freeze_depth": 2, **values}
    )


def cache(views=3):
    return FeatureCache(FeatureStore(None, 2**30), {"embedded": {}}, views=views)


@pytest.fixture(scope="module")
def tuner(make_tuner):
    return make_tuner(TrainingSettings())


@pytest.fixture(scope="module")
def train(tuner):
    return tuner.commons.examples("embedded", "train")


@pytest.fixture(scope="module")
def parts(tuner, train):
    model = tuner.start(recipe(), 0)
    freeze(model, 2)
    return cache().parts(model, recipe(), train)


def with_views(train, parts, asked, views=3):
    return replace(train, features=cache(views).drawn(parts, asked, train))


def test_an_epoch_shows_each_image_once_but_for_what_is_left_over(train):
    numbered = replace(train, labels=torch.arange(len(train)), classes=len(train))
    feed = Feed(numbered, recipe(**CHANGED, mixup=0.2), 3)
    assert (feed.batch, feed.steps) == (12, 3)
    orders = []
    for _ in range(2):
        batches = list(feed.epoch())
        assert len(batches) == 3
        for inputs, targets, labels in batches:
            assert inputs.shape[:2] == (12, 3)
            assert targets.shape == (12, len(train))
            assert labels.shape == (12,)
        seen = torch.cat([labels for *_, labels in batches]).tolist()
        assert len(set(seen)) == 36
        orders.append(seen)
    assert orders[0] != orders[1]


def test_a_batch_is_no_larger_than_the_split(train):
    feed = Feed(train, recipe(batch_size=128), 3)
    assert (feed.batch, feed.steps) == (40, 1)


def test_images_come_in_the_same_order_in_each_way(train, parts):
    ways = [
        (train, recipe(**CHANGED)),
        (with_views(train, parts, recipe()), recipe()),
        (with_views(train, parts, recipe(**CHANGED)), recipe(**CHANGED, cutmix=0.5)),
    ]
    numbered = [replace(t, labels=torch.arange(40), classes=40) for t, _ in ways]
    feeds = [Feed(t, r, 5) for t, (_, r) in zip(numbered, ways, strict=True)]
    for _ in range(2):
        orders = [torch.cat([labels for *_, labels in feed.epoch()]).tolist() for feed in feeds]
        assert orders[0] == orders[1] == orders[2]


def test_each_row_is_a_view_of_its_image(train, parts):
    asked = recipe(**CHANGED)
    viewed = replace(
        with_views(train, parts, asked), labels=torch.arange(len(train)), classes=len(train)
    )
    rendered = [next(compute(parts, train, Rendered(view, 3, None))) for view in possible(asked, 3)]
    feed, used = Feed(viewed, asked, 3), set()
    for _ in range(12):
        for inputs, _, labels in feed.epoch():
            assert isinstance(inputs, tuple)
            for row, place in enumerate(labels.tolist()):
                alike = [
                    number
                    for number, values in enumerate(rendered)
                    if all(
                        torch.equal(v[place], i[row]) for v, i in zip(values, inputs, strict=True)
                    )
                ]
                assert len(alike) == 1
                used.add(alike[0])
    assert used == set(range(len(rendered)))


def test_mixing_acts_on_what_the_prefix_gives(train, parts):
    plain, mixed = recipe(**CHANGED), recipe(**CHANGED, mixup=0.8)
    feeds = [Feed(with_views(train, parts, r), r, 3) for r in (plain, mixed)]
    differs = 0
    for (one, _, labels), (other, targets, same) in zip(*(f.epoch() for f in feeds), strict=True):
        assert torch.equal(labels, same)
        assert torch.allclose(targets.sum(1), torch.ones(12))
        differs += not torch.equal(one[0], other[0])
        # Both sum to the same over a batch, for partners are an order of it.
        assert torch.allclose(one[0].sum(0), other[0].sum(0), atol=1e-3)
    assert differs


@pytest.mark.parametrize("views", [False, True])
def test_a_seed_repeats_it_and_another_does_not(train, parts, views):
    asked = recipe(**CHANGED, mixup=0.2)
    source = with_views(train, parts, asked) if views else train
    first, again, other = (next(Feed(source, asked, seed).epoch()) for seed in (1, 1, 2))

    def flat(batch):
        inputs = batch[0] if isinstance(batch[0], tuple) else (batch[0],)
        return [*inputs, *batch[1:]]

    assert all(torch.equal(a, b) for a, b in zip(flat(first), flat(again), strict=True))
    assert not torch.equal(flat(first)[0], flat(other)[0])
