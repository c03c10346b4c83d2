"""The end of a journal: what is appended to it is safe, all of it or nothing."""

from __future__ import annotations

import contextlib
import os

from evoft.lineage.disk import write_all
from evoft.lineage.lock import Lock


class Appender:
    """Appends to the journal that a lock holds.

    Args:
        lock: Held by this process.
        size: Length of the journal's whole lines; what may lie behind is of an append that failed.
    """

    def __init__(self, lock: Lock, size: int) -> None:
        self.size = size
        self._lock = lock

    def append(self, lines: bytes) -> None:
        """Append lines and wait until the disk has them; on any failure take them back.

        Raises:
            OSError: The disk refused.
        """
        try:
            self.cut()
            write_all(self._lock.descriptor, lines)
            os.fsync(self._lock.descriptor)
        except BaseException:
            # If this fails too, a torn line stays, which the next append or writer cuts off.
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self.size += len(lines)

    def cut(self) -> None:
        """Drop what lies behind the whole lines, if anything does."""
        if os.fstat(self._lock.descriptor).st_size != self.size:
            self._cut()

    def replace(self, journal: bytes) -> None:
        """Put another journal in place of this one."""
        self._lock.replace_journal(journal)
        self.size = len(journal)

    def _cut(self) -> None:
        os.ftruncate(self._lock.descriptor, self.size)
        os.fsync(self._lock.descriptor)
