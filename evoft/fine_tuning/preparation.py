"""Everything up to the first trial: data, backbones, plan, decoded images, workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.evolution import Evolution
from evoft.fine_tuning.checks import largest_batch
from evoft.fine_tuning.depths import freeze_depths
from evoft.fine_tuning.devices import at_a_time, gpus_asked_for, place_workers
from evoft.fine_tuning.forecast import Forecast
from evoft.fine_tuning.lasting_facts import as_before, to_measure
from evoft.fine_tuning.plan import Plan, checkpoints_of
from evoft.fine_tuning.session import FineTuning
from evoft.header import Header
from evoft.lineage import Store
from evoft.machine import usable_cores
from evoft.objectives import objectives_of
from evoft.scratch import Scratch
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.settings import EMBEDDED, Settings
from evoft.training.costs import Costs
from evoft.training.data import decode, limit, read_images
from evoft.training.expression import Expression
from evoft.training.facts import BackboneFacts, Survey
from evoft.training.fine_tuner import FineTuner
from evoft.training.pixels import Pixels
from evoft.training.survey import Surveyor
from evoft.workers.local import LocalWorkers

_logger = logging.getLogger(__name__)

#: What workers import before the first of them starts: each would pay for the rest itself, at its
#: first trial.
PRELOAD = (
    "torch",
    "torch.utils.serialization",  # which torch.save imports
    "timm",
    "evoft.training.fine_tuner",
    "evoft.training.ordinary",
    "evoft.training.backbone",
    "evoft.training.features.cache",
    "evoft.training.heads.beginning",
    "evoft.training.heads.together",
    "evoft.training.start",
    "evoft.training.latency",
)
#: Seconds without a step after which a fine-tuning worker is taken for hung, unless set.
_STALL = 600.0

#: Called with ``(what, done, total)`` while all images are read, and then decoded.
Progress = Callable[[str, int, int], None]


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

    def plan(
        self,
        file: Path,
        space: SearchSpace,
        before: Header | None = None,
        *,
        progress: Progress | None = None,
        new: bool = False,
    ) -> Plan:
        """Read the data, then look at the backbones.

        Args:
            file: Where the population is, or goes.
            space: What is searched.
            before: The header of the population, if it is there already: what lasts of the facts
                that it has is not found out again.
            progress: Told how far the reading is.
            new: Whether a backbone that timm does not know, arguments that it does not take and a
                size of images that makes no sense are refused before the images are read; what was
                begun with such a size goes on.
        """
        settings = self._settings
        training = settings.training
        images = read_images(
            training.data,
            seed=settings.seed,
            val_share=training.val_share,
            test_share=training.test_share,
            before=self._check_backbones if new else None,
            progress=_telling(progress, "reading images"),
        )
        images = limit(images, training.max_train_images, settings.seed)
        timed = to_measure(settings, before)
        self.workers.retarget(Surveyor(training, len(images.classes), timed))
        counts = images.counts()
        largest = min(largest_batch(space, settings.fixed), counts["train"])
        survey: Survey = self.workers.call("survey", largest, gpus_asked_for(settings.run))
        known = {f.model: (f, p) for f, p in zip(survey.backbones, survey.probes, strict=True)}
        costs = Costs(known, counts["train"], counts["val"])
        context = max(probes.context for probes in survey.probes)
        probed, pixels = costs.memory(largest), _bytes_of(survey.backbones, len(images))

        def place() -> tuple[tuple[str, ...], str]:
            # No probe has the images in it; what trials were seen to take of a GPU has.
            needed = max(probed, costs.memory(largest) - pixels)
            placed = place_workers(settings.run, survey, needed, context, pixels)
            costs.share(at_a_time(placed[0], settings.search))
            return placed

        devices, why = place()
        backbones = as_before(survey.backbones, before) if before else survey.backbones
        express = expression_of(settings, backbones, space)
        forecast = Forecast(costs, express, ladder=express.ladder)
        return Plan(
            file, settings, space, images, backbones, survey.gpus, devices, forecast, place, why
        )

    def decode(self, plan: Plan, progress: Progress | None) -> Pixels:
        """Decode the images once for each way in which the backbones want them."""
        images = plan.images
        shared: dict[Any, Any] = {}
        for facts in plan.backbones:
            p, geometry = facts.preprocessing, _geometry(facts)
            if geometry not in shared:
                place, here = self.workers.share((len(images), *p.img_size, 3), "uint8")
                out: NDArray[np.uint8] = here.view(np.uint8)
                told = _telling(progress, "decoding images")
                decode(images, p, out, threads=usable_cores(), progress=told)
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

    def _check_backbones(self) -> None:
        """Refuse what can be told of the backbones without their weights and the images."""
        training = self._settings.training
        if set(training.models) != {EMBEDDED}:
            self.workers.call("check_names")
        if training.model_kwargs:
            self.workers.call("check_arguments")
        if training.img_size is not None:
            self.workers.call("check_sizes")

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


def _geometry(facts: BackboneFacts) -> Hashable:
    """Return what backbones agree on that take the same decoded images."""
    p = facts.preprocessing
    return (p.img_size, p.interpolation, p.crop_pct, p.crop_mode)


def _bytes_of(backbones: Sequence[BackboneFacts], images: int) -> int:
    """Return the bytes of all images as the backbones want them decoded."""
    sizes = {_geometry(facts): facts.preprocessing.img_size for facts in backbones}
    return sum(images * height * width * 3 for height, width in sizes.values())


def _telling(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else partial(progress, what)


def expression_of(
    settings: Settings, backbones: tuple[BackboneFacts, ...], space: SearchSpace
) -> Expression:
    """Return the mapping from genomes to recipes."""
    facts = {f.model: f for f in backbones}
    fixed, ladder = dict(settings.fixed), settings.ladder(fine_tuning=True)
    return Expression(settings.training, facts, fixed, space.phenotype, ladder)
