"""Clipping of the gradients of many linear heads at once, each by its own norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.training.heads.memory import column

#: What torch's ``clip_grad_norm_`` adds to a norm before it divides by it.
_LITTLE = 1e-6


@dataclass(frozen=True, slots=True)
class Clips:
    """The norms that slopes of heads are scaled down to."""

    #: ``(heads, 1)``; 0 where a head's slopes stay as they are.
    norms: Tensor

    @staticmethod
    def of(norms: Sequence[float], device: torch.device) -> Clips | None:
        """Return the clips of heads, 0 for those without; None where no head has one."""
        return Clips(column(norms, device)) if any(norms) else None

    def apply(self, slopes: Tensor) -> None:
        """Scale slopes, ``(heads, floats)``, down in place (Pascanu et al. 2013, algorithm 1)."""
        # What lies around the matrices is zero, so that a row's norm is that of a head's slopes.
        found = torch.linalg.vector_norm(slopes, dim=1, keepdim=True).double()
        scales = (self.norms / (found + _LITTLE)).clamp(max=1.0)
        slopes.mul_(torch.where(self.norms > 0, scales, 1.0).float())
