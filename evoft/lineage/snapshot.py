"""Reads a population as it stands at one moment, while another process may be writing it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from evoft.errors import PopulationFileError
from evoft.lineage.disk import read_whole, storing
from evoft.lineage.envelope import Opened, damaged, unseal
from evoft.lineage.journal import Reader, Scan, has_header, last_schema, scan
from evoft.lineage.paths import Paths
from evoft.lineage.record import Contents
from evoft.lineage.unpack import unpack

#: Somebody may be replacing the files while they are read; a fault that stays is a real one.
_ATTEMPTS = 20
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What journal and population file say together."""

    contents: Contents
    #: How many bytes of the journal are folded into the population file; None without a file.
    folded: int | None
    #: Where the journal's whole lines end; None without a journal that has a header.
    journal_end: int | None
    #: The schema that its last header is marked with; None without one, or where nobody asked.
    journal_schema: int | None


def read_snapshot(paths: Paths, *, whole_journal: bool = False) -> Snapshot:
    """Read a population without blocking whoever writes it.

    Args:
        paths: Where it is.
        whole_journal: Check also those lines of the journal that the population file makes
            unnecessary, as a writer does: the journal must stay a full second copy.

    Raises:
        PopulationFileError: There is no population, or one that cannot be used (see errors.py).
        StorageError: The disk refused to read.
    """
    for attempt in range(_ATTEMPTS):
        before = _signature(paths)
        try:
            with storing(paths):
                return _read(paths, whole_journal)
        except PopulationFileError:
            if attempt == _ATTEMPTS - 1 or _signature(paths) == before:
                raise
        time.sleep(_PAUSE)
    raise AssertionError("the last attempt returns or raises")


def unpack_sealed(opened: Opened, name: str) -> Contents:
    """Return what a population file holds whose bytes are as they were written.

    Raises:
        PopulationDamagedError: It was sealed by something that is not evoft.
    """
    try:
        return unpack(opened.data)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise damaged(name, f"its tables cannot be read ({error})") from error


def _read(paths: Paths, whole_journal: bool) -> Snapshot:
    # The journal first: one that is made again in between would not fit the older file.  What is
    # appended and folded in between makes the file ask for more than was read: another attempt.
    journal = read_whole(paths.journal)
    sealed = read_whole(paths.file)
    if journal is not None and not has_header(journal):
        journal = None
    if sealed is not None:
        opened = unseal(sealed, paths.name)
        contents = unpack_sealed(opened, paths.name)
        if journal is None:
            return Snapshot(contents, opened.journal_bytes, None, None)
        return _with_journal(paths, contents, journal, opened.journal_bytes, whole_journal)
    if journal is not None and paths.namesake is None:
        return _journal_alone(paths, journal)
    raise PopulationFileError(paths.missing)


def _journal_alone(paths: Paths, journal: bytes) -> Snapshot:
    taken = scan(journal)
    reader = Reader(paths.name)
    reader.read(taken.lines)
    contents = reader.contents()
    if contents is None:
        raise damaged(paths.name, "its journal has no header")
    return Snapshot(contents, None, taken.end, last_schema(taken.lines))


def _with_journal(
    paths: Paths, contents: Contents, journal: bytes, folded: int, whole_journal: bool
) -> Snapshot:
    taken = scan(journal)
    if taken.lines[0].text is not None or whole_journal:
        Reader(paths.name, contents).read(taken.lines[:1])  # is it this run's journal?
    _check_folded(paths, taken, journal, folded)
    if whole_journal and taken.bad:
        Reader(paths.name, contents).read(taken.bad)
    reader = Reader(paths.name, contents)
    reader.read(line for line in taken.lines if line.start >= folded)
    both = reader.contents()
    schema = last_schema(taken.lines) if whole_journal else None
    return Snapshot(both or contents, folded, taken.end, schema)


def _check_folded(paths: Paths, taken: Scan, journal: bytes, folded: int) -> None:
    if folded > taken.end or (folded and journal[folded - 1 : folded] != b"\n"):
        raise damaged(
            paths.name,
            f"its journal's first {folded} bytes should be in it, but the journal has "
            f"{taken.end} bytes in whole lines",
        )


def _signature(paths: Paths) -> tuple[tuple[int, int, int] | None, ...]:
    """Return what changes whenever one of the files is written or replaced."""
    signs: list[tuple[int, int, int] | None] = []
    for path in (paths.file, paths.journal):
        try:
            there = os.stat(path)
            signs.append((there.st_ino, there.st_size, there.st_mtime_ns))
        except OSError:
            signs.append(None)
    return tuple(signs)
