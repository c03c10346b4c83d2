"""A fine-tuner over a few digits, in this process."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evoft.ladder import Ladder
from evoft.search.space import SearchSpace
from evoft.settings import TrainingSettings
from evoft.shared import SharedArray
from evoft.training.backbone import facts_of
from evoft.training.data import decode, limit, read_images
from evoft.training.default_space import DEFAULT_GENES
from evoft.training.expression import Expression
from evoft.training.features import passes
from evoft.training.fine_tuner import FineTuner
from evoft.training.pixels import Pixels
from evoft.workers.local import LocalWorkers

#: The default space, and what else a genome may say.
GENES: Mapping[str, Mapping[str, Any]] = {
    "model": {"type": "choice", "values": ["embedded", "test_byobnet"]},
    "epochs": {"type": "integer", "low": 1, "high": 9, "default": 2},
    "patience": {"type": "integer", "low": 0, "high": 3, "default": 0},
    "model_ema": {"type": "float", "low": 0.0, "high": 0.99, "default": 0.0},
    "cooldown": {"type": "float", "low": 0.1, "high": 1.0, "default": 1.0},
    "clip_grad": {"type": "float", "low": 0.0, "high": 9.0, "default": 0.0},
    "class_weights": {"type": "choice", "values": ["none", "balanced"], "default": "none"},
    **DEFAULT_GENES,
}

ONE_RUNG = Ladder()
MakeTuner = Callable[..., FineTuner]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def two_workers() -> Iterator[LocalWorkers]:
    """Workers that many tests retarget, for their imports take seconds.

    A test that shares its images with them has workers of its own.
    """
    workers = LocalWorkers(None, preload=("torch", "timm"), devices=["cpu", "cpu"])
    yield workers
    workers.close()


@pytest.fixture
def prefixed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many images passed through a prefix, a number a batch, checks left aside."""
    counts: list[int] = []
    real = passes.compute

    def counted(*arguments: Any) -> Iterator[tuple[torch.Tensor, ...]]:
        for values in real(*arguments):
            counts.append(len(values[0]))
            yield values

    monkeypatch.setattr(passes, "compute", counted)
    return counts


@pytest.fixture(scope="session")
def limited_files() -> Callable[[int], AbstractContextManager[None]]:
    """``limited_files(most)``: a while in which the kernel lets no file grow beyond these bytes."""

    @contextmanager
    def limited(most: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace.from_dict(GENES)


@pytest.fixture(scope="session")
def make_tuner() -> MakeTuner:
    """``make_tuner(settings, checkpoints)`` for 40 digits to train on and 30 to judge by."""
    images = limit(read_images("digits", seed=0), 40, 0)
    shared: dict[Any, SharedArray] = {}
    known: dict[Any, Any] = {}

    def make(
        settings: TrainingSettings,
        checkpoints: Path | None = None,
        genes: Mapping[str, Any] = GENES,
        fixed: Mapping[str, Any] | None = None,
        cache: Path | None = None,
        ladder: Ladder = ONE_RUNG,
        paused: Path | None = None,
    ) -> FineTuner:
        facts = {}
        for model in settings.models:
            key = repr((model, settings))
            if key not in known:
                known[key] = facts_of(model, settings, len(images.classes))
            facts[model] = known[key]
            preprocessing = known[key].preprocessing
            if preprocessing not in shared:
                shape = (len(images), *preprocessing.img_size, 3)
                fd = os.memfd_create("test")
                os.truncate(fd, int(np.prod(shape)))
                shared[preprocessing] = SharedArray(fd, shape, "uint8")
                out = shared[preprocessing].open(writable=True)
                decode(images, preprocessing, out.view(np.uint8), threads=1)
        searched = SearchSpace.from_dict(genes)
        return FineTuner(
            settings,
            Expression(settings, facts, dict(fixed or {}), searched.phenotype, ladder),
            Pixels(
                {model: shared[facts[model].preprocessing] for model in facts},
                images.labels,
                {split: images.indices(split)[:40 if split == "train" else 30]
                 for split in images.counts()},
                len(images.classes),
                images.fingerprint,
            ),
            checkpoints,
            cache,
            paused=paused,
        )  # fmt: skip

    return make
