"""Whether backbones take images of a size, found out before anything else runs."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from evoft.errors import SettingsError, words_of
from evoft.settings import TrainingSettings
from evoft.training.backbone import build, preprocessing_of


def check_size(model: str, settings: TrainingSettings) -> None:
    """Refuse images of a size that a backbone cannot take, or of which it makes nothing.

    Convolutions pad what is too small, so that most backbones take a single pixel.  But where a
    side is smaller than half the total stride, the last halving begins with one pixel, which
    reaches beyond the image, and all layers behind it look at padding.

    Args:
        model: timm's name, or ``embedded``.
        settings: With the size that is wanted; None of them is the backbone's own.

    Raises:
        SettingsError: The size is not one for this backbone.
        BackboneError: timm does not know the model.
    """
    size = settings.img_size
    if size is None:
        return
    own = replace(settings, img_size=None)
    built = build(model, own, 2, pretrained=False)
    stride = total_stride(built)
    trouble = _trouble(model, settings, size)
    if trouble is None and 2 * size >= stride:
        return
    usual = preprocessing_of(built, own).img_size[0]
    # Of larger ones those that the stride divides, for some backbones take no others.
    sizes = (stride // 2, stride, -(-size // stride) * stride, usual)
    fit = [one for one in sizes if one > size and _trouble(model, settings, one) is None]
    if 2 * size < stride or (size < stride and trouble is not None):
        least = f"give --img-size {fit[0]} or more, or leave" if fit else "leave"
        raise SettingsError(
            f"`img_size` is {size}, which is too small for {model}, whose layers shrink a side "
            f"{stride} times: {least} it out for its own {usual}"
        )
    other = f"give --img-size {fit[0]}, or leave" if fit else "leave"
    raise SettingsError(
        f"{model} cannot take images of {size} x {size} pixels ({trouble}): {other} it out for its "
        f"own {usual}{', or mend --model-kwargs' if settings.model_kwargs else ''}"
    )


def total_stride(model: nn.Module) -> int:
    """Return how many pixels of a side become one, where timm tells it of a model; else 1."""
    stages = getattr(model, "feature_info", None)
    if not isinstance(stages, list):
        return 1
    return max([int(stage.get("reduction", 1)) for stage in stages], default=1)


def _trouble(model: str, settings: TrainingSettings, size: int) -> str | None:
    """Return why a backbone cannot look at an image of a size; None where it can."""
    try:
        built = build(model, replace(settings, img_size=size), 2, pretrained=False).eval()
        with torch.inference_mode():
            built(torch.zeros(1, 3, size, size))
    except Exception as error:
        return words_of(error, 200) or type(error).__name__
    return None
