import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.errors import SettingsError
from evoft.training.data import FilePixels, read_images
from evoft.training.data.splitting import distinct_images, split_off

SHARE = st.floats(0.01, 0.49)


@st.composite
def classes_of_copies(draw):
    """Labels and contents in any order: 2 to 5 classes of 3 to 30 images with up to 4 copies."""
    labels, content = [], []
    for label in range(draw(st.integers(2, 5))):
        for copies in draw(st.lists(st.sampled_from([1, 1, 1, 2, 4]), min_size=3, max_size=30)):
            image = len(set(content))
            labels += [label] * copies
            content += [image] * copies
    order = draw(st.permutations(range(len(labels))))
    return np.array(labels)[order], np.array(content)[order]


@given(classes_of_copies(), SHARE, SHARE, st.integers(0, 2**40))
def test_every_class_is_in_every_split_and_copies_stay_together(data, val, test, seed):
    labels, content = data
    everything = np.zeros(len(labels), np.int8)
    split = split_off(labels, everything, content, {1: val, 2: test}, seed)
    assert not everything.any()
    for label in np.unique(labels):
        assert set(split[labels == label]) == {0, 1, 2}
    for image in np.unique(content):
        assert len(set(split[content == image])) == 1
    again = split_off(labels, everything, content, {1: val, 2: test}, seed)
    np.testing.assert_array_equal(split, again)


@given(st.lists(st.integers(3, 60), min_size=2, max_size=6), SHARE, SHARE, st.integers(0, 9))
def test_shares_are_met_to_the_image_without_copies(sizes, val, test, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    everything = np.zeros(len(labels), np.int8)
    split = split_off(labels, everything, np.arange(len(labels)), {1: val, 2: test}, seed)
    for label, size in enumerate(sizes):
        counts = np.bincount(split[labels == label], minlength=3)
        assert counts.min() >= 1
        for part, share in ((1, val), (2, test)):
            # One image off at most: by rounding, or to leave one for train.
            assert abs(counts[part] - share * size) <= 1


@given(classes_of_copies(), st.sampled_from([1, 2]), st.integers(0, 9))
def test_only_train_is_taken_from(data, made, seed):
    labels, content = data
    given_split = np.where(content % 7 == 0, 3 - made, 0).astype(np.int8)
    counts = distinct_images(labels, given_split, content, int(labels.max()) + 1)
    if counts.min() < 2:
        return
    split = split_off(labels, given_split, content, {made: 0.3}, seed)
    np.testing.assert_array_equal(split[given_split != 0], given_split[given_split != 0])
    for label in np.unique(labels):
        assert {0, made} <= set(split[(labels == label) & (given_split == 0)])


def test_another_seed_splits_otherwise():
    labels = np.repeat([0, 1], 50)
    everything = np.zeros(100, np.int8)
    splits = [
        split_off(labels, everything, np.arange(100), {1: 0.2, 2: 0.2}, seed) for seed in range(5)
    ]
    assert len({split.tobytes() for split in splits}) == 5


def test_the_split_is_the_same_on_every_machine():
    labels = np.repeat([0, 1], 5)
    split = split_off(labels, np.zeros(10, np.int8), np.arange(10), {1: 0.2, 2: 0.2}, 0)
    assert split.tolist() == [0, 1, 2, 0, 0, 0, 0, 2, 1, 0]


def test_nothing_to_make():
    split = np.array([0, 1, 2], np.int8)
    np.testing.assert_array_equal(
        split_off(np.zeros(3, np.int64), split, np.arange(3), {}, 0), split
    )


def test_an_image_of_two_classes_stays_in_one_split():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    content = np.array([0, 1, 2, 3, 3, 4, 5, 6])
    for seed in range(20):
        split = split_off(labels, np.zeros(8, np.int8), content, {1: 0.2, 2: 0.2}, seed)
        assert split[3] == split[4]


def test_copies_are_told_and_kept_together(fill, tmp_path):
    root = fill(tmp_path, {"a": 9, "b": 9})
    for i in range(5):
        shutil.copy(root / "a" / "0.png", root / "a" / f"copy {i}.png")
    shutil.copy(root / "a" / "0.png", root / "b" / "astray.png")
    for seed in range(5):
        images = read_images(root, seed=seed)
        assert isinstance(images.pixels, FilePixels)
        copies = [
            i for i, p in enumerate(images.pixels.paths) if "copy" in p or "astray" in p or i == 0
        ]
        assert len(copies) == 7
        assert len(set(images.split[copies])) == 1
    assert images.notes[:2] == (
        "exact copies of other images, each kept in one split with its like: 6",
        "exact copies of an image of another class: 1",
    )


@pytest.mark.parametrize("shares", [(0, 0.2), (0.2, 1), (-0.1, 0.2), (0.5, 0.5), (0.2, "much")])
def test_shares_out_of_range(shares):
    with pytest.raises(SettingsError, match="share"):
        read_images("digits", seed=0, val_share=shares[0], test_share=shares[1])
