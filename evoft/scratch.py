"""The folder of temporary files that a run's processes share, and how it is never left behind.

Its maker holds the lock of a file in it as long as it lives: the folder of a run that was killed
with all of its processes is known by a free lock, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "evoft-"
_LOCK = "run.lock"


class Scratch:
    """A new temporary folder (``TMPDIR`` says where), there until `close`.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        # Under its own name only when it is held: a free lock is a dead run's.
        unready = self.path / f".{_LOCK}"
        with contextlib.ExitStack() as unless_all_is_well:
            unless_all_is_well.callback(shutil.rmtree, self.path, ignore_errors=True)
            self._lock = os.open(unready, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            unless_all_is_well.callback(os.close, self._lock)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unready.rename(self.path / _LOCK)
            unless_all_is_well.pop_all()

    def close(self) -> None:
        """Remove the folder; what other processes have mapped stays readable to them."""
        if self._lock >= 0:
            remove(self.path)
            os.close(self._lock)
            self._lock = -1


def remove(folder: Path) -> None:
    """Remove a folder that `Scratch` made, and no other; one that is gone is fine."""
    lock = folder / _LOCK
    ours = folder.name.startswith(_PREFIX) and lock.is_file()
    if not ours or folder.is_symlink() or lock.is_symlink():
        return
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path != lock:  # the last to go, so that what is left is known for what it is
                path.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
        folder.rmdir()


def _sweep(parent: Path) -> None:
    """Remove the folders of dead runs."""
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            if lock.parent.lstat().st_uid != os.getuid():
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(lock.parent)
            finally:
                os.close(descriptor)
