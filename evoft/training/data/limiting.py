"""Fewer training images, for a quick search on much data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evoft.errors import SettingsError
from evoft.seeds import generator
from evoft.training.data.images import Images, fingerprint_of


def limit(images: Images, most: int | None, seed: int) -> Images:
    """Return the images with at most ``most`` of the training split, each class at its share.

    Args:
        images: The images; val and test stay as they are.
        most: How many training images are kept, at least one a class; None: all.
        seed: The run's seed.

    Returns:
        ``images`` itself if it has no more than ``most``, else images with another fingerprint.

    Raises:
        SettingsError: There are more classes than ``most``.
    """
    train = images.indices("train")
    if most is None or len(train) <= most:
        return images
    if most < len(images.classes):
        raise SettingsError(
            "`max_train_images` must be at least the number of classes, "
            f"{len(images.classes)}, but is {most}"
        )
    counts = np.bincount(images.labels[train], minlength=len(images.classes))
    kept = [np.flatnonzero(images.split != 0)]
    for label, quota in enumerate(_quotas(counts, most)):
        members = train[images.labels[train] == label]
        kept.append(generator(seed, "limit", label).permutation(members)[:quota])
    return _subset(
        images,
        np.sort(np.concatenate(kept)).astype(np.int64),
        f"train was limited to {most} of its {len(train)} images: each class at its share, "
        f"seed {seed}",
    )


def _quotas(counts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Divide ``most`` by largest remainder, after one image for each class."""
    spare = most - len(counts)
    exact = (counts - 1) * spare / (counts.sum() - len(counts))
    quotas: NDArray[np.int64] = exact.astype(np.int64)
    by_remainder = np.argsort(quotas - exact, kind="stable")
    quotas[by_remainder[: spare - int(quotas.sum())]] += 1
    quotas += 1
    return quotas


def _subset(images: Images, kept: NDArray[np.int64], note: str) -> Images:
    labels, split = images.labels[kept], images.split[kept]
    pixels = images.pixels.take(kept)
    digests = tuple(images.digests[i] for i in kept)
    return replace(
        images,
        labels=labels,
        split=split,
        pixels=pixels,
        digests=digests,
        fingerprint=fingerprint_of(images.classes, labels, split, pixels.form, digests),
        notes=(*images.notes, note),
    )
