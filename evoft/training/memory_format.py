"""The order in memory of what convolutions work on."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def laid_out(model: nn.Module) -> nn.Module:
    """Return a model with the weights of its convolutions as training wants them in memory.

    Channels last: images come so, and a convolution takes the order of its weights, whatever
    augmentation made of the images.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if _writes_astray(module):
                module.register_forward_pre_hook(_plainly)
            else:
                module.to(memory_format=torch.channels_last)
    return model


def _writes_astray(layer: nn.Conv2d) -> bool:
    """Tell whether a layer's gradient on a CPU writes beyond its memory if images lie so.

    oneDNN's does, as of torch 2.15, for strided kernels of one pixel over 2 to 15 channels, which
    RepVGG and MobileOne begin with: the process crashes, then or later.
    """
    pixel, strided = set(layer.kernel_size) == {1}, max(layer.stride) > 1
    return pixel and strided and layer.groups == 1 and layer.in_channels < 16


def _plainly(_: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
    """Give a layer its images in the plain order, whatever they came in."""
    return (given[0].contiguous(),)
