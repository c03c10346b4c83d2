"""What a run is going to do, settled before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    #: Individuals that are judged, and final runs that are made, already.
    judged: int = 0
    finals: int = 0

    @property
    def seconds(self) -> float | None:
        """Estimated seconds for what is still to do, as if no trial froze a layer; None: open."""
        births = self.settings.search.births
        if births is None:
            return None
        left = max(0, births - self.judged)
        # Further births may bring other finalists; without them the final runs stand.
        trials = left + (self.final_runs if left else max(0, self.final_runs - self.finals))
        mean = sum(self.trial_seconds(facts) for facts in self.backbones) / len(self.backbones)
        return mean * trials / len(self.devices)

    @property
    def final_runs(self) -> int:
        """How many runs the finalists and the default recipe make at the end."""
        search = self.settings.search
        return (search.finalists + 1) * search.repeats

    def trial_seconds(self, facts: BackboneFacts) -> float:
        """Estimated seconds of a trial that freezes nothing and runs to the last epoch."""
        counts = self.images.counts()
        epoch = counts["train"] * facts.train_seconds + counts["val"] * facts.val_seconds
        return self.settings.training.epochs * epoch


def checkpoints_of(file: Path) -> Path:
    """Return the folder of a population's checkpoints, as an absolute path."""
    return Paths.of(file).checkpoints.absolute()
