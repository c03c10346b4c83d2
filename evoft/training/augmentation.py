"""Random augmentation of whole batches on the device, each trial with its own generator.

No Python per image: every image of a batch gets its own parameters, drawn in one call, and one
resampling does rotation, scale, shear and shift together.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from evoft.recipe import Recipe
from evoft.training.streams import Stream

#: What full strength means: rotation in radians, log-scale, shear, shift as a share of the side.
_ROTATION, _SCALE, _SHEAR, _SHIFT = 0.5, 0.4, 0.3, 0.2
#: What full strength means for brightness, contrast and saturation, as a share.
_COLOUR = 0.5
#: Share of the image that an erased rectangle covers, lowest and highest (Zhong et al. 2020).
_ERASED = (0.02, 0.33)
#: Images that are changed at a time: what is made on the way then stays in a processor's cache.
_AT_A_TIME = 32


class Dice(Stream):
    """Random numbers for a batch, on the device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        super().__init__(seed)
        self._device = device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return numbers of ``[low, high)``."""
        drawn = torch.rand(*shape, generator=self._generator)
        return (low + drawn * (high - low)).to(self._device, non_blocking=True)

    def beta(self, alpha: float) -> float:
        """Return one number of ``[0, 1]`` from the symmetric beta distribution."""
        # Torch has no beta distribution that takes a generator.
        seed = int(torch.randint(2**62, (1,), generator=self._generator))
        return float(np.random.default_rng(seed).beta(alpha, alpha))

    def order(self, count: int) -> Tensor:
        """Return a random order of ``0 .. count - 1``, on the CPU."""
        return torch.randperm(count, generator=self._generator)


def augment(images: Tensor, recipe: Recipe, dice: Dice) -> Tensor:
    """Return a batch with each image randomly changed; unchanged where the recipe asks for none.

    Args:
        images: ``(batch, 3, height, width)``, values 0 to 1.
        recipe: Its ``augment``, ``hflip`` and ``reprob``.
        dice: Where the randomness comes from.
    """
    return change(images, recipe.augment, recipe.hflip, recipe.reprob, dice)


def change(images: Tensor, strength: float, hflip: float, reprob: float, dice: Dice) -> Tensor:
    """Return a batch with each image randomly changed; unchanged where all three rates are zero.

    Args:
        images: ``(batch, 3, height, width)``, values 0 to 1.
        strength: Of moves and colours, ``[0, 1]``.
        hflip: Probability of a horizontal flip.
        reprob: Probability of erasing a rectangle.
        dice: Where the randomness comes from.
    """
    if not (strength or hflip or reprob):
        return images
    parts = torch.split(images, _AT_A_TIME)
    return torch.cat([_changed(part, strength, hflip, reprob, dice) for part in parts])


def _changed(images: Tensor, strength: float, hflip: float, reprob: float, dice: Dice) -> Tensor:
    count = images.shape[0]
    if strength or hflip:
        images = _move(images, strength, hflip, dice)
    if strength:
        images = _colour(images, strength, dice)
    if reprob:
        images = _erase(images, dice.uniform(count) < reprob, dice)
    return images


def _move(images: Tensor, strength: float, hflip: float, dice: Dice) -> Tensor:
    """Flip, rotate, scale, shear and shift, each image in its own way, by one resampling."""
    count = images.shape[0]
    angle, log_scale, shear, right, down = (
        dice.uniform(5, count, low=-1.0, high=1.0) * _full(images.device) * strength
    )
    flip = torch.where(dice.uniform(count) < hflip, -1.0, 1.0)
    if not strength:
        return torch.where((flip < 0)[:, None, None, None], images.flip(3), images)
    scale = torch.exp(log_scale)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = (
        torch.stack((cos * flip, shear - sin, right), dim=1),
        torch.stack((sin * flip, cos, down), dim=1),
    )
    grid: Tensor = affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


@functools.cache
def _full(device: torch.device) -> Tensor:
    """Return what full strength means for each move, ``(5, 1)``: made once, for a GPU waits."""
    moves = [_ROTATION, _SCALE, _SHEAR, 2 * _SHIFT, 2 * _SHIFT]
    return torch.tensor(moves, device=device)[:, None]


def _colour(images: Tensor, strength: float, dice: Dice) -> Tensor:
    """Change brightness, contrast and saturation, each image by its own factors."""
    low, high = 1.0 - _COLOUR * strength, 1.0 + _COLOUR * strength
    count = images.shape[0]
    brightness, contrast, saturation = dice.uniform(3, count, 1, 1, 1, low=low, high=high)
    images = torch.lerp(images.mean(dim=1, keepdim=True), images, saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    # (mean + (images - mean) * contrast) * brightness, in place.
    images.mul_(contrast * brightness).add_(mean * (1.0 - contrast) * brightness)
    return images.clamp_(0.0, 1.0)


def _erase(images: Tensor, chosen: Tensor, dice: Dice) -> Tensor:
    """Erase a random rectangle of the chosen images, to the image's mean."""
    count, _, height, width = images.shape
    area = dice.uniform(count, low=_ERASED[0], high=_ERASED[1])
    ratio = torch.exp(dice.uniform(count, low=-1.2, high=1.2))
    box_height = (area * ratio).sqrt().clamp(max=1.0)
    box_width = (area / ratio).sqrt().clamp(max=1.0)
    box = place(dice, box_height * chosen, box_width * chosen)
    inside = covered(box, height, width)
    return torch.where(inside[:, None], images.mean(dim=(2, 3), keepdim=True), images)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in each image, ``(batch,)`` each, as shares of the image's sides."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def place(dice: Dice, height: Tensor, width: Tensor) -> Box:
    """Return rectangles of these sizes, ``(batch,)`` each, at random places within the images."""
    top = dice.uniform(len(height)) * (1.0 - height)
    left = dice.uniform(len(width)) * (1.0 - width)
    return Box(top, left, height, width)


def covered(box: Box, height: int, width: int) -> Tensor:
    """Return ``(batch, height, width)``: the cells of a grid whose centres a rectangle covers."""
    rows = (torch.arange(height, device=box.top.device) + 0.5) / height
    columns = (torch.arange(width, device=box.top.device) + 0.5) / width
    in_rows = (rows >= box.top[:, None]) & (rows < (box.top + box.height)[:, None])
    in_columns = (columns >= box.left[:, None]) & (columns < (box.left + box.width)[:, None])
    return in_rows[:, :, None] & in_columns[:, None, :]
