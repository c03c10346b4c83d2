"""Files: reading one whole, replacing one whole, and what is said where the disk refuses."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from evoft.errors import StorageError
from evoft.lineage.paths import Paths

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def storing(paths: Paths, resume: bool = True) -> Iterator[None]:
    """Turn what the disk refuses into a StorageError with a way out."""
    again = f"and go on with `evoft resume {paths.name}`" if resume else "and try again"
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            message = f"{paths.name}: the disk is full ({why}): free some space {again}"
        elif error.errno in _DENIED:
            message = f"{paths.name} or its folder may not be used ({why}): allow it {again}"
        else:
            message = f"{paths.name}: the disk failed ({why}): see to it {again}"
        raise StorageError(message) from error


def read_whole(path: Path) -> bytes | None:
    """Return a file's bytes; None when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def spare(path: Path) -> Path:
    """Return where a new file is written before it takes the place of the one at ``path``."""
    return path.with_name(path.name + ".new")


def replace_whole(path: Path, data: bytes) -> int:
    """Put a file with these bytes at ``path``: whole, or not at all.

    Returns:
        An open descriptor of the new file, locked for this process.

    Raises:
        OSError: The disk refused; what was at ``path`` is untouched.
    """
    new = spare(path)
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    try:
        # Locked before it can be found: nobody else can become its writer in between.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        write_all(descriptor, data)
        os.fsync(descriptor)
        os.replace(new, path)
        sync_folder(path)
    except BaseException:
        os.close(descriptor)
        new.unlink(missing_ok=True)
        raise
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, in as many calls as it takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(path: Path) -> None:
    """Make sure that the name of the file at ``path`` outlives a loss of power."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
