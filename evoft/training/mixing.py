"""Mixing of the images of a batch with one another, where training begins.

Images are mixed as such; behind a frozen prefix, what it made of them is (manifold mixup, Verma et
al. 2019, section 2), for nothing before that trains.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from evoft.recipe import Recipe
from evoft.training.augmentation import Dice, covered, place
from evoft.training.optimization import Inputs


def mix(
    inputs: Inputs, labels: Tensor, classes: int, recipe: Recipe, dice: Dice
) -> tuple[Inputs, Tensor]:
    """Return inputs and targets, mixed by mixup or CutMix where the recipe has them.

    mixup: Zhang et al. 2018, section 2; CutMix: Yun et al. 2019, section 3.1.  With both, each
    batch takes one of them at random.  One strength a batch; partners are a random order of it, as
    in the authors' code, so that one image of a batch, on average, is its own and stays as it is.
    CutMix's rectangle lies within the image and has the share that was drawn, as the paper has it;
    that of its code, timm and torchvision is cut off at the border.

    Args:
        inputs: ``(batch, 3, height, width)``; or values at a cut, ``(batch, ...)`` each, floats.
            CutMix pastes where a value is a map and blends where it is none.
        labels: ``(batch,)``.
        classes: Width of the targets.
        recipe: Its ``mixup`` and ``cutmix``.
        dice: Where the randomness comes from, on the CPU: to know it must not wait for a GPU.

    Returns:
        The inputs, and targets ``(batch, classes)`` whose rows sum to one.
    """
    targets = one_hot(labels, classes).float()
    if not (recipe.mixup or recipe.cutmix):
        return inputs, targets
    cut, share, partner = draw(len(labels), recipe, dice)
    partner = partner.to(labels.device, non_blocking=True)
    alone = isinstance(inputs, Tensor)
    values = (inputs,) if isinstance(inputs, Tensor) else inputs
    if cut:
        # Images have their channels first, square or not.
        channels = tuple(1 if alone else channels_of(value) for value in values)
        mixed, share = _paste(values, channels, partner, share, dice)
    else:
        mixed = tuple(_blend(value, partner, share) for value in values)
    return mixed[0] if alone else mixed, _blend(targets, partner, share)


def draw(count: int, recipe: Recipe, dice: Dice) -> tuple[bool, float, Tensor]:
    """Draw how a batch is mixed.

    Args:
        count: Images in the batch.
        recipe: With ``mixup`` or ``cutmix``.
        dice: Where the randomness comes from, on the CPU.

    Returns:
        Whether it is CutMix; what share each image should keep; and its partner, ``(batch,)``.
    """
    cut = recipe.cutmix > 0 and (not recipe.mixup or float(dice.uniform(1)) < 0.5)
    share = dice.beta(recipe.cutmix if cut else recipe.mixup)
    return cut, share, dice.order(count)


def channels_of(value: Tensor) -> int | None:
    """Return which dimension of a batch of maps holds the channels; None where there are no maps.

    Images are square and so are the maps that are made of them, which tells ``(batch, channels,
    side, side)`` from ``(batch, side, side, channels)``.  A map of one cell is none.
    """
    if value.ndim != 4:
        return None
    _, first, second, third = value.shape
    if second == third > 1:
        return 1
    return 3 if first == second > 1 else None


def _blend(values: Tensor, partner: Tensor, share: float) -> Tensor:
    return share * values + (1.0 - share) * values[partner]


def _paste(
    values: tuple[Tensor, ...],
    channels: tuple[int | None, ...],
    partner: Tensor,
    share: float,
    dice: Dice,
) -> tuple[tuple[Tensor, ...], float]:
    """Paste one rectangle of the partners; blend by its share of the area what has no places.

    Args:
        values: Of a batch.
        channels: Which dimension of each holds the channels, the two others being places; None:
            it has no places.
        partner: ``(batch,)``, whom each image is mixed with.
        share: Of the area, what each image should keep.
        dice: Where the randomness comes from, on the CPU.

    Returns:
        The values, and what each image keeps: a share of the cells of the first map, if any.
    """
    if not any(channels):
        return tuple(_blend(value, partner, share) for value in values), share
    side = torch.full((1,), (1.0 - share) ** 0.5)
    box = place(dice, side, side)
    masks = [
        None if at is None else covered(box, *_size(value, at)).unsqueeze(at)
        for value, at in zip(values, channels, strict=True)
    ]
    for mask in masks:
        if mask is not None:
            share = 1.0 - float(mask.float().mean())
            break
    pasted = tuple(
        _blend(value, partner, share)
        if mask is None
        else torch.where(mask.to(value.device, non_blocking=True), value[partner], value)
        for value, mask in zip(values, masks, strict=True)
    )
    return pasted, share


def _size(value: Tensor, channels: int) -> tuple[int, int]:
    height, width = (side for at, side in enumerate(value.shape) if at not in (0, channels))
    return height, width
