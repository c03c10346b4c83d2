"""How an exported model does on labelled images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoft.errors import DataError
from evoft.training.data import SPLITS, Found, find, limit, load_from, read_images, told_of_all
from evoft.training.exported import look, open_exported

#: What stands for all splits together.
ALL = "all"


@dataclass(frozen=True, slots=True)
class Origin:
    """On what data a model was trained, and how that was split."""

    #: How many images there were.
    images: int
    #: As in ``Images``.
    fingerprint: str
    content: str | None
    #: What ``read_images`` and ``limit`` were given.
    seed: int
    val_share: float
    test_share: float
    max_train_images: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What an exported model says of labelled images."""

    #: Short name of the images' source.
    data: str
    #: Which of them were looked at: one of ``SPLITS``, or ``all``.
    split: str
    #: Whether the model was trained on images of this source, which were split as they were then.
    trained_on: bool
    #: The names of the model's classes.
    labels: tuple[str, ...]
    #: ``(images,)`` index of the class that each image is of.
    truth: NDArray[np.int64]
    #: ``(images,)`` index of the class that the model takes it for.
    taken_for: NDArray[np.int64]
    #: ``(images,)`` probability of that, 0 to 1.
    probability: NDArray[np.float64]
    #: Where each image is.
    images: tuple[str, ...]
    #: What is wrong with images that cannot be read; they are not among the others.
    unusable: tuple[DataError, ...]


def evaluate_model(
    folder: Path,
    source: str,
    split: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Have an exported model classify labelled images.

    Where the source is what the model was trained on, it is split as it was then: what it looks
    at by default are the images that nothing was trained on and nobody was chosen by.

    Args:
        folder: What ``evoft export`` wrote, or any model in the hub's format with label names.
        source: As for a run: a folder, a CSV, an npz, or ``digits``.  Not all classes need be
            there.
        split: One of ``SPLITS``, or ``all``; None: test if there is one, else all.
        progress: Called with how many images are done so far, and how many there are.

    Raises:
        BackboneError: The folder holds no model that timm loads.
        DataError: The source cannot be used, has a class that the model has not, has no image of
            that split, or no image that can be read.
    """
    exported = open_exported(folder)
    found = find(source)
    labels = {name: index for index, name in enumerate(exported.labels)}
    _require_known(found, labels, folder)
    parts, trained_on = _parts_of(found, source, folder, exported.labels)
    split = split or ("test" if (parts == SPLITS.index("test")).any() else ALL)
    chosen = np.flatnonzero((parts >= 0) & (split == ALL or parts == _index(split)))
    if not len(chosen):
        raise DataError(f"{found.source} has no images in {split}: give another --split")

    sight = look(
        exported,
        len(chosen),
        lambda index: load_from(found.pixels, int(chosen[index]), exported.preprocessing),
        progress=progress,
    )
    where = [found.where(int(index)) for index in chosen]
    if len(sight.unusable) == len(chosen):
        raise told_of_all(sight.unusable, where)
    seen = np.flatnonzero(sight.classes[:, 0] >= 0)
    return Evaluation(
        data=found.name,
        split=split,
        trained_on=trained_on,
        labels=exported.labels,
        truth=np.array([labels[found.labels[i]] for i in chosen[seen]], dtype=np.int64),
        taken_for=sight.classes[seen, 0],
        probability=sight.probabilities[seen, 0],
        images=tuple(where[i] for i in seen),
        unusable=tuple(sight.unusable[i] for i in sorted(sight.unusable)),
    )


def _index(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else -1


def _require_known(found: Found, labels: dict[str, int], folder: Path) -> None:
    if not found.labels:
        raise DataError(f"{found.source} has no images: give <class>/*, a CSV or an npz")
    unknown = sorted({label for label in found.labels if label not in labels})
    if unknown:
        raise DataError(
            f"{found.source} has images of {_listed(unknown)}, but the model in {folder} knows "
            f"{_listed(list(labels))}: rename those classes, or take them out"
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _parts_of(
    found: Found, source: str, folder: Path, labels: tuple[str, ...]
) -> tuple[NDArray[np.int8], bool]:
    """Return ``(images,)`` which split each image is of, and whether the model is from this source.

    The former is an index into ``SPLITS``.
    """
    origin = _origin(folder)
    if origin is None or found.classes != labels or len(found.labels) < origin.images:
        return found.split, False
    try:
        images = read_images(
            source,
            seed=origin.seed,
            val_share=origin.val_share,
            test_share=origin.test_share,
        )
    except DataError:  # the model's was without fault
        return found.split, False
    limited = limit(images, origin.max_train_images, origin.seed)
    if limited.fingerprint == origin.fingerprint:
        return images.split, True
    if images.content == origin.content:
        raise DataError(
            f"{found.source} has the images that the model was trained on, but in another order or "
            "other splits, so nothing tells which of them it has not seen: give them as they were "
            "then"
        )
    return found.split, False


def _origin(folder: Path) -> Origin | None:
    """Return on what data a model was trained, None where its folder does not say."""
    try:
        data = json.loads((folder / "metrics.json").read_text())["data"]
        return Origin(**{field.name: data[field.name] for field in fields(Origin)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
