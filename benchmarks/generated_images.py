"""Images that are drawn, for benchmarks that want large ones where there are none to be had."""

import colorsys
import math
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

#: Corners of each shape and how far every second one is from the centre; many corners: a disc.
SHAPES = {
    "disc": (48, 1.0),
    "triangle": (3, 1.0),
    "square": (4, 1.0),
    "star": (10, 0.4),
    "gear": (24, 0.75),
}
#: Each shape filled and in outline.
CLASSES = [f"{shape}-{kind}" for shape in SHAPES for kind in ("filled", "outline")]


def draw(label: int, side: int, generator: np.random.Generator) -> Image.Image:
    """Return an image of a class: its shape somewhere, in about its colour, on noise.

    Args:
        label: Place in ``CLASSES``.
        side: Of the square image, in pixels.
        generator: Of place, size, turn, colour and noise.
    """
    coarse = generator.integers(40, 216, (7, 7, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    shape, kind = CLASSES[label].split("-")
    corners, inner = SHAPES[shape]
    radius = side * generator.uniform(0.18, 0.32)
    x, y = generator.uniform(radius, side - radius, 2)
    turn = generator.uniform(0, 2 * math.pi)
    points = []
    for corner in range(corners):
        angle = turn + 2 * math.pi * corner / corners
        reach = radius * (inner if corner % 2 else 1.0)
        points.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    # Neighbouring classes overlap in colour, so that it alone does not tell them apart.
    hue = (label / len(CLASSES) + generator.normal(0, 0.08)) % 1.0
    bright = colorsys.hsv_to_rgb(hue, generator.uniform(0.5, 1), generator.uniform(0.6, 1))
    colour = tuple(round(255 * channel) for channel in bright)
    pen = ImageDraw.Draw(image)
    if kind == "filled":
        pen.polygon(points, fill=colour)
    else:
        pen.line([*points, *points[:2]], fill=colour, width=max(1, side // 24), joint="curve")
    noisy = np.asarray(image) + generator.normal(0, 14, (side, side, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write(folder: Path, count: int, side: int) -> None:
    """Write so many JPEG files, ``folder/CLASS/NUMBER.jpg``; always the same ones."""
    for number in range(count):
        label = number % len(CLASSES)
        place = folder / CLASSES[label] / f"{number:05d}.jpg"
        os.makedirs(place.parent, exist_ok=True)
        draw(label, side, np.random.default_rng([0, number])).save(place, quality=90)
