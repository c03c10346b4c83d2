"""Prediction with an exported model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from torch import nn

from evoft.errors import BackboneError, DataError
from evoft.training.backbone import preprocessing_of
from evoft.training.data import Preprocessing, load_one, told_of_all


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one image."""

    image: str
    label: str
    #: Probability of the label, 0 to 1.
    probability: float


def predict_files(
    folder: Path, images: Sequence[str], unusable: Callable[[DataError], None] | None = None
) -> list[Prediction]:
    """Return the most probable class of each image file.

    Args:
        folder: What ``evoft export`` wrote, or any model in the hub's format with label names.
        images: Image files, each read by itself.
        unusable: Told what is wrong with each image that cannot be read, once the others are
            predicted; None: one such image is an error.

    Returns:
        The predictions of the images that can be read, in their order.

    Raises:
        BackboneError: The folder holds no model that timm loads.
        DataError: No image can be read, or one cannot and nobody would be told.
    """
    model, labels, preprocessing = _model_in(folder)
    torch.set_num_threads(1)  # as in training: threads that share busy cores wait for each other
    mean = torch.tensor(preprocessing.mean)[:, None, None]
    std = torch.tensor(preprocessing.std)[:, None, None]
    predictions, wrong = [], dict[int, DataError]()
    for index, image in enumerate(images):
        try:
            read = load_one(image, preprocessing)
        except DataError as error:
            wrong[index] = error
            continue
        pixels = torch.from_numpy(np.ascontiguousarray(read))
        batch = ((pixels.permute(2, 0, 1).float() / 255.0 - mean) / std)[None]
        with torch.inference_mode():
            probabilities = model(batch).softmax(dim=1)[0]
        place = int(probabilities.argmax())
        predictions.append(Prediction(image, labels[place], float(probabilities[place])))
    if wrong and (unusable is None or not predictions):
        raise told_of_all(wrong, images)
    for one in wrong.values():
        assert unusable is not None
        unusable(one)
    return predictions


def _model_in(folder: Path) -> tuple[nn.Module, list[str], Preprocessing]:
    """Return an exported model, the names of its classes, and how it wants images."""
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
    labels = config.get("label_names") or [str(i) for i in range(int(model.num_classes))]
    return model, labels, preprocessing
