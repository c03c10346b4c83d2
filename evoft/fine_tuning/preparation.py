"""Everything before the first trial: data, backbones, plan, decoded images, population file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.elders import with_elders
from evoft.errors import (
    BackboneError,
    PopulationExistsError,
    PopulationMismatchError,
    SettingsError,
)
from evoft.evolution import Evolution
from evoft.fine_tuning.checks import (
    check_lineage,
    check_recipes,
    check_rungs,
    check_same,
    check_search,
    largest_batch,
    searched_space,
    shortened_warmup,
    unseen,
)
from evoft.fine_tuning.depths import freeze_depths
from evoft.fine_tuning.devices import place_workers
from evoft.fine_tuning.forecast import Forecast
from evoft.fine_tuning.plan import Plan, checkpoints_of, header_of
from evoft.fine_tuning.session import FineTuning
from evoft.genome import Value
from evoft.lineage import Population, Store
from evoft.objectives import objectives_of
from evoft.scratch import Scratch
from evoft.search.checks import unheeded, unheeded_settings
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.settings import Settings, TrainingSettings
from evoft.training.costs import Costs
from evoft.training.data import decode, limit, read_images
from evoft.training.expression import Expression
from evoft.training.facts import BackboneFacts, Survey
from evoft.training.fine_tuner import FineTuner
from evoft.training.pixels import Pixels
from evoft.training.survey import Surveyor
from evoft.trial import Stage
from evoft.workers.local import LocalWorkers

_logger = logging.getLogger(__name__)

#: What workers import before the first of them starts.
PRELOAD = (
    "torch",
    "timm",
    "evoft.training.loop",
    "evoft.training.backbone",
    "evoft.training.features",
)
#: Seconds without a step after which a fine-tuning worker is taken for hung, unless set.
_STALL = 600.0

#: Called with ``(done, total)`` while images are decoded.
Progress = Callable[[int, int], None]


def start(
    settings: Settings,
    space: SearchSpace | None,
    file: Path,
    progress: Progress | None = None,
    elders: Sequence[Path] = (),
) -> FineTuning:
    """Look at the data and the backbones, plan the run and make its population file.

    Args:
        settings: Everything that was set.
        space: What to search; None: the default space.
        file: Where the population goes.
        progress: Told how far the decoding is.
        elders: Earlier populations, whose best are founders, too.

    Raises:
        EvoftError: Whatever is wrong with data, backbones, settings or file, before any training.
    """
    if file.suffix != ".h5":
        raise SettingsError(f"a population file is named *.h5, but the name given is {file}")
    if file.exists():
        raise PopulationExistsError(
            f"{file} is there already: go on with it by `evoft resume {file}`, or give another "
            "name with --file"
        )
    settings = _absolute(settings)
    searched = searched_space(space, settings)
    check_search(settings)
    check_rungs(settings, searched)
    settings = replace(settings, founders={**_linear_probe(searched), **settings.founders})
    settings = with_elders(settings, searched, elders)
    assumed = expression_of(settings, tuple(map(unseen, settings.training.models)), searched)
    check_recipes(assumed, searched, settings.founders)
    _check_weights(settings.training)
    for said in (
        unheeded(searched, settings.search),
        unheeded_settings(settings, fine_tuning=True),
        shortened_warmup(settings),
    ):
        if said:
            _logger.warning("%s", said)
    with Preparation(settings) as preparation:
        plan = preparation.plan(file, searched)
        expression = expression_of(settings, plan.backbones, searched)
        recipes = check_recipes(expression, searched, settings.founders)
        preparation.workers.call("check_optimizers", sorted({recipe.opt for recipe in recipes}))
        pixels = preparation.decode(plan, progress)
        store = Store.create(file, header_of(plan))
        return preparation.run(plan, expression, pixels, store)


def resume(
    file: Path,
    *,
    change: Callable[[Settings], Settings] = lambda settings: settings,
    progress: Progress | None = None,
) -> FineTuning:
    """Go on with a population where it stopped.

    Args:
        file: The population file.
        change: Gives the settings to go on with from those in the file: other budgets, workers,
            limits, or another place of the same data.
        progress: Told how far the decoding is.

    Raises:
        PopulationMismatchError: The data or the weights are not those of the file.
        SettingsError: A setting that settles the lineage was changed.
        EvoftError: Whatever else is wrong, before any training.
    """
    header = Population.open(file).header
    if not header.data:
        raise PopulationMismatchError(
            f"{file} was made with a fitness function of its own: go on with it in Python by "
            "`evoft.resume(fitness, file)`"
        )
    before = Settings.of_file(header.settings)
    settings = _absolute(change(before))
    check_lineage(before, settings)
    space = SearchSpace.from_dict(header.space)
    with Preparation(settings) as preparation:
        plan = preparation.plan(file, space)
        check_same(header, plan)
        store = Store.open(file)
        try:
            judged = sum(stage is Stage.SEARCH for stage, _, _ in store.records)
            plan = replace(plan, judged=judged, finals=len(store.records) - judged)
            if settings.to_dict() != before.to_dict():
                store.amend_settings(settings.to_dict())
            pixels = preparation.decode(plan, progress)
            expression = expression_of(settings, plan.backbones, space)
            return preparation.run(plan, expression, pixels, store)
        except BaseException:
            store.close()
            raise


class Preparation:
    """Everything up to the first trial; ends its workers unless they are handed on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        run = settings.run
        self.workers = LocalWorkers(
            Surveyor(settings.training, 2),
            devices=["cpu" if run.devices == "cpu" else "any"],
            preload=PRELOAD,
            trial_timeout=run.trial_timeout,
            stall_timeout=run.stall_timeout or _STALL,
        )
        self._scratch: Scratch | None = None
        self._handed_on = False

    def __enter__(self) -> Preparation:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._handed_on:
            self.workers.close()
            if self._scratch is not None:
                self._scratch.close()

    def plan(self, file: Path, space: SearchSpace) -> Plan:
        """Read the data while the workers' imports go on, then look at the backbones."""
        settings = self._settings
        training = settings.training
        images = read_images(
            training.data,
            seed=settings.seed,
            val_share=training.val_share,
            test_share=training.test_share,
        )
        images = limit(images, training.max_train_images, settings.seed)
        self.workers.retarget(Surveyor(training, len(images.classes)))
        counts = images.counts()
        largest = min(largest_batch(space, settings.fixed), counts["train"])
        survey: Survey = self.workers.call("survey", largest)
        known = {f.model: (f, p) for f, p in zip(survey.backbones, survey.probes, strict=True)}
        costs = Costs(known, counts["train"], counts["val"])
        context = max(probes.context for probes in survey.probes)

        def place() -> tuple[tuple[str, ...], str]:
            return place_workers(settings.run, survey, costs.memory(largest), context)

        devices, why = place()
        express = expression_of(settings, survey.backbones, space)
        forecast = Forecast(costs, express, ladder=express.ladder)
        backbones, gpus = survey.backbones, survey.gpus
        return Plan(file, settings, space, images, backbones, gpus, devices, forecast, place, why)

    def decode(self, plan: Plan, progress: Progress | None) -> Pixels:
        """Decode the images once for each way in which the backbones want them."""
        images = plan.images
        shared: dict[Any, Any] = {}
        for facts in plan.backbones:
            p = facts.preprocessing
            geometry = (p.img_size, p.interpolation, p.crop_pct, p.crop_mode)
            if geometry not in shared:
                place, here = self.workers.share((len(images), *p.img_size, 3), "uint8")
                out: NDArray[np.uint8] = here.view(np.uint8)
                told = None if progress is None else _telling(progress, len(images))
                decode(images, p, out, threads=os.cpu_count() or 1, progress=told)
                shared[geometry] = place
            shared[facts.model] = shared[geometry]
        return Pixels(
            images={facts.model: shared[facts.model] for facts in plan.backbones},
            labels=images.labels,
            splits={split: images.indices(split) for split in images.counts()},
            classes=len(images.classes),
            fingerprint=images.fingerprint,
        )

    def run(self, plan: Plan, express: Expression, pixels: Pixels, store: Store) -> FineTuning:
        """Return the run, ready to go on."""
        settings = plan.settings
        cache = self._make_cache() if settings.training.cache_size else None
        tuner = FineTuner(
            settings.training,
            express,
            pixels,
            checkpoints_of(plan.file),
            cache,
            {f.model: freeze_depths(plan.space, settings.fixed, f) for f in plan.backbones},
            paused=checkpoints_of(plan.file),
            measures=tuple(one.name for one in objectives_of(settings.search.objectives)),
            workers=len(plan.devices),
        )
        self.workers.retarget(tuner, plan.devices)
        search = Search(
            plan.space,
            settings.search,
            settings.seed,
            ladder=express.ladder,
            named=settings.founders,
            express=express,
        )
        for record in sorted(store.records.values(), key=lambda record: record.elapsed):
            plan.forecast.learn(record.trial, record.outcome)
        plan.forecast.company = tuner.company
        evolution = Evolution(search, store, lambda genome: express(genome).to_dict())
        self._handed_on = True
        return FineTuning(plan, evolution, self.workers, self._scratch)

    def _make_cache(self) -> Path | None:
        """Return the folder in which workers share features; None where it cannot be made."""
        try:
            self._scratch = Scratch()
        except OSError as error:
            _logger.warning(
                "features are not shared (%s): each worker keeps its own in memory; name a folder "
                "that can be written to by TMPDIR",
                error,
            )
            return None
        self.workers.bequeath(self._scratch.path)
        return self._scratch.path


def _telling(progress: Progress, total: int) -> Callable[[int], None]:
    return lambda done: progress(done, total)


def _linear_probe(space: SearchSpace) -> dict[str, dict[str, Value]]:
    """Return the founder that trains the classifier alone, where depth is a gene."""
    if "freeze_depth" not in space:
        return {}
    return {"linear probe": {"freeze_depth": space["freeze_depth"].at(1.0)}}


def expression_of(
    settings: Settings, backbones: tuple[BackboneFacts, ...], space: SearchSpace
) -> Expression:
    """Return the mapping from genomes to recipes."""
    facts = {f.model: f for f in backbones}
    fixed, ladder = dict(settings.fixed), settings.ladder(fine_tuning=True)
    return Expression(settings.training, facts, fixed, space.phenotype, ladder)


def _check_weights(training: TrainingSettings) -> None:
    """Refuse weights that are not there, before a worker is needed to read them."""
    if not training.pretrained or training.checkpoint is None:
        return
    if not os.path.isfile(training.checkpoint):
        raise BackboneError(
            f"there is no file of weights {training.checkpoint}: give the file's path with "
            "--checkpoint"
        )


def _absolute(settings: Settings) -> Settings:
    """Return the settings with whole paths, so that a run can be resumed from any folder."""
    training = settings.training
    paths: dict[str, Any] = {}
    if training.data != "digits":
        paths["data"] = os.path.abspath(os.path.expanduser(training.data))
    if training.checkpoint is not None:
        paths["checkpoint"] = os.path.abspath(training.checkpoint)
    return replace(settings, training=replace(training, **paths))
