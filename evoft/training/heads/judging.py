"""How linear heads are judged, many at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.settings import ACCURACY, BALANCED_ACCURACY
from evoft.training.balance import balanced_accuracy
from evoft.training.heads.memory import multiply, room

#: Most logits of validation that are looked at together.
_LOOKED_AT = 2**22


@dataclass(frozen=True, slots=True)
class Judges:
    """The images that heads are judged on."""

    #: ``(images, features)``, floats as they are kept.
    features: Tensor
    #: ``(images,)``, int64.
    labels: Tensor
    #: What the fitness is, one of ``settings.METRICS``.
    metric: str = ACCURACY

    def judge_all(self, weights: Tensor, biases: Tensor) -> list[dict[str, float]]:
        """Return for any number of heads what ``judging.evaluate`` does for a model."""
        heads, classes = biases.shape
        size = max(1, _LOOKED_AT // (classes * len(self.labels)))
        found = []
        for first in range(0, heads, size):
            losses, right = self.judge(weights[first : first + size], biases[first : first + size])
            shares = (right.sum(dim=1).double() / len(self.labels)).tolist()
            names = "val_loss", "val_accuracy"
            measured = [
                dict(zip(names, values, strict=True))
                for values in zip(losses.tolist(), shares, strict=True)
            ]
            if self.metric == BALANCED_ACCURACY:
                for one, mine in zip(measured, right, strict=True):
                    one["val_balanced_accuracy"] = balanced_accuracy(mine, self.labels, classes)
            found += measured
        return found

    def judge(self, weights: Tensor, biases: Tensor) -> tuple[Tensor, Tensor]:
        """Return each head's mean loss, and which images it classifies rightly.

        Args:
            weights: ``(heads, classes, features)``.
            biases: ``(heads, classes)``.

        Returns:
            ``(heads,)`` and ``(heads, images)``.
        """
        heads, classes = biases.shape
        images = len(self.labels)
        logits = room(heads, classes, images, biases.device)[1]
        multiply(weights, self.features.float().t().expand(heads, -1, -1), logits)
        logits.add_(biases[:, :, None])
        logs = torch.log_softmax(logits, dim=1)
        losses = logs.gather(1, self.labels.expand(heads, 1, -1)).sum(dim=(1, 2)).div_(-images)
        return losses, first_highest(logits) == self.labels


def first_highest(logits: Tensor) -> Tensor:
    """Return ``logits.argmax(dim=1)``, which takes longer; the number of classes where all are NaN.

    Args:
        logits: ``(heads, classes, batch)``.
    """
    classes = logits.shape[1]
    places = torch.arange(classes, dtype=logits.dtype, device=logits.device)[:, None]
    highest = logits == logits.amax(dim=1, keepdim=True)
    return torch.where(highest, places, float(classes)).amin(dim=1).long()
