"""Images and labels in an npz file, and scikit-learn's bundled digits."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.errors import DataError
from evoft.training.data.images import SPLITS, ArrayPixels, Found, class_order

# Ways to name images and labels; `{}` is a split.  The last is MedMNIST's.
_SPLIT_KEYS = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))
_WHOLE_KEYS = (("x", "y"), ("images", "labels"))
_ACCEPTED = (
    "x_train,y_train[,x_val,y_val][,x_test,y_test], or x,y, or images,labels, and classes if the "
    "labels are indices"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The images and labels of one split, as the file has them."""

    split: int
    x_key: str
    y_key: str
    x: NDArray[Any]
    y: NDArray[Any]


def find_in_npz(source: str) -> Found:
    """Return the images of an npz file.

    Args:
        source: Absolute path of the file.

    Raises:
        DataError: The file cannot be read, its keys are others, or its arrays do not fit.
    """
    arrays = _load(source)
    parts = _parts(source, arrays)
    used = {"classes"} | {key for part in parts for key in (part.x_key, part.y_key)}
    passed = [key for key in arrays if key not in used]
    labels, classes = _labels(source, parts, arrays.get("classes"))
    places = [(part.x_key, i) for part in parts for i in range(len(part.x))]
    return Found(
        name=Path(source).stem,
        source=source,
        pixels=ArrayPixels(_pixels(source, parts)),
        labels=labels,
        split=np.concatenate([np.full(len(part.x), part.split, np.int8) for part in parts]),
        classes=classes,
        where=lambda index: "{}[{}]".format(*places[index]) + f" of {source}",
        notes=(f"arrays that evoft does not use: {', '.join(passed)}",) if passed else (),
    )


def find_digits() -> Found:
    """Return scikit-learn's bundled digits: 1797 scans of 8x8 greys in 10 classes.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError("`digits` comes with scikit-learn: pip install scikit-learn") from None
    data = load_digits()
    # Ink from 0 to 16 becomes grey from 0 to 255.
    array = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return Found(
        name="digits",
        source="digits",
        pixels=ArrayPixels(array),
        labels=tuple(str(label) for label in data.target),
        split=np.zeros(len(array), np.int8),
        classes=tuple(str(label) for label in range(10)),
        where=lambda index: f"image {index} of digits",
    )


def _load(source: str) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(source):
        raise DataError(f"{source} is damaged or not an npz file: write it with numpy.savez")
    try:
        # Without pickle: unpickling data runs whatever its author put there.
        with np.load(source, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{source} cannot be read as npz ({error}): write it again with numpy.savez, without "
            "object arrays"
        ) from None


def _parts(source: str, arrays: Mapping[str, NDArray[Any]]) -> list[_Part]:
    parts = []
    for x, y in _SPLIT_KEYS:
        for split, name in enumerate(SPLITS):
            parts += _part(source, arrays, split, x.format(name), y.format(name))
    for x, y in _WHOLE_KEYS:
        parts += _part(source, arrays, 0, x, y)
    if not any(part.split == 0 for part in parts):
        raise DataError(
            f"{source} must have the arrays {_ACCEPTED}, but has {', '.join(arrays) or 'none'}: "
            "rename them"
        )
    splits = [part.split for part in parts]
    if len(set(splits)) < len(splits):
        keys = ", ".join(part.x_key for part in parts)
        raise DataError(f"{source} has images under several names, {keys}: keep one form")
    return parts


def _part(
    source: str, arrays: Mapping[str, NDArray[Any]], split: int, x_key: str, y_key: str
) -> list[_Part]:
    if x_key not in arrays and y_key not in arrays:
        return []
    for key, other in ((x_key, y_key), (y_key, x_key)):
        if key not in arrays:
            raise DataError(f"{source} has `{other}` but no `{key}`: add it, or take it out")
    x, y = arrays[x_key], arrays[y_key]
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise DataError(
            f"`{x_key}` of {source} must have the shape (images, height, width[, 1 or 3 "
            f"channels]), but has {x.shape}: {_way_out(x.shape)}"
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (len(x),):
        raise DataError(
            f"`{y_key}` of {source} must have one label an image, shape ({len(x)},), but has "
            f"{y.shape}"
        )
    if 0 in x.shape:
        raise DataError(f"`{x_key}` of {source} has no images (shape {x.shape}): take it out")
    return [_Part(split, x_key, y_key, x[..., 0] if x.shape[3:] == (1,) else x, y)]


def _pixels(source: str, parts: list[_Part]) -> NDArray[np.uint8]:
    first = parts[0]
    for part in parts:
        if part.x.shape[1:] != first.x.shape[1:] or part.x.dtype != first.x.dtype:
            raise DataError(
                f"`{first.x_key}` and `{part.x_key}` of {source} must be alike in shape and type, "
                f"but are {first.x.dtype} {first.x.shape} and {part.x.dtype} {part.x.shape}"
            )
    x = np.concatenate([part.x for part in parts]) if len(parts) > 1 else first.x
    return _to_uint8(f"`{first.x_key}` of {source}", x)


def _to_uint8(where: str, x: NDArray[Any]) -> NDArray[np.uint8]:
    """Take integers and whole floats in 0..255 as they are; stretch truth values and 0..1."""
    if x.dtype == np.uint8:
        return x
    rule = "pixels must be uint8, whole numbers in 0..255, or floats in 0..1"
    if x.dtype.kind not in "buif":
        raise DataError(f"{where} has pixels of type {x.dtype}, but {rule}")
    low, high = float(x.min()), float(x.max())
    if x.dtype.kind in "bf" and low >= 0 and high <= 1:
        return np.rint(x.astype(np.float32) * 255).astype(np.uint8)
    # NaN fails every comparison.
    if not (low >= 0 and high <= 255):
        raise DataError(f"{where} has pixels from {low:g} to {high:g}, but {rule}: scale them")
    if x.dtype.kind == "f" and not bool((x == np.rint(x)).all()):
        raise DataError(f"{where} has fractional pixels up to {high:g}, but {rule}: scale them")
    return x.astype(np.uint8)


def _labels(
    source: str, parts: list[_Part], names: NDArray[Any] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return each image's class and the classes, by name."""
    labels = [label for part in parts for label in _plain(source, part.y_key, part.y)]
    if names is None:
        every = tuple(map(str, labels))
        return every, tuple(sorted(set(every), key=class_order))
    if names.ndim != 1:
        raise DataError(f"`classes` of {source} must be a list of names, but has {names.shape}")
    classes = tuple(map(str, _plain(source, "classes", names)))
    if len(set(classes)) < len(classes):
        raise DataError(f"`classes` of {source} has a name twice: names must differ")
    if isinstance(labels[0], int):
        for label in labels:
            if not 0 <= int(label) < len(classes):
                raise DataError(
                    f"{source} has the label {label}, but `classes` has {len(classes)} names, for "
                    f"labels from 0 to {len(classes) - 1}"
                )
        labels = [classes[int(label)] for label in labels]
    elif unknown := set(labels) - set(classes):
        raise DataError(
            f"{source} has the label `{sorted(map(str, unknown))[0]}`, which `classes` does not "
            "name: add it there"
        )
    return tuple(map(str, labels)), tuple(sorted(classes, key=class_order))


def _plain(source: str, key: str, y: NDArray[Any]) -> list[int | str]:
    """Return labels as Python integers or as strings."""
    if y.dtype.kind in "biu":
        return [int(label) for label in y]
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    if y.dtype.kind != "U":
        raise DataError(
            f"`{key}` of {source} must hold whole numbers or strings, but holds {y.dtype}"
        )
    if not all(labels := [str(label) for label in y]):
        raise DataError(f"`{key}` of {source} has an empty string: every class must have a name")
    return list(labels)


def _way_out(shape: tuple[int, ...]) -> str:
    """Return what to do with images of a shape that is not taken."""
    if len(shape) == 4 and shape[1] in (1, 3):
        return "move the channels last"
    if len(shape) == 4 and shape[3] in (2, 4):
        return "leave out the last channel, which is the opacity as a rule"
    return "reshape them"
