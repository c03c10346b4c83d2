"""What a run is going to do, settled before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evoft.environment import versions
from evoft.fine_tuning.forecast import Forecast
from evoft.header import Header
from evoft.ladder import Ladder
from evoft.lineage import Paths
from evoft.search.space import SearchSpace
from evoft.settings import Settings
from evoft.training.data import Images
from evoft.training.facts import BackboneFacts


@dataclass(frozen=True)
class Plan:
    """A run's data, backbones, devices, space and settings."""

    file: Path
    settings: Settings
    space: SearchSpace
    images: Images
    backbones: tuple[BackboneFacts, ...]
    gpus: tuple[str, ...]
    #: The device of each worker: ``cpu`` or a GPU's number.
    devices: tuple[str, ...]
    #: What predicts trials before they run.
    forecast: Forecast
    #: Returns ``devices`` and ``limit`` as they would be by what is known of trials now.
    place: Callable[[], tuple[tuple[str, ...], str]]
    #: Why there are no more workers, when it is not for want of cores; or that there are too many.
    limit: str = ""
    #: Individuals that are judged, and final runs that are made, already.
    judged: int = 0
    finals: int = 0

    @property
    def ladder(self) -> Ladder:
        """The rungs on which individuals are judged."""
        return self.settings.ladder(fine_tuning=True)

    @property
    def final_runs(self) -> int:
        """How many runs the finalists and the default recipe make at the end."""
        search = self.settings.search
        return (search.finalists + 1) * search.repeats


def checkpoints_of(file: Path) -> Path:
    """Return the folder of a population's checkpoints, as an absolute path."""
    return Paths.of(file).checkpoints.absolute()


def facts_of(images: Images) -> dict[str, Any]:
    """Return what there is to remember of the images, as plain JSON data."""
    return {
        "name": images.name,
        "source": images.source,
        "fingerprint": images.fingerprint,
        "content": images.content,
        "classes": list(images.classes),
        "splits": images.counts(),
        "largest_class": images.largest_class(),
    }


def header_of(plan: Plan) -> Header:
    """Return what a new population file says of the run as a whole."""
    return Header.new(
        plan.settings,
        space=plan.space.to_dict(),
        data=facts_of(plan.images),
        backbones=tuple(asdict(facts) for facts in plan.backbones),
        environment={**versions(), "gpus": list(plan.gpus)},
    )
