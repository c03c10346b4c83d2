"""A data set as workers find it: decoded once, in memory that all of them map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evoft.shared import SharedArray
from evoft.training.data import Preprocessing

if TYPE_CHECKING:
    import torch

    from evoft.training.examples import Examples


@dataclass(frozen=True)
class Pixels:
    """A data set as workers find it: decoded images in shared memory, labels, splits."""

    #: ``(images, height, width, 3)`` uint8, for each model.
    images: Mapping[str, SharedArray]
    #: ``(images,)``, class numbers; empty where nothing is trained.
    labels: NDArray[np.int64]
    #: Places of each split's images, by the split's name.
    splits: Mapping[str, NDArray[np.int64]]
    classes: int
    #: Digest of the images and of how they are split.
    fingerprint: str = ""


def examples_of(
    data: Pixels, split: str, pixels: torch.Tensor, preprocessing: Preprocessing
) -> Examples:
    """Return the images of a split.

    Args:
        data: Where they are, and their labels.
        split: Its name.
        pixels: ``(all images, height, width, 3)``, uint8, on the device.
        preprocessing: How the backbone wants them.
    """
    import torch

    from evoft.training.examples import Examples

    device = pixels.device
    places = data.splits[split]
    return Examples(
        pixels=pixels,
        places=torch.from_numpy(places).to(device),
        labels=torch.from_numpy(data.labels[places]).to(device),
        mean=torch.tensor(preprocessing.mean, device=device),
        std=torch.tensor(preprocessing.std, device=device),
        classes=data.classes,
    )
