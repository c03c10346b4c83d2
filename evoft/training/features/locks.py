"""Locks of files, between the worker processes of a run; free again when their holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

#: Seconds between two looks at what another worker is doing.
_LOOK = 0.02


@contextlib.contextmanager
def held(path: Path, alive: Callable[[], None]) -> Iterator[int]:
    """Hold a file's lock, the file made if need be; it is free again when the process dies.

    Args:
        path: Where the file is.
        alive: Called as a sign of life while another process holds it.

    Yields:
        The file's descriptor.
    """
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            while not lock(descriptor):
                alive()
                time.sleep(_LOOK)
            if is_at(descriptor, path):
                yield descriptor
                return
        finally:
            # A mapping keeps the file open, so that closing alone would not free it.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Take the lock of an open file; False where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Tell whether a file still has the name under which it was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
