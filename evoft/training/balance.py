"""Classes of unequal size: what each weighs in the loss, and a score to which each adds alike."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return what each class weighs, ``(classes,)``: inverse to how often it is there.

    The mean over the images is 1 (King and Zeng 2001, "Logistic regression in rare events data",
    section 4.2, for a population in which all classes are equally frequent).

    Args:
        labels: ``(images,)``, of the training split, where every class has an image.
        classes: How many there are.
    """
    return len(labels) / (classes * torch.bincount(labels, minlength=classes)).float()


def balanced_accuracy(right: Tensor, labels: Tensor, classes: int) -> float:
    """Return the mean over the classes of the share that is classified rightly.

    Exact but for one rounding a class and one at the end, so that it is the same however the images
    are ordered and wherever it is computed.

    Args:
        right: ``(images,)``, bool.
        labels: ``(images,)``, their classes.
        classes: How many there are; one without images does not count.
    """
    images = torch.bincount(labels, minlength=classes).tolist()
    found = torch.bincount(labels[right], minlength=classes).tolist()
    shares = [hits / count for hits, count in zip(found, images, strict=True) if count]
    return math.fsum(shares) / len(shares)
