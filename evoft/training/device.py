"""The device of this process; torch is imported where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def the_device() -> torch.device:
    """Return the one device that this process was given."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def gpu_peak(device: torch.device) -> int:
    """Return the most bytes that were allocated on a GPU since its count was reset; else 0."""
    import torch

    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
