"""Splitting off what a source does not split itself: stratified, deterministic, without leaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evoft.errors import DataError
from evoft.seeds import generator
from evoft.training.data.images import SPLITS


def split_off(
    labels: NDArray[np.int64],
    split: NDArray[np.int8],
    content: NDArray[np.int64],
    shares: Mapping[int, float],
    seed: int,
) -> NDArray[np.int8]:
    """Return ``split`` with shares of its training images moved to other splits.

    Within each class the shares are met to the image where no two images are equal.  Images of
    equal content always stay together, counted to the class of the first of them; every class
    has an image in every split.

    Args:
        labels: ``(images,)`` index of the class.
        split: ``(images,)`` index into ``SPLITS``.
        content: ``(images,)`` equal where two images are the same to the byte.
        shares: Share of the training images for each split to be made, by index into ``SPLITS``.
        seed: The run's seed.

    Returns:
        ``(images,)``; only entries that were 0 differ.  Each class must have as many distinct
        training images as splits are made, and one more: ``distinct_images`` counts them.
    """
    train = np.flatnonzero(split == 0)
    owner, member, sizes = _bundles(labels[train], content[train])
    parts = np.array([0, *shares], dtype=np.int8)
    of_bundle = np.zeros(len(sizes), dtype=np.int8)
    for label in np.unique(owner):
        shuffled = generator(seed, "split", int(label)).permutation(np.flatnonzero(owner == label))
        wanted = _wanted(int(sizes[shuffled].sum()), list(shares.values()))
        of_bundle[shuffled] = parts[_assign(sizes[shuffled], wanted)]
    result = split.copy()
    result[train] = of_bundle[member]
    return result


def distinct_images(
    labels: NDArray[np.int64],
    split: NDArray[np.int8],
    content: NDArray[np.int64],
    classes: int,
) -> NDArray[np.int64]:
    """Return ``(classes,)``: how many distinct training images each class has to be split."""
    train = np.flatnonzero(split == 0)
    owner, _, _ = _bundles(labels[train], content[train])
    return np.bincount(owner, minlength=classes).astype(np.int64)


def taken_from(
    label: int, labels: NDArray[np.int64], split: NDArray[np.int8], content: NDArray[np.int64]
) -> dict[int, int]:
    """Return how many of a class's distinct training images count to which other class.

    Args:
        label: Index of the class.
        labels: ``(images,)`` index of the class.
        split: ``(images,)`` index into ``SPLITS``.
        content: ``(images,)`` equal where two images are the same to the byte.
    """
    train = np.flatnonzero(split == 0)
    owner, member, _ = _bundles(labels[train], content[train])
    owners = owner[np.unique(member[labels[train] == label])]
    others, counts = np.unique(owners[owners != label], return_counts=True)
    return dict(zip(others.tolist(), counts.tolist(), strict=True))


def require_splittable(
    source: str,
    classes: Sequence[str],
    counts: NDArray[np.int64],
    made: Sequence[int],
    taken: Callable[[int], Mapping[int, int]] = lambda label: {},
) -> None:
    """Check that each class has an image for train and for every split that is made from it.

    Args:
        source: Names the data in a message.
        classes: Names of the classes.
        counts: ``(classes,)`` distinct training images.
        made: The splits to be made, by index into ``SPLITS``.
        taken: How many more of a class's images count to which other class.

    Raises:
        DataError: A class is too small.
    """
    needed = 1 + len(made)
    parts = ", ".join(SPLITS[i] for i in (0, *made))
    for label, (name, count) in enumerate(zip(classes, counts, strict=True)):
        if made and count < needed:
            same = "".join(
                f", and {more} that class `{classes[other]}` has too"
                for other, more in taken(label).items()
            )
            raise DataError(
                f"{source}: class `{name}` is too small to be split: it must have at least "
                f"{needed} different images, one each for {parts}, but has {count}{same}; "
                "add images, take the class out, or give the splits yourself"
            )


def _bundles(
    labels: NDArray[np.int64], content: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each bundle of equal images' class, each image's bundle, and each bundle's size."""
    _, first, member, sizes = np.unique(
        content, return_index=True, return_inverse=True, return_counts=True
    )
    return labels[first], member.astype(np.int64), sizes.astype(np.int64)


def _wanted(count: int, shares: Sequence[float]) -> list[int]:
    """Return how many of ``count`` images stay in train and go to each split: none gets none."""
    taken = [max(1, int(share * count + 0.5)) for share in shares]
    while sum(taken) >= count and max(taken) > 1:
        taken[taken.index(max(taken))] -= 1
    return [count - sum(taken), *taken]


def _assign(sizes: NDArray[np.int64], wanted: Sequence[int]) -> NDArray[np.int64]:
    """Return the part of each bundle: the largest first, each to the part that lacks most.

    With bundles of one image the wanted counts are met exactly.
    """
    part = np.empty(len(sizes), dtype=np.int64)
    lack = np.array(wanted, dtype=np.int64)
    empty = np.ones(len(wanted), dtype=bool)
    for done, bundle in enumerate(np.argsort(-sizes, kind="stable")):
        # The last bundles are for the parts that still have none, however little they lack.
        last = len(sizes) - done <= int(empty.sum())
        open_to = np.flatnonzero(empty) if last else np.arange(len(wanted))
        chosen = open_to[np.argmax(lack[open_to])]
        part[bundle] = chosen
        lack[chosen] -= sizes[bundle]
        empty[chosen] = False
    return part
