"""Whether two computations gave the same: to the bit, or up to rounding."""

from __future__ import annotations

import torch
from torch import Tensor

#: How far off results may be where kernels do not give the same bits each time (not on a CPU).
_ROUNDING = 1e-3


def equal(first: Tensor | None, second: Tensor | None, exact: bool) -> bool:
    """Tell whether two tensors have the same bits; if not ``exact``, the same up to rounding.

    Rounding is measured by the largest of the first one's finite values: the small ones may be what
    large ones leave of each other.
    """
    if first is None or second is None:
        return first is second
    if exact or not (first.is_floating_point() or first.is_complex()):
        return torch.equal(first.nan_to_num(), second.nan_to_num())
    finite = first[first.isfinite()].abs()
    scale = float(finite.max()) if finite.numel() else 1.0
    return torch.allclose(first, second, rtol=_ROUNDING, atol=_ROUNDING * scale, equal_nan=True)
