"""One image file: its bytes, and its pixels as RGB."""

from __future__ import annotations

import contextlib
import functools
import os
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from evoft.errors import DataError

#: File name endings of images: those of torchvision, and two more.
EXTENSIONS = (
    ".jpg",
    ".jpeg",
    ".jfif",
    ".png",
    ".ppm",
    ".bmp",
    ".pgm",
    ".tif",
    ".tiff",
    ".webp",
    ".gif",
)

#: Endings of images of kinds that are not read.
UNREAD = (
    ".arw",
    ".avif",
    ".cr2",
    ".dng",
    ".exr",
    ".heic",
    ".heif",
    ".jp2",
    ".jxl",
    ".nef",
    ".svg",
    ".tga",
)

# Pillow decides by content, and some of its other formats start programs (Ghostscript for
# PostScript): a file named x.jpg must not choose among those.
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "DIB", "TIFF", "WEBP", "GIF")


def read_bytes(path: str) -> bytes:
    """Return a file's bytes.

    Raises:
        DataError: It is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist (a link to a missing file looks the same): "
            "restore it or take it out"
        ) from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not an image: name the files in it") from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): make it readable or take it out"
        ) from None


def to_picture(data: bytes, where: str) -> Image.Image:
    """Return an encoded image in mode RGB: upright, its first frame, transparent parts white.

    Args:
        data: The file's bytes.
        where: Names the image in a message.

    Raises:
        DataError: It cannot be decoded to its last pixel, is too big, or has pixels that cannot
            be told as 8-bit RGB.
    """
    try:
        with Image.open(BytesIO(data), formats=_formats()) as image:
            image.load()
            # An orientation that cannot be read is as good as none: the pixels are whole.
            with contextlib.suppress(Exception):
                ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image, where)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(
            f"{where} is not an image that can be decoded (empty, damaged, or of another format "
            f"than {', '.join(EXTENSIONS)}): mend it or take it out"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{where} has too many pixels to be decoded safely ({error}): shrink it, or take it "
            "out of the data"
        ) from None
    except Exception as error:
        # Pillow's decoders raise whatever a damaged file leads them to: OSError, SyntaxError,
        # ValueError, struct.error, zlib.error and more.
        raise DataError(f"{where} cannot be decoded ({error}): mend it or take it out") from error


def load_picture(path: str | os.PathLike[str]) -> Image.Image:
    """Return the image in a file in mode RGB, as ``to_picture`` does.

    Raises:
        DataError: It is missing or cannot be decoded.
    """
    where = os.fspath(path)
    return to_picture(read_bytes(where), where)


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return those of the formats that this build of Pillow can decode."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode == "F":
        raise DataError(
            f"{where} has floating-point pixels, whose black and white are unknown: save it with "
            "8 or 16 bits"
        )
    if image.mode.startswith("I"):
        return _from_16_bits(image, where)
    if image.has_transparency_data:
        # What lies under transparent pixels is arbitrary, so it must not be shown.
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image, where: str) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion would clip at 255 instead."""
    pixels = np.asarray(image).astype(np.int64)
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535:
        raise DataError(
            f"{where} has pixels from {low} to {high}, more than 16 bits: save it with 8 or 16 bits"
        )
    return Image.fromarray(((pixels + 128) // 257).astype(np.uint8)).convert("RGB")
