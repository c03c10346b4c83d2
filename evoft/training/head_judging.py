"""How linear heads are judged, many at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.training.head_memory import multiply, room

#: Most logits of validation that are looked at together.
_LOOKED_AT = 2**22


@dataclass(frozen=True, slots=True)
class Judges:
    """The images that heads are judged on."""

    #: ``(images, features)``, floats as they are kept.
    features: Tensor
    #: ``(images,)``, int64.
    labels: Tensor

    def judge_all(self, weights: Tensor, biases: Tensor) -> list[tuple[float, float]]:
        """Return what `judge` does for any number of heads, a pair of numbers for each."""
        heads, classes = biases.shape
        size = max(1, _LOOKED_AT // (classes * len(self.labels)))
        parts = [
            self.judge(weights[first : first + size], biases[first : first + size])
            for first in range(0, heads, size)
        ]
        losses, right = (torch.cat(values).tolist() for values in zip(*parts, strict=True))
        return list(zip(losses, right, strict=True))

    def judge(self, weights: Tensor, biases: Tensor) -> tuple[Tensor, Tensor]:
        """Return each head's mean loss, and the share of images that it classifies rightly.

        Args:
            weights: ``(heads, classes, features)``.
            biases: ``(heads, classes)``.
        """
        heads, classes = biases.shape
        images = len(self.labels)
        logits = room(heads, classes, images, biases.device)[1]
        multiply(weights, self.features.float().t().expand(heads, -1, -1), logits)
        logits.add_(biases[:, :, None])
        logs = torch.log_softmax(logits, dim=1)
        losses = logs.gather(1, self.labels.expand(heads, 1, -1)).sum(dim=(1, 2)).div_(-images)
        right = (first_highest(logits) == self.labels).sum(dim=1)
        return losses, right.double() / images


def first_highest(logits: Tensor) -> Tensor:
    """Return ``logits.argmax(dim=1)``, which takes longer; the number of classes where all are NaN.

    Args:
        logits: ``(heads, classes, batch)``.
    """
    classes = logits.shape[1]
    places = torch.arange(classes, dtype=logits.dtype, device=logits.device)[:, None]
    highest = logits == logits.amax(dim=1, keepdim=True)
    return torch.where(highest, places, float(classes)).amin(dim=1).long()
