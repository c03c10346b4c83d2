"""Linear algebra in one thread: several round otherwise, and wait for each other by spinning."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Of searches on several threads of a process one is inside at a time: BLAS has one limit for all,
#: which only the thread that set it can put back.
_LOCK = threading.RLock()


@functools.cache
def _controller() -> Any:
    # What it controls must have been loaded before.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and LAPACK use one thread for a while, whatever is set outside.

    Another thread of the process that wants it, too, waits.
    """
    with _LOCK, _controller().limit(limits=1, user_api="blas"):
        yield
