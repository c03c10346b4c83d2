"""What images there are, before any of them is decoded for training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The splits in their order; ``Images.split`` holds indices into it.
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, eq=False)
class FilePixels:
    """Images that lie in files."""

    #: Absolute paths, one an image.
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def form(self) -> str:
        """What a digest of one image is taken over."""
        return "files"

    def take(self, indices: NDArray[np.int64]) -> FilePixels:
        """Return the images at ``indices``, in that order."""
        return FilePixels(tuple(self.paths[i] for i in indices))


@dataclass(frozen=True, slots=True, eq=False)
class ArrayPixels:
    """Images that lie in memory."""

    #: ``(images, height, width)`` when grey, ``(images, height, width, 3)`` when RGB.
    array: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.array)

    @property
    def form(self) -> str:
        """What a digest of one image is taken over: the shape tells equal bytes apart."""
        return "x".join(map(str, self.array.shape[1:]))

    def take(self, indices: NDArray[np.int64]) -> ArrayPixels:
        """Return the images at ``indices``, in that order."""
        return ArrayPixels(self.array[indices])


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a source holds as its author arranged it: not yet checked, read or split."""

    #: Short name for files and reports.
    name: str
    #: Absolute path of the source, or ``digits``.
    source: str
    pixels: FilePixels | ArrayPixels
    #: The class of each image, by name.
    labels: tuple[str, ...]
    #: ``(images,)`` index into ``SPLITS``; all 0 where the source has no splits.
    split: NDArray[np.int8]
    #: The classes that the source declares, images or none, sorted.
    classes: tuple[str, ...]
    #: Says where the image of an index is, for a message.
    where: Callable[[int], str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Labelled and split images whose pixels are decoded later.  Cheap to hold and to pass on."""

    #: Short name for files and reports: ``digits``, or the stem of the folder or file.
    name: str
    #: Absolute path of the source, from which a run can be resumed, or ``digits``.
    source: str
    #: Names of the classes, whole numbers first and by value, the others by code point.
    classes: tuple[str, ...]
    #: ``(images,)`` index into ``classes``.
    labels: NDArray[np.int64]
    #: ``(images,)`` index into ``SPLITS``.
    split: NDArray[np.int8]
    pixels: FilePixels | ArrayPixels
    #: SHA-256 of each image's file or array bytes.
    digests: tuple[bytes, ...]
    #: Hexadecimal SHA-256 over contents, labels, classes and split in their order; the same
    #: wherever the data lies and however old its files are.
    fingerprint: str
    #: Likewise of the source's images and their labels, in whatever order and split; it is the same
    #: where some were left out.
    content: str
    #: Sentences for the user on what was passed over or decided.
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the indices of a split's images, ascending.

        Args:
            split: One of ``SPLITS``.

        Raises:
            ValueError: It is not one of them.
        """
        if split not in SPLITS:
            raise ValueError(f"`split` must be one of {SPLITS}, but is {split!r}")
        return np.flatnonzero(self.split == SPLITS.index(split)).astype(np.int64)

    def counts(self) -> dict[str, int]:
        """Return how many images each split has, in the order of ``SPLITS``."""
        return {split: len(self.indices(split)) for split in SPLITS}

    def largest_class(self) -> dict[str, int]:
        """Return how many images each split has of its largest class."""
        return {split: int(np.bincount(self.labels[self.indices(split)]).max()) for split in SPLITS}


def fingerprint_of(
    classes: tuple[str, ...],
    labels: NDArray[np.int64],
    split: NDArray[np.int8],
    form: str,
    digests: tuple[bytes, ...],
) -> str:
    """Return the hexadecimal SHA-256 of the data, whatever its location and age."""
    digest = hashlib.sha256()
    # Lengths come first, so that no two data sets give the same bytes in another division.
    digest.update(json.dumps(["evoft images 1", form, list(classes), len(labels)]).encode())
    digest.update(labels.astype("<i8").tobytes())
    digest.update(split.astype("<i1").tobytes())
    digest.update(b"".join(digests))
    return digest.hexdigest()


def content_of(
    classes: tuple[str, ...], labels: NDArray[np.int64], form: str, digests: tuple[bytes, ...]
) -> str:
    """Return the hexadecimal SHA-256 of labelled images, whatever their order and their split."""
    digest = hashlib.sha256()
    digest.update(json.dumps(["evoft content 1", form, list(classes), len(labels)]).encode())
    pairs = zip(labels.astype("<i8"), digests, strict=True)
    digest.update(b"".join(sorted(label.tobytes() + image for label, image in pairs)))
    return digest.hexdigest()


def class_order(name: str) -> tuple[int, int, str]:
    """Return the sort key of a class name: whole numbers first, 2 before 10, then the others."""
    digits = name.removeprefix("-")
    if digits.isascii() and digits.isdecimal():
        return (0, int(name), name)
    return (1, 0, name)


def split_named(name: str) -> int | None:
    """Return the index in ``SPLITS`` of a split's name as people write it, None if it is none."""
    return _SPLIT_NAMES.get(name.strip().lower())


_SPLIT_NAMES = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
