"""The right to write a population, which its one writer holds."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import weakref
from pathlib import Path

from evoft.errors import PopulationLockedError
from evoft.lineage.disk import replace_whole
from evoft.lineage.paths import Paths


class Lock:
    """The right to write a population: an exclusive lock on its journal.

    The kernel drops the lock when the process ends, however it ends.
    """

    def __init__(self, paths: Paths) -> None:
        """Take the lock, making an empty journal if there is none.

        Raises:
            PopulationLockedError: Another process has it, or this one has it already.
            OSError: The journal cannot be opened for writing.
        """
        self._paths = paths
        self.descriptor = self._take()
        # A child that was forked and outlives us must not hold our lock for us.
        os.register_at_fork(after_in_child=functools.partial(_let_go, weakref.ref(self)))

    def replace_journal(self, data: bytes) -> None:
        """Put a journal with these bytes in place of the locked one, and hold the new one."""
        old = self.descriptor
        self.descriptor = replace_whole(self._paths.journal, data)
        os.close(old)

    def release(self) -> None:
        """Let others write.  An empty journal, which says nothing, is removed."""
        if self.descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if os.fstat(self.descriptor).st_size == 0:
                self._paths.journal.unlink(missing_ok=True)
        os.close(self.descriptor)
        self.descriptor = -1

    def _take(self) -> int:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self._paths.journal, flags, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, self._paths.journal):
                    return descriptor
            except BlockingIOError:
                error = self._locked(descriptor)
                os.close(descriptor)
                raise error from None
            except BaseException:
                os.close(descriptor)
                raise
            # The journal was replaced between opening and locking: lock the new one.
            os.close(descriptor)

    def _locked(self, descriptor: int) -> PopulationLockedError:
        pid = _holder(os.fstat(descriptor).st_ino)
        if pid == os.getpid():
            return PopulationLockedError(
                f"{self._paths.name} is being written by this very process (pid {pid}): close the "
                "evolution, or the generator of `evolve` or `resume`, that has it"
            )
        who = f"another process (pid {pid})" if pid else "another process"
        return PopulationLockedError(f"{who} is writing {self._paths.name}: wait for it or stop it")


def _let_go(reference: weakref.ref[Lock]) -> None:
    lock = reference()
    if lock is not None and lock.descriptor >= 0:
        os.close(lock.descriptor)
        lock.descriptor = -1


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def writer_of(paths: Paths) -> int | None:
    """Return the process that is writing a population; None also where the system cannot tell."""
    try:
        return _holder(os.stat(paths.journal).st_ino)
    except FileNotFoundError:
        return None


def _holder(inode: int) -> int | None:
    """Return the process that holds the lock on a file, where the system tells (Linux does)."""
    try:
        with open("/proc/locks", encoding="ascii") as locks:
            for line in locks:
                # 1: FLOCK  ADVISORY  WRITE 4242 08:01:131 0 EOF
                fields = line.split()
                if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
                    return int(fields[4]) if int(fields[4]) > 0 else None
    except (OSError, ValueError, IndexError):
        return None
    return None
