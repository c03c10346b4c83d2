"""A trial's linear head as training finds it, made of what its worker's trials share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from evoft.training.commons import Commons
from evoft.training.device import the_device
from evoft.training.feed import Feed
from evoft.training.heads.inputs import Dropout
from evoft.training.heads.judging import Judges
from evoft.training.heads.learner import Head
from evoft.training.heads.linear import linear_head
from evoft.training.paused_folder import PausedFolder, leg_of
from evoft.trial import Trial


def head_of(trial: Trial, commons: Commons, left: PausedFolder | None) -> Head | None:
    """Return the head of a trial of a company before training; None where it is not linear.

    Args:
        trial: Whose it is.
        commons: What trials share.
        left: What it may go on from; None: nothing.
    """
    recipe = commons.express(trial.genome)
    # One model stands for all whose frozen layers and dropout are alike.
    alike = replace(recipe, drop=0.5 if recipe.drop else 0.0)
    parts = commons.keep(
        ("parts", f"{alike.model} {alike.drop}"),
        lambda: commons.parts(commons.start.model(alike, 0).to(the_device()), alike),
    )
    train, val = commons.with_features(parts, recipe, partial(trial.report, 0), apart=True)
    if train.features is None or val.features is None:
        return None
    # What is too large for the device goes there batch by batch, which only others do.
    if any(one.device.type != the_device().type for one in (train.features, val.features)):
        return None
    features = val.features
    linear = commons.keep(
        ("linear", f"{alike.model} {alike.drop}"), lambda: linear_head(features, alike.drop)
    )
    if linear is None:
        return None
    fresh = commons.start.classifier(recipe.model, trial.seed)
    weight, bias = (fresh[name].to(the_device()) for name in linear.names)
    return Head(
        recipe,
        weight,
        bias,
        linear.names,
        Feed(train, recipe, trial.seed),
        Dropout(recipe.drop if linear.drops else 0.0, trial.seed),
        Judges(val.features.values[0][0], val.labels, commons.settings.metric),
        trial.report,
        leg_of(trial, recipe, left, head=True),
    )
