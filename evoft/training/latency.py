"""How long a model takes for one image."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

#: Passes that are measured, after as many that are not: the first ones find no memory at hand.
_PASSES = 20


@torch.inference_mode()
def latency_of(model: nn.Module, img_size: tuple[int, int]) -> float:
    """Return the median seconds of a forward pass of one image, on the model's own device.

    On a CPU it is that of one thread, if torch has one here.  It is a measurement: it depends on
    the machine, and on what else runs there, and is never twice the same.

    Args:
        model: Any image model; it is left in evaluation mode.
        img_size: Height and width of the image.
    """
    device = next(model.parameters()).device
    image = torch.zeros((1, 3, *img_size), device=device)
    model.eval()
    took = [_seconds(model, image) for _ in range(2 * _PASSES)]
    return statistics.median(took[_PASSES:])


def _seconds(model: nn.Module, image: torch.Tensor) -> float:
    start = time.perf_counter()
    model(image)
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)
    return time.perf_counter() - start
