"""The ordinary way to train a trial: step by step through its model, as memory allows."""

from __future__ import annotations

import math
from functools import partial

from evoft.training.commons import Commons
from evoft.training.device import the_device
from evoft.training.loop import Trained, fine_tune
from evoft.training.optimization import HalfStepError
from evoft.training.paused_folder import PausedFolder, leg_of
from evoft.trial import Trial


def train_ordinarily(trial: Trial, commons: Commons, left: PausedFolder | None) -> Trained:
    """Return what training gave, begun anew in smaller parts where a step was half taken.

    Args:
        trial: What to train.
        commons: What trials share.
        left: What it may go on from, and is left in; None: nothing, nowhere.

    Raises:
        RuntimeError: There is no memory for one image at a time.
    """
    micro = commons.express(trial.genome).batch_size
    while True:
        try:
            return _trained_in_parts(trial, commons, left, micro)
        except HalfStepError:
            if micro == 1:
                raise
        # Outside of the handler, which keeps the model alive.
        micro = math.ceil(micro / 2)
        trial.begin_anew()


def _trained_in_parts(
    trial: Trial, commons: Commons, left: PausedFolder | None, micro: int
) -> Trained:
    """Return what training gave with so many images at a time that pass through the model."""
    recipe = commons.express(trial.genome)
    model = commons.start.model(recipe, trial.seed).to(the_device())
    train, val = commons.splits(model, recipe, partial(trial.report, 0))
    return fine_tune(
        model,
        recipe,
        train,
        val,
        trial.seed,
        report=trial.report,
        leg=leg_of(trial, recipe, left, head=False),
        metric=commons.settings.metric,
        micro=micro,
        precision=commons.precision(recipe.model),
    )
