import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from evoft.errors import SettingsError
from evoft.training.data import SPLITS, FilePixels, limit, read_images


@pytest.fixture
def images(fill, tmp_path):
    return read_images(fill(tmp_path / "set", {"a": 20, "b": 10, "c": 5}), seed=0)


def again(images, seed=0):
    return read_images(images.source, seed=seed)


def first_path(images):
    assert isinstance(images.pixels, FilePixels)
    return images.pixels.paths[0]


class TestRecord:
    def test_indices_are_disjoint_and_whole(self, images):
        parts = [images.indices(split) for split in SPLITS]
        assert sorted(np.concatenate(parts)) == list(range(len(images)))
        assert images.counts() == dict(zip(SPLITS, map(len, parts), strict=True))
        assert all(part.dtype == np.int64 for part in parts)
        assert (images.labels.dtype, images.split.dtype) == (np.int64, np.int8)

    def test_unknown_split(self, images):
        with pytest.raises(ValueError, match="holdout"):
            images.indices("holdout")

    def test_it_is_passed_to_other_processes(self, images):
        copy = pickle.loads(pickle.dumps(images))
        assert copy.fingerprint == images.fingerprint
        np.testing.assert_array_equal(copy.labels, images.labels)


class TestFingerprint:
    def test_it_is_a_sha256(self, images):
        assert len(bytes.fromhex(images.fingerprint)) == 32

    def test_place_and_age_do_not_matter(self, images, tmp_path):
        moved = tmp_path / "far" / "away"
        shutil.copytree(images.source, moved)
        for path in moved.rglob("*.png"):
            os.utime(path, (0, 0))
        assert read_images(moved, seed=0).fingerprint == images.fingerprint

    def test_what_is_passed_over_does_not_matter(self, images):
        with open(f"{images.source}/a/notes.txt", "w") as file:
            file.write("x")
        assert again(images).fingerprint == images.fingerprint

    def test_an_image_matters(self, images, paint, tmp_path):
        shutil.copy(paint(tmp_path / "new.png", 12345), first_path(images))
        assert again(images).fingerprint != images.fingerprint

    def test_another_image_matters(self, images, paint, tmp_path):
        paint(tmp_path / "set" / "a" / "new.png", 12345)
        assert again(images).fingerprint != images.fingerprint

    def test_a_label_matters(self, images, tmp_path):
        shutil.move(first_path(images), tmp_path / "set" / "b" / "moved.png")
        assert again(images).fingerprint != images.fingerprint

    def test_a_name_of_a_class_matters(self, images, tmp_path):
        (tmp_path / "set" / "c").rename(tmp_path / "set" / "d")
        assert again(images).fingerprint != images.fingerprint

    def test_the_split_matters(self, images):
        assert again(images, seed=1).fingerprint != images.fingerprint

    def test_arrays_too(self, tmp_path):
        x = np.random.default_rng(0).integers(0, 256, (12, 4, 6), dtype=np.uint8)
        y = np.arange(12) % 2

        def fingerprint(name, x):
            np.savez(tmp_path / name, x=x, y=y)
            return read_images(tmp_path / f"{name}.npz", seed=0).fingerprint

        first = fingerprint("one", x)
        assert fingerprint("two", x.astype(float)) == first
        assert fingerprint("three", x.reshape(12, 6, 4)) != first
        assert fingerprint("four", 255 - x) != first


class TestContent:
    def test_neither_the_split_nor_a_name_nor_a_limit_matters(self, images, tmp_path):
        assert len(bytes.fromhex(images.content)) == 32
        assert again(images, seed=1).content == images.content
        assert limit(images, 7, seed=0).content == images.content
        first = first_path(images)
        os.rename(first, f"{os.path.dirname(first)}/zzz.png")  # and so the last of its class
        assert again(images).content == images.content
        shutil.copytree(images.source, tmp_path / "copy")
        assert read_images(tmp_path / "copy", seed=2).content == images.content

    def test_images_and_labels_matter(self, images, paint, tmp_path):
        contents = {images.content}
        shutil.move(first_path(images), tmp_path / "set" / "b" / "moved.png")
        contents.add(again(images).content)
        paint(tmp_path / "set" / "a" / "new.png", 12345)
        contents.add(again(images).content)
        (tmp_path / "set" / "c").rename(tmp_path / "set" / "d")
        contents.add(again(images).content)
        assert len(contents) == 4


class TestLimit:
    def test_each_class_at_its_share(self, images):
        assert np.bincount(images.labels[images.indices("train")]).tolist() == [12, 6, 3]
        less = limit(images, 7, seed=0)
        assert less.counts() == {**images.counts(), "train": 7}
        assert np.bincount(less.labels[less.indices("train")]).tolist() == [4, 2, 1]
        assert less.notes[-1].startswith("train was limited to 7 of its 21 images")
        assert less.fingerprint != images.fingerprint

    @pytest.mark.parametrize("most", range(3, 21))
    def test_any_number_is_met(self, images, most):
        less = limit(images, most, seed=0)
        assert less.counts()["train"] == most
        assert np.bincount(less.labels[less.indices("train")], minlength=3).min() >= 1

    def test_what_is_left_is_what_it_was(self, images):
        less = limit(images, 7, seed=0)
        assert isinstance(less.pixels, FilePixels)
        assert isinstance(images.pixels, FilePixels)
        whole = dict(
            zip(images.pixels.paths, zip(images.labels, images.split, strict=True), strict=True)
        )
        for path, label, split in zip(less.pixels.paths, less.labels, less.split, strict=True):
            assert whole[path] == (label, split)

    def test_seed(self, images):
        assert limit(images, 7, seed=0).fingerprint == limit(images, 7, seed=0).fingerprint
        assert limit(images, 7, seed=0).fingerprint != limit(images, 7, seed=1).fingerprint

    @pytest.mark.parametrize("most", [None, 21, 1000])
    def test_enough_is_all(self, images, most):
        assert limit(images, most, seed=0) is images

    def test_fewer_than_classes(self, images):
        with pytest.raises(SettingsError, match="3, but is 2"):
            limit(images, 2, seed=0)

    def test_arrays(self):
        less = limit(read_images("digits", seed=0), 100, seed=0)
        assert len(less.pixels) == len(less) == 818


def test_neither_torch_nor_timm_is_imported():
    program = (
        "import sys; from evoft.training.data import read_images\n"
        "assert 'sklearn' not in sys.modules\n"
        "read_images('digits', seed=0)\n"
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
