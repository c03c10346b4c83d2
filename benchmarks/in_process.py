"""A fine-tuner in this process, for benchmarks that look at a trial from within."""

import os
from dataclasses import replace
from pathlib import Path

import torch

from evoft.fine_tuning.depths import freeze_depths
from evoft.fine_tuning.preparation import expression_of
from evoft.machine import usable_cores
from evoft.search.space import SearchSpace
from evoft.settings import Settings
from evoft.shared import SharedArray
from evoft.training.backbone import build, facts_of
from evoft.training.data import decode, limit, read_images
from evoft.training.default_space import default_genes
from evoft.training.density import density_of
from evoft.training.fine_tuner import FineTuner
from evoft.training.pixels import Pixels


def fine_tuner(settings: Settings, checkpoints: Path | None = None) -> FineTuner:
    """Return the fine-tuner of a run with one backbone, as a worker of the run has it."""
    torch.set_num_threads(1)
    training = settings.training
    images = read_images(training.data, seed=settings.seed)
    images = limit(images, training.max_train_images, settings.seed)
    classes = len(images.classes)
    facts = facts_of(training.models[0], training, classes)
    preprocessing = facts.preprocessing
    built = build(facts.model, training, classes, pretrained=False)
    facts = replace(facts, density=density_of(built, preprocessing.img_size))
    # Held open by its descriptor alone, which lives as long as this process.
    fd = os.memfd_create("evoft")
    shape = (len(images), *preprocessing.img_size, 3)
    os.truncate(fd, shape[0] * shape[1] * shape[2] * 3)
    shared = SharedArray(fd, shape, "uint8")
    decode(images, preprocessing, shared.open(writable=True), threads=usable_cores())
    pixels = Pixels(
        images={facts.model: shared},
        labels=images.labels,
        splits={split: images.indices(split) for split in images.counts()},
        classes=classes,
        fingerprint=images.fingerprint,
    )
    space = SearchSpace.from_dict(default_genes(training.models))
    express = expression_of(settings, (facts,), space)
    depths = {facts.model: freeze_depths(space, settings.fixed, facts)}
    return FineTuner(training, express, pixels, checkpoints, depths=depths)
