"""How much a model computes for each value that it makes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Layers whose products mixed precision has in half the bits.
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@torch.inference_mode()
def density_of(model: nn.Module, img_size: tuple[int, int]) -> float:
    """Return how many products there are for each value that convolutions and linear layers give.

    It is their arithmetic intensity, but for constants: few where channels are few or each has a
    kernel of its own, many where all are mixed (about 20 for a small MobileNet, 370 for a
    ResNet-50, 510 for a ViT-S).  It is counted, not timed, and so the same on every machine.  What
    is computed without such a layer, as attention is, does not count.

    Args:
        model: Any image model, on any device; it is left in evaluation mode.
        img_size: Height and width of its images.
    """
    values = products = 0

    def count(layer: nn.Module, _: object, out: Tensor) -> None:
        nonlocal values, products
        weight = layer.weight
        assert isinstance(weight, Tensor)
        values += out.numel()
        products += out.numel() * weight[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, _LAYERS)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        model.eval()
        model(torch.zeros((1, 3, *img_size), device=next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return products / values if values else 0.0
