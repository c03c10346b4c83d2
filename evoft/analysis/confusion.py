"""What a model takes images of each class for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.analysis.intervals import Interval, balanced_interval, share_interval


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """How many images of each class a model took for each class."""

    classes: tuple[str, ...]
    #: ``(classes, classes)``: images of the class of the row that were taken for the column's.
    counts: NDArray[np.int64]

    @property
    def accuracy(self) -> Interval:
        """The share of the images that were classified rightly."""
        return share_interval(int(self.counts.trace()), int(self.counts.sum()))

    @property
    def balanced_accuracy(self) -> Interval:
        """The mean, over the classes that there are images of, of the shares classified rightly."""
        images = self.counts.sum(axis=1)
        there = np.flatnonzero(images)
        right = self.counts.diagonal()[there]
        return balanced_interval(right.tolist(), images[there].tolist())

    @property
    def largest_class(self) -> float:
        """The share of the images that are of the largest class, 0 to 1."""
        return float(self.counts.sum(axis=1).max() / self.counts.sum())


def confusion_of(
    classes: tuple[str, ...], truth: NDArray[np.int64], taken_for: NDArray[np.int64]
) -> Confusion:
    """Return how often images of each class were taken for each.

    Args:
        classes: Names of the classes.
        truth: ``(images,)`` index of the class that each image is of; at least one image.
        taken_for: ``(images,)`` index of the class that it was taken for.
    """
    count = len(classes)
    cells = np.bincount(truth * count + taken_for, minlength=count * count)
    return Confusion(classes, cells.reshape(count, count).astype(np.int64))


def class_rows(confusion: Confusion) -> list[dict[str, Any]]:
    """Return a row for each class that there are images of, those with the least recall first.

    ``recall`` is the share of its images that were classified rightly, ``precision`` the share of
    those taken for it that are of it (None where none was), and ``taken_for`` says for which other
    classes its images were taken, with how many, most first.
    """
    there = np.flatnonzero(confusion.counts.sum(axis=1))
    rows = [_row(confusion, index) for index in there.tolist()]
    return sorted(rows, key=lambda row: (row["recall"], -row["images"]))


def _row(confusion: Confusion, index: int) -> dict[str, Any]:
    counts, classes = confusion.counts, confusion.classes
    right, images = int(counts[index, index]), int(counts[index].sum())
    called = int(counts[:, index].sum())
    others = [int(other) for other in np.flatnonzero(counts[index]) if other != index]
    others.sort(key=lambda other: -counts[index, other])
    return {
        "class": classes[index],
        "images": images,
        "right": right,
        "recall": right / images,
        "precision": right / called if called else None,
        "taken_for": {classes[other]: int(counts[index, other]) for other in others},
    }
