"""Compiling a kernel with numba, which keeps what it compiled where it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """Return a function that is compiled when it is first called.

    What was compiled is kept on disk for other processes: beside the file, else in the user's cache
    folder.  Where neither can be written each process compiles anew, which takes seconds.
    """
    try:
        return cast(_F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba has no folder to keep it in
        return cast(_F, numba.njit(nogil=True)(function))
