"""Images pass through frozen layers, in batches of one size, whichever worker computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.training.examples import Examples
from evoft.training.memory import in_halves
from evoft.training.precision import Precision, autocast
from evoft.training.prefix.split import Split
from evoft.training.prefix.trunk import BoundStretch
from evoft.training.views import View, render


@dataclass(frozen=True, slots=True)
class Rendered:
    """How images come to the prefix."""

    view: View
    #: How many numbers of views there are.
    views: int
    #: Of mixed precision, whose types the values have; None: float32.
    precision: Precision | None


def passed(
    through: Split | BoundStretch,
    start: tuple[Tensor, ...] | None,
    examples: Examples,
    rendered: Rendered,
) -> Iterator[tuple[Tensor, ...]]:
    """Yield values at a cut, of those at the one before it; of the images where there is none."""
    if start is None:
        return compute(through, examples, rendered)
    return further(through, start, examples, rendered.precision)


def further(
    through: Split | BoundStretch,
    start: tuple[Tensor, ...],
    examples: Examples,
    precision: Precision | None,
) -> Iterator[tuple[Tensor, ...]]:
    """Yield what layers make of what is kept at a cut, in its order and in batches of one size.

    Args:
        through: The layers.
        start: ``(images, ...)`` for each value at the cut.
        examples: The images, which tell where layers compute and how many pass at a time.
        precision: As in `Rendered`.

    Yields:
        ``(batch, ...)`` for each value at the next cut.
    """
    device, size = examples.pixels.device, examples.passing
    for first in range(0, len(start[0]), size):
        yield made_of(through, [v[first : first + size] for v in start], device, precision)


def made_of(
    through: Split | BoundStretch,
    given: Sequence[Tensor],
    device: torch.device,
    precision: Precision | None,
) -> tuple[Tensor, ...]:
    """Return what layers make of a batch, in smaller parts only where it does not fit."""

    def act(first: int, stop: int) -> tuple[Tensor, ...]:
        with autocast(device, precision):
            return through.prefix(*(value[first:stop].to(device) for value in given))

    return in_halves(act, 0, len(given[0]))


def compute(
    parts: Split | BoundStretch, examples: Examples, rendered: Rendered
) -> Iterator[tuple[Tensor, ...]]:
    """Yield what the prefix gives for a view of a split, in its order and in batches of one size.

    Args:
        parts: The model in two parts, or its first stretch.
        examples: The split's images.
        rendered: Which view of them, and in which precision.

    Yields:
        ``(batch, ...)`` for each value at the cut.
    """
    device, size = examples.pixels.device, examples.passing
    places = torch.arange(len(examples), device=device)
    for first in range(0, len(examples), size):
        batch = examples.batch(places[first : first + size])
        images = render(batch, rendered.view, rendered.views, first)
        # As images lie that are not changed, which is what the model was split for.
        images = images.contiguous(memory_format=torch.channels_last)
        yield made_of(parts, [examples.normalise(images)], device, rendered.precision)
