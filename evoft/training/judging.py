"""What a model makes of a split: logits, mean loss, accuracy."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evoft.training.examples import Examples
from evoft.training.memory import in_halves

#: Images in a batch, where no gradient is kept.
_BATCH = 256


@torch.inference_mode()
def predict(model: nn.Module, examples: Examples) -> Tensor:
    """Return the logits ``(images, classes)`` of a split, in float32, in its own order."""
    model.eval()
    network = examples.through(model)
    places = torch.arange(len(examples), device=examples.pixels.device)

    def logits(first: int, stop: int) -> tuple[Tensor]:
        return (network(examples.inputs(places[first:stop])).float(),)

    count = len(examples)
    batches = ((first, min(first + _BATCH, count)) for first in range(0, count, _BATCH))
    return torch.cat([in_halves(logits, *batch)[0] for batch in batches])


def evaluate(model: nn.Module, examples: Examples) -> tuple[float, float]:
    """Return the mean loss, and the share of the images that are classified rightly."""
    logits = predict(model, examples)
    loss = float(cross_entropy(logits, examples.labels))
    return loss, float((logits.argmax(dim=1) == examples.labels).sum()) / len(examples)
