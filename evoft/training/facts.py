"""What the parent process must know of backbones and devices; nothing in here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evoft.training.data import Preprocessing


@dataclass(frozen=True, slots=True)
class BackboneFacts:
    """One backbone, as a worker found it."""

    #: timm's name, or ``embedded``.
    model: str
    #: Groups of layers that can be frozen, the classifier apart.
    layer_groups: int
    #: Parameters with the classifier of this data.
    parameters: int
    preprocessing: Preprocessing
    #: Whether the architecture has dropout before its classifier, and stochastic depth.
    drop: bool
    drop_path: bool
    #: Digest of the weights that fine-tuning starts from, the classifier apart; what is random
    #: anyway has none.
    weights: str
    #: Seconds that one image takes in training with nothing frozen, and in validation.
    train_seconds: float
    val_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain JSON data."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> BackboneFacts:
        """Return the facts that ``to_dict`` gave."""
        preprocessing = Preprocessing.from_dict(data["preprocessing"])
        return BackboneFacts(**{**data, "preprocessing": preprocessing})


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first look at backbones and devices gave."""

    backbones: tuple[BackboneFacts, ...]
    #: Names of the GPUs, in the order of their numbers.
    gpus: tuple[str, ...]
