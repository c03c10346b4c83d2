"""The device of this process; torch is imported where it is asked for."""

from __future__ import annotations

import ctypes
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: How torch tells that a GPU failed, and not what it was given.
_FAILED = re.compile(r"\b(CUDA|HIP) error\b")

#: By these numbers CUDA's driver knows how a GPU is shared, and that one process has it to itself.
_COMPUTE_MODE, _EXCLUSIVE_PROCESS = 20, 3


def the_device() -> torch.device:
    """Return the one device that this process was given."""
    import torch

    # Asked all the same, torch would load the driver, and tell of an old one in each worker; and
    # AMD's heeds another variable first, by which it would find the GPUs.
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return torch.device("cpu")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def gpu_count() -> int:
    """Return how many GPUs this process may use."""
    import torch

    # Those whose driver is too old for torch are counted too, and of no use.
    return torch.cuda.device_count() if the_device().type == "cuda" else 0


def gpu_peak(device: torch.device) -> int:
    """Return the most bytes that this process held of a GPU since ``begin_afresh``; else 0.

    What torch holds though nothing lies in it is among them, for other processes go without it.
    """
    import torch

    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0


def begin_afresh(device: torch.device) -> None:
    """Give a GPU back what nothing lies in, so that what fits next is not up to what came before.

    Its peak is counted anew from here.  A process that has not been on the GPU yet stays away.
    """
    import torch

    if device.type == "cuda" and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def is_exclusive(gpu: int) -> bool:
    """Tell whether a GPU, given its number, is set to serve one process at a time."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")  # for torch does not tell
    except OSError:  # AMD's GPUs have none, and no such mode
        return False
    device, mode = ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), gpu)
        or driver.cuDeviceGetAttribute(ctypes.byref(mode), _COMPUTE_MODE, device)
    )
    return not failed and mode.value == _EXCLUSIVE_PROCESS


def gpu_failed(error: BaseException) -> bool:
    """Tell whether it is the GPU that failed: not even the first kernel may run on an old one."""
    return _FAILED.search(str(error)) is not None
