"""From an image of any size to the backbone's: timm's evaluation transform, without torch.

Equal to ``timm.data.create_transform(..., is_training=False)`` to the pixel, up to and without
the conversion to a tensor and the normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evoft.errors import BackboneError, DataError
from evoft.settings import INTERPOLATIONS

_INTERPOLATIONS = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}
_CROP_MODES = ("center", "squash", "border")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a backbone wants its images: timm's data config of the model.

    Raises:
        BackboneError: A value that evoft cannot follow.
    """

    #: Height and width in pixels.
    img_size: tuple[int, int]
    #: Mean of each channel of an image in ``[0, 1]``, for the normalisation.
    mean: tuple[float, float, float]
    #: Standard deviation of each channel.
    std: tuple[float, float, float]
    #: One of ``settings.INTERPOLATIONS``.
    interpolation: str
    #: Share of the resized image's side that the crop keeps, ``(0, 1]``.
    crop_pct: float
    #: ``center`` cuts off what is longer, ``squash`` distorts, ``border`` pads with the mean.
    crop_mode: str

    def __post_init__(self) -> None:
        if min(self.img_size) < 1:
            raise BackboneError(f"an image's size must be >= 1, but is {self.img_size}")
        if self.interpolation not in _INTERPOLATIONS:
            raise BackboneError(
                f"`interpolation` must be one of {', '.join(_INTERPOLATIONS)}, "
                f"but is {self.interpolation!r}"
            )
        if not 0 < self.crop_pct <= 1:
            raise BackboneError(f"`crop_pct` must be in (0, 1], but is {self.crop_pct!r}")
        if self.crop_mode not in _CROP_MODES:
            raise BackboneError(
                f"`crop_mode` must be one of {', '.join(_CROP_MODES)}, but is {self.crop_mode!r}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, as plain JSON data."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Preprocessing:
        """Return the record that ``to_dict`` wrote, also after a passage through JSON."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return Preprocessing(**fields)


def fit(
    picture: Image.Image, preprocessing: Preprocessing, out: NDArray[np.uint8], where: str
) -> None:
    """Resize and crop an RGB image into ``out``.

    Args:
        picture: The image, in mode RGB.
        preprocessing: What the backbone wants.
        out: ``(height, width, 3)``, filled.
        where: Names the image in a message.

    Raises:
        DataError: The image is so long and thin that resizing it would fill the memory.
    """
    size = _resized(picture.size, preprocessing)
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        raise DataError(
            f"{where} is too long and thin: resized it has {size[0]}x{size[1]} pixels; crop it "
            "or take it out"
        )
    if size != picture.size:
        picture = picture.resize(size, _INTERPOLATIONS[preprocessing.interpolation])
    border = preprocessing.crop_mode == "border"
    out[:] = [round(255 * v) for v in preprocessing.mean] if border else 0
    pixels = np.asarray(picture)
    rows, rows_out = _centred(pixels.shape[0], out.shape[0])
    columns, columns_out = _centred(pixels.shape[1], out.shape[1])
    out[rows_out, columns_out] = pixels[rows, columns]


def _resized(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    """Return width and height before the crop; the rounding is timm's, case by case."""
    width, height = size
    tall, wide = (math.floor(side / preprocessing.crop_pct) for side in preprocessing.img_size)
    if preprocessing.crop_mode == "squash":
        return wide, tall
    if preprocessing.crop_mode == "center" and wide == tall:
        # torchvision's Resize to a shorter side.
        longer = int(wide * max(size) / min(size))
        return (wide, longer) if width <= height else (longer, wide)
    # timm's ResizeKeepRatio, by the longer side for a border and by the shorter for a crop.
    pick = max if preprocessing.crop_mode == "border" else min
    ratio = pick(height / tall, width / wide)
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def _centred(have: int, want: int) -> tuple[slice, slice]:
    """Return which part of ``have`` pixels goes to which part of ``want``, both centred."""
    if have < want:
        start = (want - have) // 2
        return slice(None), slice(start, start + have)
    start = round((have - want) / 2)
    return slice(start, start + want), slice(None)
