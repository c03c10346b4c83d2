"""Prediction with an exported model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evoft.errors import DataError
from evoft.training.data import images_below, load_one, told_of_all
from evoft.training.exported import look, open_exported


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one image."""

    image: str
    #: The most probable classes, the first ahead.
    labels: tuple[str, ...]
    #: Their probabilities, 0 to 1.
    probabilities: tuple[float, ...]


def predict_files(
    folder: Path,
    images: Sequence[str],
    unusable: Callable[[DataError], None] | None = None,
    *,
    top: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction]:
    """Return the most probable classes of each image file.

    Args:
        folder: What ``evoft export`` wrote, or any model in the hub's format with label names.
        images: Image files, and folders, which stand for all images in and below them.
        unusable: Told what is wrong with each image that cannot be read, once the others are
            predicted; None: one such image is an error.
        top: How many classes are told of each image, at least 1.
        progress: Called with how many images are done so far, and how many there are.

    Returns:
        The predictions of the images that can be read, in their order.

    Raises:
        BackboneError: The folder holds no model that timm loads.
        DataError: No image can be read, or one cannot and nobody would be told; a folder cannot
            be listed, or there is no image in it.
    """
    files = [file for path in images for file in _files(path)]
    exported = open_exported(folder)

    sight = look(
        exported,
        len(files),
        lambda index: load_one(files[index], exported.preprocessing),
        top=top,
        progress=progress,
    )
    wrong = sight.unusable
    if wrong and (unusable is None or len(wrong) == len(files)):
        raise told_of_all(wrong, files)
    for index in sorted(wrong):
        assert unusable is not None
        unusable(wrong[index])
    return [
        Prediction(file, tuple(exported.labels[i] for i in classes), tuple(probabilities))
        for file, classes, probabilities in zip(
            files, sight.classes.tolist(), sight.probabilities.tolist(), strict=True
        )
        if classes[0] >= 0
    ]


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    files = images_below(path)
    if not files:
        raise DataError(f"there is no image in {path}: give another folder, or files")
    return files
