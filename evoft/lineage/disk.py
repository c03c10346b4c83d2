"""Files: where a population's are, reading one whole, replacing one whole, the writer's lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evoft.errors import PopulationFileError, PopulationLockedError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the parts of a population are."""

    #: The population file as its user wrote it, for messages.
    name: str
    #: The population file, behind any symbolic link.
    file: Path
    #: Its journal, beside it.
    journal: Path
    #: Its folder of checkpoints, beside it.
    checkpoints: Path

    @staticmethod
    def of(path: str | os.PathLike[str]) -> Paths:
        """Return the paths of the population file at ``path``, which need not be there.

        Raises:
            PopulationFileError: ``path`` is a folder.
        """
        name = os.fspath(path)
        file = Path(os.path.realpath(name))
        if file.is_dir():
            raise PopulationFileError(f"{name} is a folder, not a population file")
        stem = file.with_suffix("") if file.suffix in (".h5", ".hdf5") else file
        journal = stem.with_name(stem.name + ".journal")
        return Paths(name, file, journal, stem.with_name(stem.name + ".checkpoints"))

    @staticmethod
    def existing(path: str | os.PathLike[str]) -> Paths:
        """Return the paths of a population that is there, if only by its journal.

        Raises:
            PopulationFileError: There is none, or ``path`` is a folder.
        """
        paths = Paths.of(path)
        if not paths.file.exists() and not paths.journal.exists():
            raise PopulationFileError(f"there is no population file {paths.name}")
        return paths


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


class Lock:
    """The right to write a population: an exclusive lock on its journal.

    The kernel drops the lock when the process ends, however it ends.
    """

    def __init__(self, paths: Paths) -> None:
        """Take the lock, making an empty journal if there is none.

        Raises:
            PopulationLockedError: Another process has it.
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
