"""What a model makes of a split: logits, mean loss, accuracy."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evoft.training.examples import Examples
from evoft.training.memory import is_out_of_memory

#: Images in a batch, where no gradient is kept.
_BATCH = 256


@torch.inference_mode()
def predict(model: nn.Module, examples: Examples) -> Tensor:
    """Return the logits ``(images, classes)`` of a split, in float32, in its own order."""
    model.eval()
    network = examples.through(model)
    places = torch.arange(len(examples), device=examples.pixels.device)
    batches = (places[i : i + _BATCH] for i in range(0, len(examples), _BATCH))
    return torch.cat([_logits(network, examples, batch) for batch in batches])


def evaluate(model: nn.Module, examples: Examples) -> tuple[float, float]:
    """Return the mean loss, and the share of the images that are classified rightly."""
    logits = predict(model, examples)
    loss = float(cross_entropy(logits, examples.labels))
    return loss, float((logits.argmax(dim=1) == examples.labels).sum()) / len(examples)


def _logits(model: nn.Module, examples: Examples, places: Tensor) -> Tensor:
    """Return the logits of some images, in smaller and smaller parts until they fit."""
    try:
        return model(examples.inputs(places)).float()  # type: ignore[no-any-return]
    except RuntimeError as error:
        if not is_out_of_memory(error) or len(places) == 1:
            raise
    half = len(places) // 2
    return torch.cat([_logits(model, examples, part) for part in (places[:half], places[half:])])
