"""What is trained, and what every trial has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evoft.errors import SettingsError
from evoft.rules import plain_fields, require, require_kinds, require_known, require_whole

#: What the fitness is when evoft trains: the share of images that are classified rightly, or the
#: mean over the classes of the share of each.
ACCURACY, BALANCED_ACCURACY = METRICS = ("accuracy", "balanced_accuracy")

#: How pixels are made of others where an image is resized, by timm's names.
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")

#: The name of the backbone that evoft ships.
EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What is trained, and what every trial has in common."""

    #: A folder, a CSV or npz file, or ``digits``.
    data: str = "digits"
    #: timm models, ``embedded`` among them; several make the backbone a gene.
    models: tuple[str, ...] = (EMBEDDED,)
    #: Start from the pretrained weights rather than from random ones.
    pretrained: bool = True
    #: A file of weights to start from instead of the model's own.
    checkpoint: str | None = None
    #: Arguments for timm's ``create_model``, beside those that evoft gives.
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    #: Mean and standard deviation of the channels; None: the backbone's own.
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    #: Side of the square image in pixels; None: the backbone's own.
    img_size: int | None = None
    #: Share of the resized image's side that the crop of its centre keeps, and how it is resized:
    #: one of ``INTERPOLATIONS``; None: the backbone's own.
    crop_pct: float | None = None
    interpolation: str | None = None
    #: What the fitness is, of the images of validation: one of ``METRICS``.
    metric: str = ACCURACY
    #: Most epochs of a trial.
    epochs: int = 5
    #: Epochs without a better validation accuracy before a trial ends early; 0: never.
    patience: int = 0
    #: Share of the epochs, the last ones, over which the learning rate falls before a trial is
    #: judged, where individuals are judged on several rungs; with one rung it falls all the way.
    cooldown: float = 0.25
    #: Shares that are split off for validation and test where the data has no such split.
    val_share: float = 0.2
    test_share: float = 0.2
    #: Most images of the training split that are used; None: all.
    max_train_images: int | None = None
    #: Strengths of augmentation of which each image has fixed versions, the image itself among
    #: them, where frozen layers come first; 0: augmented anew in each epoch there, too.
    views: int = 2
    #: Mixed precision: on a GPU, and on a CPU that has bfloat16 for backbones that gain by it.
    amp: bool = True
    #: Most bytes of features, what frozen layers make of images, that a run keeps; 0: none.  Where
    #: those of a recipe do not fit it is trained in another way, so that this is no run setting.
    cache_size: int = 4 * 2**30

    def __post_init__(self) -> None:
        plain_fields(self)
        values = asdict(self)
        require_kinds(values, _TRAINING_KINDS)
        require_known(values, {"metric": METRICS, "interpolation": INTERPOLATIONS})
        require(values, _TRAINING_RULES)
        require_whole(
            values, ("epochs", "patience", "img_size", "max_train_images", "views", "cache_size")
        )
        if not self.data:
            raise SettingsError("`data` must be a path or `digits`, but is empty")
        if wrong := [name for name in self.models if not isinstance(name, str)]:
            raise SettingsError(f"`models` must be a list of names, but holds {wrong[0]!r}")
        if not self.models:
            raise SettingsError("`model` must name at least one timm model, but names none")
        if len(set(self.models)) < len(self.models):
            raise SettingsError(f"`model` names a model twice: {', '.join(self.models)}")
        if self.checkpoint is not None and len(self.models) > 1:
            raise SettingsError(
                "`checkpoint` is one backbone's weights, but `model` names several: give one"
            )
        for name in ("mean", "std"):
            channels = values[name]
            if channels is not None and not (
                len(channels) == 3 and all(isinstance(c, int | float) for c in channels)
            ):
                raise SettingsError(f"`{name}` must be three numbers, but is {channels!r}")
        if self.std is not None and min(self.std) <= 0:
            raise SettingsError(f"`std` must be > 0 in each channel, but is {self.std!r}")
        if self.val_share + self.test_share >= 1:
            raise SettingsError(
                "`val_share + test_share < 1` must hold, but got "
                f"(val_share={self.val_share}, test_share={self.test_share})"
            )


_TRAINING_KINDS: dict[str, tuple[type, str]] = {
    "data": (str, "a path or `digits`"),
    "models": (tuple, "a list of names"),
    "checkpoint": (str, "a path"),
    "model_kwargs": (Mapping, "a table"),
    "pretrained": (bool, "true or false"),
    "amp": (bool, "true or false"),
}

_TRAINING_RULES = {
    ">= 1": ("epochs", "img_size", "max_train_images"),
    ">= 0": ("patience", "views", "cache_size"),
    "in (0, 1)": ("val_share", "test_share", "cooldown"),
    "in (0, 1]": ("crop_pct",),
}
