"""Refitting: a recipe that was found, trained anew for longer or on more images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.environment import versions
from evoft.errors import NoResultError, SettingsError, StorageError
from evoft.fine_tuning.exporting import require_fine_tuned
from evoft.fine_tuning.outputs import (
    require_apart_from_population,
    require_free,
    require_model_apart_from_images,
)
from evoft.fine_tuning.plan import Plan, facts_of
from evoft.fine_tuning.preparation import Preparation, Progress
from evoft.fine_tuning.repeating import repeated
from evoft.fine_tuning.sources import check_sources_again, check_weights_again, with_whole_paths
from evoft.genome import Genome
from evoft.lineage import Population
from evoft.outcome import CurvePoint, Outcome
from evoft.recipe import Recipe, whole
from evoft.refit import Changes, Refit, Refitted
from evoft.scratch import Scratch
from evoft.search.space import SearchSpace
from evoft.seeds import derive
from evoft.settings import SearchSettings, Settings
from evoft.training.data import Images
from evoft.training.expression import Expression
from evoft.training.fine_tuner import FineTuner
from evoft.training.pixels import Pixels
from evoft.trial import Stage, Trial

#: The genome of a run in which nothing is searched.
_GENOME = Genome({})

#: Gives the model card and the metrics of what was trained.
Describe = Callable[[Refitted], tuple[str, Mapping[str, Any]]]


def refit(  # four are told of what happens meanwhile
    population: Population,
    id: int,
    folder: Path,
    changes: Changes,
    describe: Describe,
    *,
    begin: Callable[[Refit], None],
    told: Callable[[CurvePoint], None],
    progress: Progress | None = None,
) -> Refitted:
    """Train an individual's recipe anew, from the start weights, and export what it gives.

    It is trained on all images of the training split, also where the search had fewer of them.

    Args:
        population: Read from its file, which stays as it is.
        id: Whose recipe.
        folder: Where the model goes, as in ``export_individual``.
        changes: What is to be different.
        describe: Gives the model card and the metrics of what was trained.
        begin: Told what is going to be trained, once nothing is wrong with it.
        told: Told each point of the learning curve.
        progress: Told how far the reading of all images is, and their decoding.

    Raises:
        PopulationMismatchError: Not a population of fine-tuned models.
        SettingsError: A change that makes no sense.
        NoResultError: The training did not end well.
        EvoftError: Whatever is wrong with data, weights or folder, before any training.
    """
    require_fine_tuned(population)
    assert population.path is not None
    settings = _settings_of(population, id, changes)
    require_free(folder)
    require_apart_from_population(folder, population.path)
    require_model_apart_from_images(folder, settings.training.data)
    check = check_sources_again if changes.data is None else check_weights_again
    check(settings.training, population.path)
    with Preparation(settings) as preparation, _checkpoints() as checkpoints:
        space = SearchSpace.from_dict(population.header.space)
        plan = preparation.plan(population.path, space, progress=progress)
        express = _expression(plan)
        pixels = _pixels(preparation.decode(plan, progress), with_val=changes.with_val)
        tuner = FineTuner(settings.training, express, pixels, checkpoints)
        preparation.workers.bequeath(checkpoints)
        preparation.workers.retarget(tuner, plan.devices[:1])
        fit = _fit(population, id, changes, plan, express(_GENOME))
        begin(fit)
        trial = Trial(id, _GENOME, derive(changes.seed, "refit", id), Stage.FINAL)
        outcome = repeated(preparation.workers, trial, told)
        if outcome.score == -math.inf:
            raise NoResultError(
                f"the recipe of individual {id} did not end well ({outcome.status}: "
                f"{outcome.reason})"
            )
        right = preparation.workers.call("right", trial.genome, trial.key)
        refitted = _refitted(fit, outcome, right, plan.images)
        card, metrics = describe(refitted)
        left, classes = [(trial.genome, trial.key)], plan.images.classes
        place = folder.absolute()
        preparation.workers.call("export", left, place, classes, card, dict(metrics))
    return refitted


def _fit(population: Population, id: int, changes: Changes, plan: Plan, recipe: Recipe) -> Refit:
    training = plan.settings.training
    return Refit(
        individual=id,
        recipe=recipe.to_dict(),
        seed=changes.seed,
        with_val=changes.with_val,
        data=facts_of(plan.images),
        split={
            "seed": plan.settings.seed,
            "val_share": training.val_share,
            "test_share": training.test_share,
            "max_train_images": training.max_train_images,
        },
        environment=versions(),
        same_images=plan.images.content == population.header.data.get("content"),
    )


def _refitted(fit: Refit, outcome: Outcome, right: NDArray[np.bool_], images: Images) -> Refitted:
    labels = images.labels[images.indices("test")]
    classes = [labels == label for label in np.unique(labels)]
    return Refitted(
        fit=fit,
        outcome=outcome,
        images=tuple(int(of_class.sum()) for of_class in classes),
        right=tuple(int(right[of_class].sum()) for of_class in classes),
    )


def _no_genes(genome: Genome) -> Mapping[str, Any]:
    return genome


def _expression(plan: Plan) -> Expression:
    """Return what gives the one recipe that there is."""
    settings, facts = plan.settings, {one.model: one for one in plan.backbones}
    ladder = settings.ladder(fine_tuning=True)
    return Expression(settings.training, facts, settings.fixed, _no_genes, ladder)


def _settings_of(population: Population, id: int, changes: Changes) -> Settings:
    """Return the settings of a run of which the individual's recipe is all that there is."""
    recorded = population.recipe(id)
    assert recorded is not None
    recipe = whole(recorded)
    model = recipe.pop("model")
    for name in ("epochs", "patience"):
        if (value := getattr(changes, name)) is not None:
            recipe[name] = value
    if changes.with_val and recipe["patience"]:
        raise SettingsError(
            f"`patience` must be 0 where the validation images are trained on, but is "
            f"{recipe['patience']}: give --patience 0, or leave --with-val out"
        )
    before = Settings.of_file(population.header.settings)
    training = replace(
        before.training,
        models=(model,),
        epochs=recipe["epochs"],
        patience=recipe["patience"],
        max_train_images=None,
        data=before.training.data if changes.data is None else changes.data,
    )
    return with_whole_paths(
        replace(
            before,
            # Without rungs a recipe is trained as it is.
            search=SearchSettings(strategy="random"),
            training=training,
            run=replace(
                before.run,
                devices=before.run.devices if changes.devices is None else changes.devices,
                workers=1,
                budget=None,
                trial_timeout=None,
            ),
            fixed=recipe,
            founders={},
        )
    )


@contextmanager
def _checkpoints() -> Iterator[Path]:
    """Yield a folder for the weights, until they are exported."""
    try:
        scratch = Scratch()
    except OSError as error:
        raise StorageError(
            f"there is no place for the weights while they are trained ({error}): name a folder "
            "that can be written to by TMPDIR"
        ) from None
    try:
        yield scratch.path
    finally:
        scratch.close()


def _pixels(pixels: Pixels, *, with_val: bool) -> Pixels:
    """Return the images, of which those of validation are trained on, too, if they are to be."""
    if not with_val:
        return pixels
    train = np.sort(np.concatenate([pixels.splits["train"], pixels.splits["val"]]))
    return replace(pixels, splits={**pixels.splits, "train": train})
