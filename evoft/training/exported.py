"""An exported model, and what it sees in images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import nn

from evoft.errors import BackboneError, DataError
from evoft.machine import usable_cores
from evoft.training.backbone import preprocessing_of
from evoft.training.data import Preprocessing, for_each

#: Most images that pass through the model at once on a thread: more of them is no faster there,
#: and each thread has as many in memory.
_TOGETHER = 8


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """A model from a folder in the hub's format, ready to be asked."""

    model: nn.Module
    #: The names of its classes, in the order of its outputs.
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    device: torch.device


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a model sees in images: of each the most probable classes, the first ahead."""

    #: ``(images, top)`` indices into the model's labels; -1 for an image that cannot be read.
    classes: NDArray[np.int64]
    #: ``(images, top)`` probabilities of those, 0 to 1; NaN for an image that cannot be read.
    probabilities: NDArray[np.float64]
    #: What is wrong with each image that cannot be read, by index.
    unusable: dict[int, DataError]


def open_exported(folder: Path) -> Exported:
    """Return the model in a folder, on the GPU if there is one.

    Args:
        folder: What ``evoft export`` wrote, or any timm model in the hub's format; where it has no
            names of classes their numbers stand for them.

    Raises:
        BackboneError: The folder holds no model that timm loads, or none with classes, or one with
            names of another number of them.
    """
    if folder.is_file():
        raise BackboneError(
            f"{folder} is a file, not a model's folder: give a folder that `evoft evolve` or "
            "`evoft export` made, such as NAME.best beside NAME.h5"
        )
    try:
        config = json.loads((folder / "config.json").read_text())
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        preprocessing = preprocessing_of(model)
    except FileNotFoundError as error:
        raise BackboneError(
            f"{folder} holds no model: there is no {error.filename}; give a folder that "
            "`evoft evolve` or `evoft export` made"
        ) from error
    except Exception as error:
        raise BackboneError(f"{folder} holds no model that timm loads ({error})") from error
    labels = _labels(folder, config.get("label_names"), int(model.num_classes))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Exported(model.to(device), labels, preprocessing, device)


def _labels(folder: Path, names: Any, count: int) -> tuple[str, ...]:
    """Return the names of a model's classes, which timm writes as a list or by their numbers."""
    if count < 1:
        raise BackboneError(f"the model in {folder} has no classifier: give one that has")
    if isinstance(names, dict):
        names = [names.get(str(i), str(i)) for i in range(count)]
    labels = tuple(str(name) for name in names or range(count))
    if len(labels) != count:
        raise BackboneError(
            f"the model in {folder} has {count} classes, but `label_names` in its config.json "
            f"names {len(labels)}: mend that"
        )
    return labels


def look(
    exported: Exported,
    count: int,
    load: Callable[[int], NDArray[np.uint8]],
    *,
    top: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Sight:
    """Return what a model sees in images, which all cores decode and look at.

    Args:
        exported: The model.
        count: How many images there are.
        load: Returns one of them as the model wants it, ``(height, width, 3)``, on any thread.
        top: How many classes are told of each, at least 1; at most all are.
        progress: Called on this thread with how many images are done so far, and how many there
            are.

    Raises:
        BackboneError: The model gives no finite numbers.
        Exception: What ``load`` raises, but for ``DataError``, which is kept beside the others.
    """
    # As in training: threads that share one step's work wait for each other where cores are busy.
    torch.set_num_threads(1)
    top = min(top, len(exported.labels))
    sight = Sight(np.full((count, top), -1, np.int64), np.full((count, top), math.nan), unusable={})
    threads = usable_cores()
    together = max(1, min(_TOGETHER, math.ceil(count / threads)))

    def several(batch: int) -> None:
        places, images = [], []
        for index in range(batch * together, min((batch + 1) * together, count)):
            try:
                images.append(load(index))
                places.append(index)
            except DataError as error:
                sight.unusable[index] = error
        if places:
            probabilities, classes = _probabilities(exported, np.stack(images)).topk(top)
            sight.classes[places] = classes.cpu().numpy()
            sight.probabilities[places] = probabilities.cpu().numpy()

    def told(done: int, _: int) -> None:
        if progress is not None:
            progress(min(done * together, count), count)

    for_each(math.ceil(count / together), several, threads=threads, progress=told, at_a_time=1)
    return sight


@torch.inference_mode()
def _probabilities(exported: Exported, images: NDArray[np.uint8]) -> torch.Tensor:
    """Return ``(images, classes)`` probabilities for ``(images, height, width, 3)``."""
    mean = torch.tensor(exported.preprocessing.mean, device=exported.device)[:, None, None]
    std = torch.tensor(exported.preprocessing.std, device=exported.device)[:, None, None]
    pixels = torch.from_numpy(images).to(exported.device).permute(0, 3, 1, 2)
    logits: torch.Tensor = exported.model((pixels.float() / 255.0 - mean) / std)
    if not logits.isfinite().all():
        raise BackboneError(
            "the model gives no finite numbers for an image, so it says nothing of it: its weights "
            "are damaged, or were never trained; export it again"
        )
    return logits.softmax(dim=1)
