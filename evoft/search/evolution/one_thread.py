"""Linear algebra in one thread: several round otherwise, and wait for each other by spinning."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any


@functools.cache
def _controller() -> Any:
    # What it controls must have been loaded before.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS and LAPACK use one thread, whatever is set outside."""
    context: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return context
