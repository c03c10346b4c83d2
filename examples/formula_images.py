"""Small grey images drawn from formulas: every class is a set of numbers, every image a variation.

Four families share the classes equally:

* *fractals*: iterated function systems drawn by the chaos game (Barnsley, "Fractals Everywhere",
  1988), as classes in FractalDB (Kataoka et al., "Pre-training without Natural Images", 2020);
  the maps are sampled by singular values, so that each contracts (Anderson and Farrell,
  "Improving Fractal Pre-training", 2022);
* *strokes*: glyphs of Bezier curves and straight lines, of varying thickness;
* *shapes*: filled or hollow superformula contours (Gielis, 2003), which hold polygons, stars,
  crosses, ellipses and rings, one alone or two combined; contours as classes follow Kataoka et
  al., "Replacing Labeled Real-image Datasets with Auto-generated Contours", 2022;
* *textures*: gratings, plaids, checkers, Gabor patches and band-limited noise.

The functions draw *masks*: float arrays ``[images, side, side]`` in ``[0, 1]``.  Colour, polarity
and noise are left to whoever shows them to a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

Array = NDArray[np.float32]
#: Draws so many images of one class: ``(images, generator) -> masks``.
Painter = Callable[[int, Generator], Array]

#: Height and width of a mask, in pixels.
SIDE = 32
#: Images drawn at once: bounds the memory of the distance computations to some tens of megabytes.
CHUNK = 64
#: A class is drawn anew if the standard deviation of its masks' pixels is not above this.
FAINTEST = 0.1
#: The chaos game: points that move at once, their moves, and the first of these left out, before
#: which the points are still on their way to the attractor.
PARTICLES, STEPS, SETTLING = 48, 24, 8


@dataclass(frozen=True, slots=True)
class FormulaImages:
    """A labelled set of masks, ordered by class; the classes of a family are contiguous."""

    #: uint8 ``[images, SIDE, SIDE]``; 0 is background, 255 foreground.
    masks: NDArray[np.uint8]
    #: int64 ``[images]``, from 0.
    labels: NDArray[np.int64]
    #: The first label of the textures, which fill the image and so have no background.
    first_texture: int

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.labels[-1]) + 1


def pixel_grid() -> tuple[Array, Array]:
    """Pixel centres as ``x, y``, each ``[SIDE, SIDE]``, from -1 to 1."""
    axis = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def random_affine(images: int, rng: Generator, strength: float = 1.0) -> tuple[Array, Array]:
    """Random matrices ``[images, 2, 2]`` and offsets ``[images, 2]`` about the identity.

    At strength 1: rotation within 0.25 radians, scale within 20 %, shear within 0.2 and a shift
    within 0.15 of the half side.
    """
    angle = rng.uniform(-0.25, 0.25, images) * strength
    scale = np.exp(rng.uniform(-0.2, 0.2, (2, images)) * strength)
    shear = rng.uniform(-0.2, 0.2, images) * strength
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.stack([cos, -sin, sin, cos], -1).reshape(images, 2, 2)
    stretch = np.stack([scale[0], shear, np.zeros(images), scale[1]], -1).reshape(images, 2, 2)
    shift = rng.uniform(-0.15, 0.15, (images, 2)) * strength
    return (rotation @ stretch).astype(np.float32), shift.astype(np.float32)


def soft_step(inside: Array, softness: float) -> Array:
    """1 where ``inside`` is positive and 0 where negative, over an edge ``softness`` wide."""
    step: Array = np.clip(inside / softness + 0.5, 0, 1)
    return step


def fractal_class(rng: Generator) -> Painter:
    """An iterated function system of 2 to 5 contracting affine maps; images vary its numbers."""
    maps = int(rng.integers(2, 6))
    turns = rng.uniform(-np.pi, np.pi, (2, maps))
    singular = np.sort(rng.uniform(0.25, 0.85, (2, maps)), axis=0)
    flips = rng.choice([-1.0, 1.0], maps)
    offsets = rng.uniform(-1, 1, (maps, 2))
    weights = singular.prod(0) / singular.prod(0).sum()

    def paint(images: int, rng: Generator) -> Array:
        angles = turns[:, None] + rng.normal(0, 0.06, (2, images, maps))
        sizes = np.minimum(singular[:, None] * rng.uniform(0.93, 1.05, (2, images, maps)), 0.9)
        matrices = rotations(angles[0]) @ (
            np.stack([sizes[1], sizes[0] * flips], -1)[..., None] * rotations(angles[1])
        )
        moved = offsets + rng.normal(0, 0.06, (images, maps, 2))
        points = chaos_game(matrices, moved, weights, rng)
        return splat(points, rng)

    return paint


def rotations(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices ``[..., 2, 2]`` of angles ``[...]`` in radians."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([cos, -sin, sin, cos], -1).reshape(*angles.shape, 2, 2)


def chaos_game(
    matrices: NDArray[np.float64],
    offsets: NDArray[np.float64],
    weights: NDArray[np.float64],
    rng: Generator,
) -> NDArray[np.float64]:
    """Points ``[images, PARTICLES * (STEPS - SETTLING), 2]`` near each system's attractor."""
    images, maps = matrices.shape[:2]
    index = np.arange(images)[:, None]
    points = np.zeros((images, PARTICLES, 2))
    kept = []
    for step in range(STEPS):
        chosen = rng.choice(maps, (images, PARTICLES), p=weights)
        points = np.einsum("ipab,ipb->ipa", matrices[index, chosen], points)
        points += offsets[index, chosen]
        if step >= SETTLING:
            kept.append(points)
    return np.concatenate(kept, axis=1)


def splat(points: NDArray[np.float64], rng: Generator) -> Array:
    """Masks of the points' density, the bulk of the points filling most of the image."""
    images, count = points.shape[:2]
    low, high = np.quantile(points, [0.02, 0.98], axis=1)
    centre, span = (low + high) / 2, np.maximum((high - low).max(-1, keepdims=True), 1e-3)
    unit = (points - centre[:, None]) / span[:, None] * 1.6
    matrix, shift = random_affine(images, rng)
    unit = np.einsum("iab,ipb->ipa", matrix, unit) + shift[:, None]
    cells = np.floor((unit + 1) / 2 * SIDE).astype(np.int64)
    valid = ((cells >= 0) & (cells < SIDE)).all(-1)
    flat = np.arange(images)[:, None] * SIDE**2 + cells[..., 1] * SIDE + cells[..., 0]
    density = np.bincount(flat[valid], minlength=images * SIDE**2).reshape(images, SIDE, SIDE)
    # One hit already shows, so that thin branches are not drowned by dense spots.
    mask: Array = np.clip(density / (count / 400), 0, 1).astype(np.float32)
    return mask


def stroke_class(rng: Generator) -> Painter:
    """A glyph of 1 to 3 strokes (cubic Bezier curves or three straight lines each)."""
    strokes = int(rng.integers(1, 4))
    controls = rng.uniform(-0.75, 0.75, (strokes, 4, 2))
    if strokes > 1 and rng.random() < 0.7:
        # Handwritten glyphs mostly join: each stroke then starts where the one before it ends.
        controls[1:, 0] = controls[:-1, 3]
    time = np.linspace(0, 1, 13)[:, None]
    curve = [(1 - time) ** 3, 3 * time * (1 - time) ** 2, 3 * time**2 * (1 - time), time**3]
    line = [np.maximum(1 - np.abs(3 * time - corner), 0) for corner in range(4)]
    basis = np.concatenate(line if rng.random() < 0.4 else curve, -1)

    def paint(images: int, rng: Generator) -> Array:
        bent = controls + rng.normal(0, 0.07, (images, strokes, 4, 2))
        matrix, shift = random_affine(images, rng)
        moved = np.einsum("iab,iskb->iska", matrix, bent) + shift[:, None, None]
        path = np.einsum("tk,iskc->istc", basis, moved).astype(np.float32)
        starts = path[:, :, :-1].reshape(images, -1, 2)
        ends = path[:, :, 1:].reshape(images, -1, 2)
        radius = rng.uniform(0.06, 0.17, (images, 1, 1)).astype(np.float32)
        return soft_step(radius - segment_distance(starts, ends), 0.08)

    return paint


def segment_distance(starts: Array, ends: Array) -> Array:
    """Distance ``[images, SIDE, SIDE]`` of each pixel to the nearest of ``[images, n, 2]``."""
    x, y = (axis.reshape(1, 1, -1) for axis in pixel_grid())
    along = ends - starts
    dx, dy = along[..., :1], along[..., 1:]
    rx, ry = x - starts[..., :1], y - starts[..., 1:]
    share = np.clip((rx * dx + ry * dy) / np.maximum(dx**2 + dy**2, 1e-6), 0, 1)
    squared = (rx - share * dx) ** 2 + (ry - share * dy) ** 2
    nearest: Array = np.sqrt(squared.min(1)).reshape(-1, SIDE, SIDE)
    return nearest


def united(first: Array, second: Array) -> Array:
    """What is inside either; an argument is positive inside its shape."""
    return np.maximum(first, second)


def intersected(first: Array, second: Array) -> Array:
    """What is inside both."""
    return np.minimum(first, second)


def subtracted(first: Array, second: Array) -> Array:
    """What is inside the first and not inside the second."""
    return np.minimum(first, -second)


#: Ways in which two shapes make one.
COMBINATIONS: tuple[Callable[[Array, Array], Array], ...] = (united, intersected, subtracted)


def shape_class(rng: Generator) -> Painter:
    """One superformula contour, or two united, subtracted or intersected; filled or hollow."""
    parts = int(rng.integers(1, 3))
    lobes = rng.choice([2, 3, 4, 4, 5, 6, 8], parts)
    exponents = np.exp(rng.uniform(np.log(0.5), np.log(12), (3, parts)))
    aspect = np.exp(rng.uniform(-0.5, 0.5, parts))
    turn = rng.uniform(-np.pi, np.pi, parts)
    centre = rng.uniform(-0.4, 0.4, (parts, 2)) * (parts > 1)
    size = rng.uniform(0.45, 0.75, parts)
    hole = rng.uniform(0.35, 0.75, parts) * (rng.random(parts) < 0.4)
    combine = COMBINATIONS[int(rng.integers(len(COMBINATIONS)))]

    def contour(part: int, images: int, rng: Generator) -> Array:
        matrix, shift = random_affine(images, rng)
        grid = np.stack(pixel_grid(), -1)
        x, y = np.moveaxis(np.einsum("iab,hwb->ihwa", matrix, grid) + shift[:, None, None], -1, 0)
        x, y = (x - centre[part, 0]) * aspect[part], y - centre[part, 1]
        angle = (np.arctan2(y, x) + turn[part]) * lobes[part] / 4
        first, second, third = exponents[:, part, None] * rng.uniform(0.85, 1.15, (3, images))
        terms = np.abs(np.cos(angle)) ** second[:, None, None]
        terms = terms + np.abs(np.sin(angle)) ** third[:, None, None]
        radius = np.maximum(terms, 1e-3) ** (-1 / first[:, None, None])
        # A contour's scale is arbitrary in the formula: its farthest point goes to ``size``.
        radius = radius / radius.max((1, 2), keepdims=True) * size[part] * 1.2
        distance = np.hypot(x, y)
        solid = radius - distance
        ring = np.minimum(solid, distance - hole[part] * radius)
        return np.asarray(ring, dtype=np.float32)

    def paint(images: int, rng: Generator) -> Array:
        inside = contour(0, images, rng)
        if parts > 1:
            inside = combine(inside, contour(1, images, rng))
        return soft_step(inside, 0.08)

    return paint


def texture_class(rng: Generator) -> Painter:
    """Band-limited noise, or one to three gratings added or multiplied, soft or hard-edged."""
    noisy = rng.random() < 0.4
    waves = int(rng.integers(1, 4))
    frequency = np.exp(rng.uniform(np.log(1.2), np.log(8), waves))
    direction = rng.uniform(0, np.pi, waves)
    band, beam = rng.uniform(0.1, 0.5), rng.uniform(0.15, 2.0)
    gain = band_filter(frequency[0], direction[0], band, beam)
    product, contrast = rng.random() < 0.5, rng.choice([0.7, 2.0, 8.0])
    window = rng.uniform(0.3, 0.6) if rng.random() < 0.3 else np.inf

    def paint(images: int, rng: Generator) -> Array:
        if noisy:
            wave = filtered_noise(images, rng, gain)
        else:
            wave = gratings(images, rng, frequency, direction, bool(product))
        x, y = pixel_grid()
        envelope = np.exp(-(x**2 + y**2) / (2 * window**2))
        mask: Array = np.clip(0.5 + 0.5 * contrast * wave * envelope, 0, 1).astype(np.float32)
        return mask

    return paint


def gratings(
    images: int, rng: Generator, frequency: NDArray[Any], direction: NDArray[Any], product: bool
) -> Array:
    """Sinusoids of ``frequency`` cycles per image joined; jittered, of random phase."""
    size = (images, len(frequency), 1, 1)
    cycles = frequency[:, None, None] * rng.uniform(0.9, 1.1, size)
    angle = direction[:, None, None] + rng.uniform(-0.15, 0.15, size)
    x, y = pixel_grid()
    phase = rng.uniform(0, 2 * np.pi, size)
    wave = np.sin(np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    joined: Array = wave.prod(1) if product else wave.mean(1)
    return joined


def band_filter(
    frequency: float, direction: float, band: float, beam: float
) -> NDArray[np.float64]:
    """Gains ``[SIDE, SIDE]`` about a frequency (cycles per image) and a direction (radians).

    ``band`` is the width in the frequency's logarithm and ``beam`` that in radians.
    """
    axis = np.fft.fftfreq(SIDE, 1 / SIDE)
    fx, fy = np.meshgrid(axis, axis)
    radius = np.maximum(np.hypot(fx, fy), 1e-6)
    # A real image's spectrum is symmetric, so a direction and its opposite are one.
    off = np.angle(np.exp(2j * (np.arctan2(fy, fx) - direction))) / 2
    gain: NDArray[np.float64] = np.exp(
        -((np.log(radius / frequency) / band) ** 2) / 2 - (off / beam) ** 2 / 2
    )
    gain[0, 0] = 0
    return gain


def filtered_noise(images: int, rng: Generator, gain: NDArray[np.float64]) -> Array:
    """White noise through a filter, of standard deviation a half."""
    white = np.fft.fft2(rng.standard_normal((images, SIDE, SIDE)))
    passed = np.fft.ifft2(white * gain).real
    scaled: Array = passed / (passed.std((1, 2), keepdims=True) + 1e-6) / 2
    return scaled


#: The families in the order of their labels; the textures come last.
FAMILIES: tuple[Callable[[Generator], Painter], ...] = (
    fractal_class,
    stroke_class,
    shape_class,
    texture_class,
)


def visible_class(family: int, numbers: SeedSequence) -> Painter:
    """The first class drawn from these numbers whose images all show something."""
    rng = default_rng(numbers)
    while True:
        paint = FAMILIES[family](rng)
        # An intersection of two shapes may be empty, and a fractal a dot.
        if paint(8, rng).std((1, 2)).min() > FAINTEST:
            return paint


def draw_class(family: int, index: int, images: int, seed: int) -> Array:
    """Masks ``[images, SIDE, SIDE]`` of one class of a family; a function of its arguments."""
    numbers, variations = SeedSequence([seed, family, index]).spawn(2)
    paint, rng = visible_class(family, numbers), default_rng(variations)
    sizes = [min(CHUNK, images - start) for start in range(0, images, CHUNK)]
    return np.concatenate([paint(size, rng) for size in sizes])


def draw_images(classes_per_family: int, images_per_class: int, seed: int) -> FormulaImages:
    """All classes of all families; the same arguments give the same images."""
    masks = [
        np.round(draw_class(family, index, images_per_class, seed) * 255).astype(np.uint8)
        for family in range(len(FAMILIES))
        for index in range(classes_per_family)
    ]
    return FormulaImages(
        masks=np.concatenate(masks),
        labels=np.repeat(np.arange(len(masks), dtype=np.int64), images_per_class),
        first_texture=(len(FAMILIES) - 1) * classes_per_family,
    )
