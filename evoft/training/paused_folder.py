"""Where trainings are left that the search may go on with.  Torch is imported in the worker."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training.device import the_device
from evoft.training.expression import Expression
from evoft.training.pixels import Pixels
from evoft.trial import Stage, Trial

if TYPE_CHECKING:
    from evoft.training.loop import Leg
    from evoft.training.paused import Mark, Paused

_logger = logging.getLogger(__name__)

#: Settings that have a say in a training beside the recipe.
_SETTLING = ("model_kwargs", "max_train_images", "views", "amp", "cache_size", "metric")


@dataclass
class PausedFolder:
    """The trainings that are left in a folder, one file an individual."""

    folder: Path
    settings: TrainingSettings
    express: Expression
    pixels: Pixels
    #: Whether it was said that the disk does not take what is left.
    _full: bool = False

    def find(self, trial: Trial) -> Paused | None:
        """Return what an earlier trial of the individual left to go on from."""
        from evoft.training.paused import read

        return read(paused_path(self.folder, trial.individual), self._mark(trial))

    def leave(self, trial: Trial, paused: Paused) -> None:
        """Leave what a later trial of the individual goes on from, if the disk takes it."""
        from evoft.training.paused import write

        try:
            write(paused, paused_path(self.folder, trial.individual), self._mark(trial))
        except OSError as error:
            if not self._full:
                self._full = True
                _logger.warning(
                    "a training cannot be left to go on with (%s): it is begun again when it is "
                    "continued; free some space, or set a limit with --max-disk",
                    error,
                )

    def _mark(self, trial: Trial) -> Mark:
        """Return what settles the training of a trial, however long it goes on."""
        from evoft.training.paused import Mark
        from evoft.training.precision import precision_of

        recipe, settings, device = self.express(trial.genome), self.settings, the_device()
        facts = self.express.facts[recipe.model]
        # One GPU of the machine may have a type that another has not.
        precision = precision_of(settings, facts)
        about = {
            "images": self.pixels.fingerprint,
            "weights": facts.weights,
            "preprocessing": asdict(facts.preprocessing),
            "device": device.type if precision is None else f"{device.type} {precision.dtype}",
            **{name: getattr(settings, name) for name in _SETTLING},
        }
        return Mark(recipe, trial.seed, about)


def leg_of(trial: Trial, recipe: Recipe, left: PausedFolder | None, *, head: bool) -> Leg:
    """Return how much of its training a trial is, from where it can go on.

    Args:
        trial: What is trained.
        recipe: The trial's.
        left: Where trainings are left to go on with; None: nowhere.
        head: Whether it trains as a head, for no other way can go on from what a head has left.
    """
    from evoft.training.loop import Leg
    from evoft.training.schedule import can_pause

    if left is None or trial.stage is not Stage.SEARCH or not can_pause(recipe):
        return Leg(trial.epochs)
    paused = left.find(trial)
    # Memory may have done for a head on one rung and not on another.
    usable = paused is not None and paused.of_head == head
    return Leg(trial.epochs, paused if usable else None, pause=trial.epochs is not None)


def paused_path(folder: Path, individual: int) -> Path:
    """Return where an individual's training is left to go on with."""
    return folder / f"{individual}.paused"
