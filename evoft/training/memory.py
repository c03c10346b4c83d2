"""Memory of processes, machines and devices: what is in use, what is free, what was short."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from evoft.errors import WorkerError, words_of
from evoft.machine import available_memory
from evoft.outcome import Outcome, Status
from evoft.peak import own_peak
from evoft.training.device import gpu_peak, the_device

_Answer = TypeVar("_Answer")

_GIB = 2**30
#: torch's words on what it was asked for, on a GPU and on the CPU.
_ASKED = (r"[Tt]ried to allocate (\d+(?:\.\d+)? \wiB)", r"tried to allocate (\d+) bytes")
#: What torch, and the libraries that it asks, say where there is too little.  cuDNN finds no way to
#: compute where none fits, and neither library begins where its own memory does not.
_SHORT = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "unable to find an engine",
)


def shortage(error: BaseException, device: torch.device) -> str:
    """Return how much memory was asked for in vain, beside what was in use, and of how much."""
    words = words_of(error)
    found = next((m for pattern in _ASKED if (m := re.search(pattern, words))), None)
    if found is None:
        asked = "more memory"
    else:
        size = f"{int(found[1]) / _GIB:.2f} GiB" if found[1].isdecimal() else found[1]
        asked = f"{size} more"
    if device.type == "cuda" and not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return f"{asked} for another process on the GPU"
    if device.type == "cuda":
        used = torch.cuda.memory_allocated(device)
        total = torch.cuda.get_device_properties(device).total_memory
        return f"{asked} beside {used / _GIB:.2f} GiB in use of the GPU's {total / _GIB:.2f} GiB"
    return (
        f"{asked} beside {own_peak() / _GIB:.2f} GiB in use, where the machine has "
        f"{available_memory() / _GIB:.2f} GiB left"
    )


@contextmanager
def enough_memory(act: str, otherwise: str) -> Iterator[None]:
    """Say what cannot be done where there is too little memory.

    Args:
        act: What is done.
        otherwise: What can be done but to free some.

    Raises:
        WorkerError: There was too little.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        raise WorkerError(
            f"there is too little memory to {act} ({words_of(error, 200) or 'MemoryError'}): free "
            f"some, or {otherwise}"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether torch ran out of memory, on a GPU or on the CPU."""
    words = str(error)
    return any(short in words for short in _SHORT)


def in_halves(
    act: Callable[[int, int], tuple[Tensor, ...]], first: int, stop: int
) -> tuple[Tensor, ...]:
    """Return what ``act`` returns for some images, in smaller and smaller parts until they fit.

    Args:
        act: Given the first image and the one after the last, returns ``(images, ...)`` each.
        first: The first of all.
        stop: The one after the last of all.
    """
    try:
        return act(first, stop)
    except RuntimeError as error:
        if not is_out_of_memory(error) or stop - first == 1:
            raise
    # Outside of the handler, which keeps what was allocated alive.
    middle = (first + stop) // 2
    parts = in_halves(act, first, middle), in_halves(act, middle, stop)
    return tuple(torch.cat(values) for values in zip(*parts, strict=True))


def unless_out_of_memory(act: Callable[[], _Answer]) -> _Answer | Outcome:
    """Return what ``act`` returns; or the outcome of a trial that the memory does not do for."""
    device = the_device()
    try:
        return act()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = f"not even one image at a time fits: it needs {shortage(error, device)}"
    return Outcome(Status.INFEASIBLE, reason=reason, peak_memory=gpu_peak(device))
