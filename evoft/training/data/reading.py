"""Reading what images there are: find, check, hash and decode once, split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evoft.errors import DataError, SettingsError
from evoft.machine import usable_cores
from evoft.places import place
from evoft.rules import require
from evoft.training.data.arrays import find_digits, find_in_npz
from evoft.training.data.folders import find_in_folder
from evoft.training.data.images import (
    SPLITS,
    FilePixels,
    Found,
    Images,
    content_of,
    fingerprint_of,
)
from evoft.training.data.parallel import for_each
from evoft.training.data.pictures import read_bytes, to_picture
from evoft.training.data.splitting import (
    distinct_images,
    require_splittable,
    split_off,
    taken_from,
)
from evoft.training.data.tables import find_in_table
from evoft.training.data.unusable import told_of_all


def read_images(
    source: str | os.PathLike[str],
    *,
    seed: int,
    val_share: float = 0.2,
    test_share: float = 0.2,
    before: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Images:
    """Return the images of a source, every one of them known to be decodable.

    A split that the source has not is split off its train: stratified, the same for the same
    data and seed, and never with the same image in two splits.

    Args:
        source: A folder ``{train,val,test}/<class>/*`` or ``<class>/*``, a CSV
            ``filepath,label[,split]``, an npz of images and labels, or ``digits``.
        seed: The run's seed.
        val_share: Share of train that becomes val where there is none, ``(0, 1)``.
        test_share: Share of train that becomes test where there is none, ``(0, 1)``.
        before: Called before any image is read, once all is right that can be told until then.
        progress: Called on this thread with how many files have been read so far, and how many
            there are; not at all for images in an array.

    Raises:
        DataError: The images or labels cannot be used; the sentence names the file or the class.
        SettingsError: A share is out of its range.
    """
    shares = _shares(val_share, test_share)
    found = find(source)
    index = {name: i for i, name in enumerate(found.classes)}
    labels = np.array([index[label] for label in found.labels], dtype=np.int64)
    made = [i for i in (1, 2) if not bool((found.split == i).any())]
    _require_classes(found, labels, made)
    if before is not None:
        before()

    digests = _digests(found, progress)
    content = _numbered(digests)
    _require_no_leak(found, content)
    distinct = distinct_images(labels, found.split, content, len(index))
    require_splittable(
        found.source,
        found.classes,
        distinct,
        made,
        lambda label: taken_from(label, labels, found.split, content),
    )
    split = split_off(labels, found.split, content, {i: shares[i] for i in made}, seed)
    return Images(
        name=found.name,
        source=found.source,
        classes=found.classes,
        labels=labels,
        split=split,
        pixels=found.pixels,
        digests=digests,
        fingerprint=fingerprint_of(found.classes, labels, split, found.pixels.form, digests),
        content=content_of(found.classes, labels, found.pixels.form, digests),
        notes=(*found.notes, *_copies(labels, content), *_split_notes(made, shares, seed)),
    )


def _shares(val_share: float, test_share: float) -> dict[int, float]:
    values = {"val_share": val_share, "test_share": test_share}
    require(values, {"in (0, 1)": tuple(values)})
    if val_share + test_share >= 1:
        raise SettingsError(
            "`val_share + test_share < 1` must hold, but got "
            f"(val_share={val_share}, test_share={test_share})"
        )
    return {1: val_share, 2: test_share}


def find(source: str | os.PathLike[str]) -> Found:
    """Return the images of a source as its author arranged them: none is read yet.

    Args:
        source: As in ``read_images``.

    Raises:
        DataError: There is no such source, or its arrangement is none that evoft knows.
    """
    given = os.fspath(source)
    if given == "digits":
        return find_digits()
    path = os.path.abspath(place(given))
    forms = "give a folder, a .csv or .npz file, or `digits`"
    if not os.path.exists(path):
        raise DataError(f"{path} does not exist: {forms}")
    if os.path.isdir(path):
        return find_in_folder(path)
    readers = {".csv": find_in_table, ".npz": find_in_npz}
    reader = readers.get(os.path.splitext(path)[1].lower())
    if reader is None:
        raise DataError(f"{path} is neither a folder nor a .csv or .npz file: {forms}")
    return reader(path)


def _require_classes(found: Found, labels: NDArray[np.int64], made: Sequence[int]) -> None:
    """Check what can be checked without reading an image, so that it is told at once."""
    source, classes = found.source, found.classes
    if not len(labels):
        raise DataError(
            f"{source} has no images: evoft takes <class>/*, {{train,val,test}}/<class>/*, a CSV "
            "or an npz of images"
        )
    if not (found.split == 0).any():
        raise DataError(f"{source} has no images for train: give some of them that split")
    if len(classes) < 2:
        raise DataError(
            f"{source} has a single class, `{classes[0]}`: there must be two at least to tell apart"
        )
    counts = np.array(
        [np.bincount(labels[found.split == s], minlength=len(classes)) for s in range(3)]
    )
    for name, count in zip(classes, counts.sum(axis=0), strict=True):
        if not count:
            raise DataError(
                f"{source}: class `{name}` is empty: add images to it or take the class out"
            )
    for split in (0, 1, 2):
        for name, count in zip(classes, counts[split], strict=True):
            if split not in made and not count:
                raise DataError(
                    f"{source}: class `{name}` has no images in {SPLITS[split]}: every split must "
                    "have every class; add some or take the class out"
                )
    require_splittable(source, classes, counts[0].astype(np.int64), made)


def _digests(found: Found, progress: Callable[[int, int], None] | None) -> tuple[bytes, ...]:
    """Return each image's SHA-256; files are decoded to the last pixel in the same pass."""
    pixels = found.pixels
    if not isinstance(pixels, FilePixels):
        return tuple(hashlib.sha256(image.tobytes()).digest() for image in pixels.array)
    paths = pixels.paths
    unusable: dict[int, DataError] = {}

    def one(index: int) -> bytes:
        try:
            data = read_bytes(paths[index])
            to_picture(data, paths[index])
        except DataError as error:
            unusable[index] = error
            return b""
        return hashlib.sha256(data).digest()

    digests = for_each(len(paths), one, threads=usable_cores(), progress=progress)
    if unusable:
        raise told_of_all(unusable, paths)
    return tuple(digests)


def _numbered(digests: Sequence[bytes]) -> NDArray[np.int64]:
    """Return ``(images,)``: a number for each content, equal where the digests are."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(d, len(numbers)) for d in digests], dtype=np.int64)


def _require_no_leak(found: Found, content: NDArray[np.int64]) -> None:
    """Check that no image is in two of the splits that the source gives."""
    first: dict[int, int] = {}
    leaks = [
        (other, index)
        for index, image in enumerate(content.tolist())
        if found.split[other := first.setdefault(image, index)] != found.split[index]
    ]
    if not leaks:
        return
    other, index = leaks[0]
    more = f"; {len(leaks) - 1} more are in two splits" if len(leaks) > 1 else ""
    raise DataError(
        f"{found.where(other)} in {SPLITS[found.split[other]]} and {found.where(index)} in "
        f"{SPLITS[found.split[index]]} are the same image, so a score would be too good: take it "
        f"out of one split{more}"
    )


def _copies(labels: NDArray[np.int64], content: NDArray[np.int64]) -> list[str]:
    """Return notes on images that are there several times."""
    _, first, member, sizes = np.unique(
        content, return_index=True, return_inverse=True, return_counts=True
    )
    notes = []
    if copies := int((sizes - 1).sum()):
        notes.append(
            f"exact copies of other images, each kept in one split with its like: {copies}"
        )
    if other := int((labels != labels[first][member]).sum()):
        notes.append(f"exact copies of an image of another class: {other}")
    return notes


def _split_notes(made: Sequence[int], shares: dict[int, float], seed: int) -> list[str]:
    if not made:
        return []
    parts = " and ".join(SPLITS[i] for i in made)
    sizes = " and ".join(f"{shares[i]:.0%}" for i in made)
    verb = "was" if len(made) == 1 else "were"
    return [f"{parts} {verb} split off train: {sizes} of it, each class at its share, seed {seed}"]
