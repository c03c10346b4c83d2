"""What the parent process must know of backbones and devices; nothing in here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
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
    #: Seconds that it takes for one image; None where the search is not after that.  It is measured
    #: once in the life of a population, for a search that heard another number from each worker
    #: would chase the noise, and give another lineage on each number of them.
    latency: float | None = None
    #: Products for each value that its layers give, see ``density_of``: what settles the precision
    #: on a CPU.  A population keeps what it began with; those of an earlier evoft have 0.
    density: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain JSON data."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> BackboneFacts:
        """Return the facts that ``to_dict`` gave; older files have more, which are not facts."""
        known = {field.name for field in fields(BackboneFacts)}
        preprocessing = Preprocessing.from_dict(data["preprocessing"])
        kept = {name: value for name, value in data.items() if name in known}
        return BackboneFacts(**{**kept, "preprocessing": preprocessing})


@dataclass(frozen=True, slots=True)
class Probe:
    """A step of training, as a worker measured it."""

    #: Layer groups that were frozen.
    depth: int
    batch_size: int
    #: Of the second step.
    seconds: float
    #: Highest memory in use, in bytes: of the device when there is one, else of the process.
    memory: int
    #: Whether it ran at all.
    fits: bool = True


@dataclass(frozen=True, slots=True)
class Probes:
    """What was measured of one backbone; of this machine and this hour, so no file keeps it."""

    model: str
    steps: tuple[Probe, ...]
    #: Seconds that one image takes in validation.
    val_seconds: float
    #: Bytes of the device that a process takes beside what it allocates.
    context: int = 0
    #: Seconds that it takes to build the model.
    build_seconds: float = 0.0
    #: As the backbone's facts have it, which are kept.
    density: float = 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first look at backbones and devices gave."""

    backbones: tuple[BackboneFacts, ...]
    #: Names of the GPUs, in the order of their numbers.
    gpus: tuple[str, ...]
    #: One for each backbone.
    probes: tuple[Probes, ...]
    #: Free bytes of each GPU, or without any those of the machine; 0 where it does not tell, and
    #: for a GPU that is not to be used.
    memory: tuple[int, ...]
    #: CPU cores that may be used.
    cores: int
    #: Numbers of the GPUs that serve one process at a time.
    exclusive: tuple[int, ...] = ()
