"""Images to one uint8 array, once a run and for each size that a backbone wants."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evoft.training.data.images import ArrayPixels, FilePixels, Images
from evoft.training.data.parallel import for_each
from evoft.training.data.pictures import load_picture
from evoft.training.data.preprocessing import Preprocessing, fit


def decode(
    images: Images,
    preprocessing: Preprocessing,
    out: NDArray[np.uint8],
    *,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fill ``out`` with every image, resized and cropped as timm's evaluation transform does.

    Args:
        images: What to decode.
        preprocessing: What the backbone wants.
        out: ``(images, height, width, 3)``; may be memory that processes share.
        threads: How many threads decode, at least 1.
        progress: Called on this thread with how many images are done so far, and how many there
            are.

    Raises:
        DataError: A file is gone or no longer decodable since the data were read.
        ValueError: ``out`` has another shape or type than it must.
    """
    shape = (len(images), *preprocessing.img_size, 3)
    if out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f"`out` must be uint8 of shape {shape}, but is {out.dtype} {out.shape}")
    pixels = images.pixels

    def one(index: int) -> None:
        _decode_one(pixels, index, preprocessing, out[index])

    for_each(len(images), one, threads=threads, progress=progress)


def load_one(path: str | os.PathLike[str], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return one image file as the backbone wants it.

    Returns:
        ``(height, width, 3)``, the same pixels that ``decode`` gives.

    Raises:
        DataError: The file is missing or cannot be decoded.
    """
    return load_from(FilePixels((os.fspath(path),)), 0, preprocessing)


def load_from(
    pixels: FilePixels | ArrayPixels, index: int, preprocessing: Preprocessing
) -> NDArray[np.uint8]:
    """Return the image of an index as the backbone wants it.

    Returns:
        ``(height, width, 3)``, the same pixels that ``decode`` gives.

    Raises:
        DataError: Its file is missing or cannot be decoded.
    """
    out = np.empty((*preprocessing.img_size, 3), np.uint8)
    _decode_one(pixels, index, preprocessing, out)
    return out


def _decode_one(
    pixels: FilePixels | ArrayPixels,
    index: int,
    preprocessing: Preprocessing,
    out: NDArray[np.uint8],
) -> None:
    if isinstance(pixels, FilePixels):
        where = pixels.paths[index]
        fit(load_picture(where), preprocessing, out, where)
    else:
        picture = Image.fromarray(pixels.array[index]).convert("RGB")
        fit(picture, preprocessing, out, f"image {index}")
