"""What a model makes of a split: logits, mean loss, accuracy."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evoft.settings import ACCURACY, BALANCED_ACCURACY
from evoft.training.balance import balanced_accuracy
from evoft.training.examples import Examples
from evoft.training.memory import in_halves
from evoft.training.precision import Precision, autocast


@torch.inference_mode()
def predict(model: nn.Module, examples: Examples, precision: Precision | None = None) -> Tensor:
    """Return the logits ``(images, classes)`` of a split, in float32, in its own order.

    Args:
        model: On the device.
        examples: The split, features included that have this precision.
        precision: That the model was trained in.
    """
    model.eval()
    network = examples.through(model)
    places = torch.arange(len(examples), device=examples.pixels.device)

    def logits(first: int, stop: int) -> tuple[Tensor]:
        with autocast(places.device, precision):
            return (network(examples.inputs(places[first:stop])).float(),)

    count, size = len(examples), examples.passing
    batches = ((first, min(first + size, count)) for first in range(0, count, size))
    return torch.cat([in_halves(logits, *batch)[0] for batch in batches])


def evaluate(
    model: nn.Module,
    examples: Examples,
    precision: Precision | None = None,
    metric: str = ACCURACY,
) -> dict[str, float]:
    """Return what a learning curve has of validation: the mean loss, the metrics; see `predict`.

    Args:
        model: As in `predict`, as are the others.
        examples: The split.
        precision: That the model was trained in.
        metric: What the fitness is; the accuracy is there in any case.
    """
    logits = predict(model, examples, precision)
    right = logits.argmax(dim=1) == examples.labels
    measured = {
        "val_loss": float(cross_entropy(logits, examples.labels)),
        "val_accuracy": float(right.sum()) / len(examples),
    }
    if metric == BALANCED_ACCURACY:
        balanced = balanced_accuracy(right, examples.labels, examples.classes)
        measured["val_balanced_accuracy"] = balanced
    return measured
