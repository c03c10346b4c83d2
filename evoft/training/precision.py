"""Mixed precision: which type layers compute in, on which device and for which backbone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch

from evoft.settings import TrainingSettings
from evoft.training.device import the_device
from evoft.training.facts import BackboneFacts

#: From this density on (see ``density.py``) bfloat16 is faster on a CPU that has it, but for a few
#: backbones for which it is the same; below, what it takes to change types and to move values
#: mostly outweighs the faster products (benchmarks/precision.py).
DENSE = 200.0
#: What processors with instructions for products of bfloat16 say that they have.
NATIVE = ("avx512_bf16", "amx_bf16")


@dataclass(frozen=True, slots=True)
class Precision:
    """Mixed precision: the type of the forward pass, and gradient scaling where it needs that."""

    dtype: torch.dtype
    scaler: torch.amp.GradScaler | None

    @staticmethod
    def of(device: torch.device, density: float) -> Precision | None:
        """Return bfloat16 where it is native, else scaled float16; None: float32 throughout.

        On a CPU it is bfloat16 or nothing, and only for backbones that gain by it.

        Args:
            device: Where layers compute.
            density: The backbone's, see ``density_of``.
        """
        if device.type != "cuda":
            return Precision(torch.bfloat16, None) if density >= DENSE and _is_native() else None
        # Before Ampere it is emulated, and cuDNN has no convolutions for it.
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision(torch.bfloat16, None)
        return Precision(torch.float16, torch.amp.GradScaler(device.type))


@cache
def _is_native() -> bool:
    """Tell whether this CPU has products of bfloat16 and torch uses them; older ones do not say."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch._C._has_mkldnn and any(capabilities.get(name) for name in NATIVE)


def precision_of(settings: TrainingSettings, facts: BackboneFacts) -> Precision | None:
    """Return what a backbone is trained and judged in on this process's device."""
    return Precision.of(the_device(), facts.density) if settings.amp else None


def autocast(device: torch.device, precision: Precision | None) -> AbstractContextManager[object]:
    """Return a context in which layers compute in a precision; None: in that of their weights."""
    if precision is None:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision.dtype)
