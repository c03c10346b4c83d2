"""What a process keeps in its own memory, told to the other processes of a run."""

from __future__ import annotations

import fcntl
import os
import secrets
import weakref
from pathlib import Path

from evoft.training.features.locks import is_at, lock


class Claim:
    """So many bytes of a process's memory, as the size of an empty file in the run's folder.

    It takes no room on the disk.  The process holds its lock, so that a dead one's is known.

    Args:
        folder: That of the run.
        suffix: What its name ends with.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.path = folder / f"{secrets.token_hex(8)}{suffix}"
        unready = self.path.with_suffix(".unready")
        self._file = os.open(unready, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._file)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Under its own name only when it is held: a free lock is a dead process's.
        unready.rename(self.path)

    def set(self, size: int) -> None:
        """Claim so many bytes, in place of those before.

        Raises:
            OSError: Such a size cannot be told.
        """
        os.truncate(self._file, size)


def claimed(path: Path) -> int:
    """Return the bytes that the holder of a file's lock takes or is going to take.

    The file of a dead one takes none, and is removed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not lock(descriptor):
            return os.fstat(descriptor).st_size
        if is_at(descriptor, path):
            path.unlink()
        return 0
    finally:
        os.close(descriptor)
