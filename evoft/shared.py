"""An array in memory that a run's processes share, under a descriptor that dies with them."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SharedArray:
    """Where a worker finds an array: an inherited file descriptor.  Nothing to clean up."""

    fd: int
    shape: tuple[int, ...]
    #: numpy's name of the type, as in ``uint8``.
    dtype: str

    def open(self, *, writable: bool = False) -> NDArray[np.generic]:
        """Return the array ``shape``, mapped, not copied, in the process that owns ``fd``.

        What is written to it stays in this process unless it was opened ``writable``.
        """
        kind = np.dtype(self.dtype)
        count = math.prod(self.shape)
        if count == 0:
            return np.empty(self.shape, kind)
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_COPY
        pages = mmap.mmap(self.fd, count * kind.itemsize, access=access)
        return np.frombuffer(pages, kind).reshape(self.shape)
