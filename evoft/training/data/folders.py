"""A folder of class folders, with or without a folder for each split above them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evoft.errors import DataError
from evoft.training.data.images import SPLITS, FilePixels, Found, class_order, split_named
from evoft.training.data.pictures import EXTENSIONS, UNREAD

#: What a Mac puts beside the folders in a zip file.
_ZIPPED = "__MACOSX"


@dataclass(frozen=True, slots=True)
class _Listing:
    """What lies directly in a folder, by name and sorted."""

    folders: tuple[str, ...]
    images: tuple[str, ...]
    #: How many hidden files and files of other kinds there are.
    others: int
    #: Endings of those of them that are images of kinds that are not read.
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _ClassFolder:
    """The images of one class in one split."""

    split: int
    label: str
    path: str
    listing: _Listing


def find_in_folder(root: str) -> Found:
    """Return the images of ``root/{train,val,test}/<class>/*`` or ``root/<class>/*``.

    Args:
        root: Absolute path of the folder.

    Raises:
        DataError: A split is there without train, twice or empty; images lie beside the class
            folders alone; a class folder has images in folders below it; a folder cannot be listed.
    """
    top = _list(root)
    parts = _split_folders(root, top.folders)
    beside = [name for name in top.folders if parts and split_named(name) is None]
    listings = {split: _list(path) for split, path in parts.items()} or {0: top}
    classes = [
        _class_folder(split, label, os.path.join(parts.get(split, root), label))
        for split, listing in sorted(listings.items())
        for label in listing.folders
    ]
    for split, path in parts.items():
        if not any(c.listing.images for c in classes if c.split == split):
            instead = f", or remove it to have {SPLITS[split]} split off train" if split else ""
            raise DataError(
                f"{path} has no images in class folders: put images into "
                f"{os.path.join(path, '<class>')}{instead}"
            )
    if top.images and not any(c.listing.images for c in classes):
        raise DataError(
            f"the images in {root} are in no folder that names their class: put them into "
            f"{os.path.join(root, '<class>')}, or list them with their labels in a CSV"
        )
    above = [top, *(listing for listing in listings.values() if listing is not top)]
    listed = [*above, *(c.listing for c in classes)]
    others = sum(listing.others for listing in listed)
    unread = Counter(ending for listing in listed for ending in listing.unread)
    loose = sum(len(listing.images) for listing in above)
    return _found(root, classes, _notes(others, unread, loose, beside))


def images_below(root: str) -> list[str]:
    """Return the images in a folder and in all folders below it, sorted, hidden ones left out.

    Args:
        root: A folder, by any path; the images' paths begin with it.  One that it leads to by
            several links is gone through once.

    Raises:
        DataError: A folder cannot be listed.
    """
    return _images_below(root, set())


def _images_below(root: str, seen: set[str]) -> list[str]:
    if (real := os.path.realpath(root)) in seen:
        return []
    seen.add(real)
    listing = _list(root)
    images = [os.path.join(root, name) for name in listing.images]
    for name in listing.folders:
        images += _images_below(os.path.join(root, name), seen)
    return images


def lies_among_images(root: str, path: str) -> bool:
    """Tell whether a folder is, or would be, taken for a split, for a class or for a part of one.

    Args:
        root: A folder of images.
        path: The other; both absolute and without symbolic links.

    Raises:
        DataError: The folder of images cannot be listed, or its splits are no good.
    """
    first = os.path.relpath(path, root).split(os.sep)[0]
    if first.startswith("."):  # it lies elsewhere, or is hidden
        return False
    in_splits = bool(_split_folders(root, _list(root).folders))
    return split_named(first) is not None or not in_splits


def _found(root: str, classes: Sequence[_ClassFolder], notes: tuple[str, ...]) -> Found:
    every = [(c, os.path.join(c.path, name)) for c in classes for name in c.listing.images]
    paths = tuple(path for _, path in every)
    return Found(
        name=os.path.basename(root) or "data",
        source=root,
        pixels=FilePixels(paths),
        labels=tuple(c.label for c, _ in every),
        split=np.array([c.split for c, _ in every], dtype=np.int8),
        classes=tuple(sorted({c.label for c in classes}, key=class_order)),
        where=paths.__getitem__,
        notes=notes,
    )


def _split_folders(root: str, folders: Sequence[str]) -> dict[int, str]:
    """Return the path of each split that has a folder; none where the folders are classes."""
    parts: dict[int, str] = {}
    for name in folders:
        split = split_named(name)
        if split is None:
            continue
        path = os.path.join(root, name)
        if split in parts:
            raise DataError(
                f"{parts[split]} and {path} both name the split {SPLITS[split]}: merge them"
            )
        parts[split] = path
    if parts and 0 not in parts:
        raise DataError(
            f"{next(iter(parts.values()))} is a split, but {os.path.join(root, 'train')} is "
            "missing: put the training images into train/<class>/, or rename the folder if it is "
            "a class"
        )
    return parts


def _class_folder(split: int, label: str, path: str) -> _ClassFolder:
    listing = _list(path)
    for folder in listing.folders:
        inner = os.path.join(path, folder)
        if _has_images(inner):
            raise DataError(
                f"{inner} lies in the folder of class `{label}`, where only images may lie: "
                "evoft takes <class>/* and {train,val,test}/<class>/*; move its images up, or give "
                f"{path} if the classes are in there"
            )
    return _ClassFolder(split, label, path, listing)


def _has_images(folder: str) -> bool:
    return any(
        _is_image(name) for _, _, names in os.walk(folder, followlinks=False) for name in names
    )


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(EXTENSIONS)


def _list(folder: str) -> _Listing:
    try:
        with os.scandir(folder) as entries:
            kinds = {entry.name: _kind(entry) for entry in entries}
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}): make it readable") from None
    folders = [name for name, kind in kinds.items() if kind == "folder"]
    images = [name for name, kind in kinds.items() if kind == "file" and _is_image(name)]
    others = kinds.keys() - {*folders, *images}
    endings = [os.path.splitext(name)[1].lower() for name in others if name[0] != "."]
    return _Listing(
        folders=tuple(sorted(name for name in folders if name[0] != "." and name != _ZIPPED)),
        images=tuple(sorted(images)),
        others=len(others),
        unread=tuple(ending for ending in endings if ending in UNREAD),
    )


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what lies in a folder; a link to nothing is a file, so that it is missed."""
    if entry.is_dir():
        return "folder"
    # Whoever reads a pipe waits for ever where nobody writes to it.
    is_file = entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    return "file" if is_file else "other"


def _notes(
    others: int, unread: Mapping[str, int], loose: int, beside: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(f"files that are no images were passed over: {others}")
    if unread:
        counts = ", ".join(f"{unread[ending]} {ending}" for ending in sorted(unread))
        notes.append(f"images that evoft cannot read are among them: {counts}; convert them to PNG")
    if loose:
        notes.append(f"images outside the class folders were passed over: {loose}")
    if beside:
        notes.append(f"folders that are no splits were passed over: {', '.join(beside)}")
    return tuple(notes)
