"""Room for arrays that processes share: a file without a name, which goes when they do.

In memory nothing is set aside for it: what does not fit shows when it is written, and then the
kernel kills whom it pleases.  So what would take most of the memory goes to disk, where the kernel
keeps in memory what it can of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from evoft.errors import StorageError
from evoft.machine import available_memory

#: Share of the free memory that one array may take; the rest is the workers'.
_FILLED = 0.8
#: File systems whose files are in memory.
_IN_MEMORY = ("tmpfs", "ramfs")
_MOUNTS = Path("/proc/self/mountinfo")
_MIB = 2**20


def make_room(size: int) -> tuple[IO[bytes], str]:
    """Return a new file of ``size`` bytes, all zero, and what is to be said of where it is.

    Raises:
        StorageError: There is not that much room, in memory or in the temporary folder.
    """
    free = available_memory()
    if free and size > _FILLED * free:
        return _on_disk(size, free), (
            f"the {size / _MIB:.0f} MiB of images are read from disk, in {tempfile.gettempdir()}, "
            f"as they would take most of the {free / _MIB:.0f} MiB of memory that are free: fewer "
            "images (--max-train-images) or a smaller --img-size would be faster"
        )
    file = _nameless()
    try:
        os.truncate(file.fileno(), size)
    except OSError as error:
        file.close()
        raise _refusal(size, f"{error.strerror}") from error
    return file, ""


def _on_disk(size: int, free: int) -> IO[bytes]:
    """Return a file whose room is set aside: a full disk shows here, not when it is written."""
    short = f"{free / _MIB:.0f} MiB of memory are free, and"
    try:
        folder = tempfile.gettempdir()
        with contextlib.ExitStack() as unless_all_is_well:
            file = unless_all_is_well.enter_context(tempfile.TemporaryFile())
            # Asked first, for some file systems set room aside by filling it.
            if size > (left := shutil.disk_usage(folder).free):
                raise _refusal(size, f"{short} {left / _MIB:.0f} MiB in {folder}")
            if _is_in_memory(file):
                raise _refusal(size, f"{short} {folder} is in memory, too")
            os.posix_fallocate(file.fileno(), 0, size)
            unless_all_is_well.pop_all()
            return file
    except OSError as error:
        raise _refusal(size, f"{short} the temporary folder fails: {error.strerror}") from error


def _refusal(size: int, why: str) -> StorageError:
    return StorageError(
        f"there is no room for {size / _MIB:.0f} MiB of images ({why}): use fewer images "
        "(--max-train-images) or a smaller --img-size, or name a folder on a disk with more room "
        "by TMPDIR"
    )


def _is_in_memory(file: IO[bytes]) -> bool:
    """Tell whether a file's pages are memory that no disk stands behind."""
    number = os.fstat(file.fileno()).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    try:
        mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return False
    return any(words[2] == device and words[words.index("-") + 1] in _IN_MEMORY for words in mounts)


def _nameless() -> IO[bytes]:
    """Return a file without a name: in memory where the system has that, else on disk."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("evoft"), "wb")
    return tempfile.TemporaryFile()
