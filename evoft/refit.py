"""What came of a refit: a recipe that was found, trained anew for longer or on more images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evoft.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """In what a refit differs from the training of the individual; None: in nothing."""

    #: Where the images are: a folder, a CSV or npz file, or ``digits``; classes may be others.
    data: str | None = None
    #: As in ``TrainingSettings``.
    epochs: int | None = None
    patience: int | None = None
    #: As in ``RunSettings``.
    devices: str | None = None
    #: Of everything random in the training; images are split as the population's are.
    seed: int = 0
    #: Whether the validation images are trained on, too.
    with_val: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """A recipe that is trained anew, and on what."""

    individual: int
    #: The fields of a ``Recipe``.
    recipe: Mapping[str, Any]
    seed: int
    with_val: bool
    #: As in a population's header.
    data: Mapping[str, Any]
    #: How the images were split: ``seed``, ``val_share``, ``test_share``, ``max_train_images``.
    split: Mapping[str, Any]
    #: With which versions, likewise.
    environment: Mapping[str, Any]
    #: Whether the images and their splits are the population's.
    same_images: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refitted:
    """What came of it."""

    fit: Refit
    outcome: Outcome
    #: For each class with test images how many of them there are, and are classified rightly.
    images: tuple[int, ...]
    right: tuple[int, ...]
