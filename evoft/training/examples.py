"""The images of a split on the device, as batches that a backbone takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from evoft.training.features.kept import Features


#: Most images that pass through a model at a time where no gradient is kept, and most pixels of
#: them: of large images as many would take gigabytes, and be no faster.
_MOST, _PIXELS = 256, 2**22


@dataclass(frozen=True, slots=True)
class Examples:
    """The images of one split, decoded, on the device."""

    #: ``(all images, height, width, 3)``, uint8: of every split, so that splits share the memory.
    pixels: Tensor
    #: ``(images,)``, int64: where this split's images are.
    places: Tensor
    #: ``(images,)``, int64: their classes.
    labels: Tensor
    #: ``(3,)`` each: what normalisation subtracts and divides by, for values 0 to 1.
    mean: Tensor
    std: Tensor
    classes: int
    #: What a frozen prefix makes of these images, when they are always the same; None: nothing.
    features: Features | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def passing(self) -> int:
        """How many images pass through a model at a time where no gradient is kept.

        Kernels choose their blocks by the batch, so that only one size gives every worker the same
        bits.
        """
        height, width = self.pixels.shape[1:3]
        return max(1, min(_MOST, _PIXELS // (height * width)))

    def batch(self, chosen: Tensor) -> Tensor:
        """Return some of the split's images as ``(batch, 3, height, width)``, values 0 to 1."""
        return self.pixels[self.places[chosen]].permute(0, 3, 1, 2).float().div_(255.0)

    def normalise(self, images: Tensor) -> Tensor:
        """Return a batch as the backbone wants it."""
        return (images - self.mean[:, None, None]) / self.std[:, None, None]

    def inputs(self, chosen: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return some of the split's images, unchanged, as ``through`` takes them."""
        if self.features is not None:
            return self.features.batch(chosen)
        return self.normalise(self.batch(chosen))

    def through(self, model: nn.Module) -> nn.Module:
        """Return what makes logits of ``inputs``: the model, or what follows its prefix."""
        return model if self.features is None else self.features.suffix
