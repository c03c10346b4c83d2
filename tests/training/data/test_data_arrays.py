import numpy as np
import pytest

from evoft.errors import DataError
from evoft.training.data import ArrayPixels, read_images

RNG = np.random.default_rng(0)


def pixels(count, *shape, dtype=np.uint8):
    return RNG.integers(0, 256, (count, *(shape or (5, 4)))).astype(dtype)


def labels(count, classes=2):
    """Grouped by class, as files often are."""
    return np.sort(np.arange(count) % classes)


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return tmp_path / "set.npz"

    return write


def refused(path, *words):
    with pytest.raises(DataError) as caught:
        read_images(path, seed=0)
    for word in ("set.npz", *words):
        assert str(word) in str(caught.value)


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("images", "labels"), ("x_train", "y_train")])
def test_without_splits(npz, x, y):
    array = pixels(20)
    images = read_images(npz(**{x: array, y: labels(20)}), seed=0)
    assert images.name == "set"
    assert images.classes == ("0", "1")
    assert images.counts() == {"train": 12, "val": 4, "test": 4}
    assert isinstance(images.pixels, ArrayPixels)
    np.testing.assert_array_equal(images.pixels.array, array)
    for split in ("train", "val", "test"):
        assert len(set(np.bincount(images.labels[images.indices(split)]))) == 1


@pytest.mark.parametrize(("x", "y"), [("x_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_with_splits(npz, x, y):
    arrays = {x.format(s): pixels(n) for s, n in (("train", 9), ("val", 4), ("test", 5))}
    arrays |= {y.format(s): labels(n)[:, None] for s, n in (("train", 9), ("val", 4), ("test", 5))}
    images = read_images(npz(**arrays), seed=0)
    assert images.counts() == {"train": 9, "val": 4, "test": 5}
    assert images.notes == ()


def test_val_is_split_off_train_only(npz):
    path = npz(x_train=pixels(20), y_train=labels(20), x_test=pixels(10), y_test=labels(10))
    images = read_images(path, seed=0)
    assert images.counts() == {"train": 16, "val": 4, "test": 10}
    assert images.indices("test").tolist() == list(range(20, 30))


def test_class_names_are_sorted_and_labels_follow(npz):
    path = npz(x=pixels(9), y=labels(9, 3), classes=["zebra", "ant", "10"], other=1)
    images = read_images(path, seed=0)
    assert images.classes == ("10", "ant", "zebra")
    assert images.labels.tolist() == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    assert "arrays that evoft does not use: other" in images.notes


@pytest.mark.parametrize("dtype", ["U5", "S5"])
def test_labels_as_strings(npz, dtype):
    path = npz(x=pixels(6), y=np.repeat(["b", "a"], 3).astype(dtype))
    images = read_images(path, seed=0)
    assert images.classes == ("a", "b")
    assert images.labels.tolist() == [1, 1, 1, 0, 0, 0]


class TestPixels:
    @pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float32, np.float64])
    def test_whole_numbers_up_to_255(self, npz, dtype):
        array = pixels(6)
        images = read_images(npz(x=array.astype(dtype), y=labels(6)), seed=0)
        assert isinstance(images.pixels, ArrayPixels)
        np.testing.assert_array_equal(images.pixels.array, array)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_floats_up_to_1(self, npz, dtype):
        array = pixels(6)
        images = read_images(npz(x=(array / 255).astype(dtype), y=labels(6)), seed=0)
        assert isinstance(images.pixels, ArrayPixels)
        np.testing.assert_array_equal(images.pixels.array, array)

    def test_truth_values(self, npz):
        array = pixels(6) > 127
        images = read_images(npz(x=array, y=labels(6)), seed=0)
        assert isinstance(images.pixels, ArrayPixels)
        np.testing.assert_array_equal(images.pixels.array, array * np.uint8(255))

    def test_one_channel_is_grey(self, npz):
        images = read_images(npz(x=pixels(6, 5, 4, 1), y=labels(6)), seed=0)
        assert isinstance(images.pixels, ArrayPixels)
        assert images.pixels.array.shape == (6, 5, 4)

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (pixels(6) - 128.5, ("0..1",)),
            (pixels(6) / 100, ("fractional",)),
            (pixels(6, dtype=int) * 4, ("scale",)),
            (np.full((6, 5, 4), np.nan), ("nan",)),
            (pixels(6).astype(complex), ("complex",)),
            (pixels(6, 3, 5, 4), ("(6, 3, 5, 4)", "channels last")),
            (pixels(6, 5, 4, 4), ("(6, 5, 4, 4)", "leave out the last channel")),
            (pixels(6, 60), ("(6, 60)", "reshape them")),
            (pixels(6, 20), ("(6, 20)",)),
            (pixels(0), ("no images",)),
            (pixels(6, 0, 4), ("no images",)),
        ],
    )
    def test_refused(self, npz, array, words):
        refused(npz(x=array, y=labels(len(array))), "`x`", *words)

    def test_splits_of_different_sizes(self, npz):
        arrays = {"x_train": pixels(6), "x_test": pixels(6, 8, 8)}
        refused(npz(**arrays, y_train=labels(6), y_test=labels(6)), "x_test", "alike")


class TestRefusals:
    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({"a": pixels(6), "b": labels(6)}, ("x_train,y_train", "has a, b")),
            ({"x": pixels(6)}, ("no `y`",)),
            ({"y": labels(6)}, ("no `x`",)),
            ({"x": pixels(6), "y": labels(6), "x_test": pixels(2)}, ("no `y_test`",)),
            ({"x_test": pixels(6), "y_test": labels(6)}, ("x_train,y_train",)),
            (
                {"x": pixels(6), "y": labels(6), "images": pixels(6), "labels": labels(6)},
                ("x, images", "one form"),
            ),
            ({"x": pixels(6), "y": labels(5)}, ("`y`", "(6,)", "(5,)")),
            ({"x": pixels(6), "y": np.eye(6)}, ("one label an image", "(6, 6)")),
            ({"x": pixels(6), "y": labels(6) / 2}, ("`y`", "float64")),
            ({"x": pixels(6), "y": np.array(["a", ""] * 3)}, ("empty",)),
            ({"x": pixels(6), "y": labels(6), "classes": ["a"]}, ("label 1", "1 names")),
            ({"x": pixels(6), "y": labels(6) - 1, "classes": ["a", "b"]}, ("label -1",)),
            ({"x": pixels(6), "y": labels(6), "classes": ["a", "a"]}, ("twice",)),
            ({"x": pixels(6), "y": labels(6), "classes": ["a", "b", "c"]}, ("`c`", "empty")),
            ({"x": pixels(6), "y": labels(6), "classes": [["a", "b"]]}, ("list of names",)),
            ({"x": pixels(2), "y": np.array(["a", "z"]), "classes": ["a"]}, ("`z`",)),
            ({"x": pixels(6), "y": labels(6, 1)}, ("single class",)),
            ({"x": pixels(6), "y": labels(6, 3)}, ("`0`", "too small")),
        ],
    )
    def test_arrays(self, npz, arrays, words):
        refused(npz(**arrays), *words)

    def test_the_same_image_in_two_splits(self, npz):
        train, test = pixels(6), pixels(6)
        test[4] = train[2]
        arrays = {"x_train": train, "x_test": test, "y_train": labels(6), "y_test": labels(6)}
        refused(npz(**arrays), "x_train[2]", "x_test[4]", "same image")

    def test_object_arrays(self, npz):
        refused(npz(x=pixels(6), y=np.array([0, 1, None] * 2)), "object arrays")

    def test_a_truncated_file(self, npz):
        path = npz(x=pixels(6), y=labels(6))
        path.write_bytes(path.read_bytes()[:-200])
        refused(path, "damaged")

    def test_a_flipped_bit(self, npz):
        path = npz(x=pixels(60), y=labels(60))
        data = bytearray(path.read_bytes())
        data[500] ^= 1
        path.write_bytes(data)
        refused(path, "cannot be read as npz")


def test_digits():
    images = read_images("digits", seed=0)
    assert (images.name, images.source) == ("digits", "digits")
    assert images.classes == tuple("0123456789")
    assert images.counts() == {"train": 1079, "val": 359, "test": 359}
    assert isinstance(images.pixels, ArrayPixels)
    assert (images.pixels.array.min(), images.pixels.array.max()) == (0, 255)


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("fashion_mnist/fashion_mnist.npz", {"train": 48000, "val": 12000, "test": 10000}),
        ("omniglot_small/omniglot_small_28.npz", {"train": 2904, "val": 968, "test": 968}),
        ("sign_digits", {"train": 1240, "val": 411, "test": 411}),
    ],
)
def test_real_data(real_data, path, counts):
    images = read_images(real_data / path, seed=0)
    assert images.counts() == counts
    for split in counts:
        per_class = np.bincount(images.labels[images.indices(split)])
        assert per_class.min() >= 0.9 * per_class.max()
