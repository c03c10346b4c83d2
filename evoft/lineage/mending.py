"""Repairs a population from what is sound in its two files, and deletes nothing on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from evoft.errors import PopulationDamagedError, PopulationMismatchError, PopulationSchemaError
from evoft.lineage.disk import replace_whole, spare, storing, sync_folder
from evoft.lineage.envelope import USERBLOCK, seal
from evoft.lineage.examination import Examination, JournalSide, examine, merge
from evoft.lineage.fsck import Finding, check
from evoft.lineage.journal import Reader, scan, to_line, whole_journal
from evoft.lineage.layout import build
from evoft.lineage.lock import Lock
from evoft.lineage.paths import Paths
from evoft.lineage.plain import SCHEMA, plain_header, plain_record, plain_verdict
from evoft.lineage.record import Contents


def repair(path: str | os.PathLike[str]) -> tuple[Finding, ...]:
    """Make journal and population file whole again and equal in what they say.

    Sound lines of the journal are kept as they are and in their order; what only the population
    file has is added to them, and where they would not say the same as it then, the journal is
    written anew; so is the file.  What was damaged is kept beside them under a name that ends in
    ``.damaged``.

    Returns:
        What was done and what is lost, and then what ``check`` finds.

    Raises:
        PopulationFileError: There is no population, or another process is writing it.
        PopulationDamagedError: Neither file has a header that is sound.
        PopulationMismatchError: The files belong to different runs.
        PopulationSchemaError: A newer evoft wrote them.
        StorageError: The disk refused.
    """
    paths = Paths.existing(path)
    with storing(paths):
        lock = Lock(paths)
        try:
            done = tuple(_repair(paths, lock))
        finally:
            lock.release()
    return (*done, *check(path))


def _repair(paths: Paths, lock: Lock) -> Iterator[Finding]:
    examination = examine(paths)
    file, journal = examination.file, examination.journal
    contents = _merged(paths, examination)
    for left in (spare(paths.file), spare(paths.journal)):
        left.unlink(missing_ok=True)
    lines = _journal_of(journal, contents)
    anew = not _says(lines, contents)
    if anew:
        lines = whole_journal(contents)
    if lines == journal.data and file.contents is not None and examination.agrees:
        return
    for line in journal.bad:
        what = f"line {line.number} could not be read"
        yield Finding("warning", str(paths.journal), what, "what it said is lost unless it is "
                      "in the population file")  # fmt: skip
    if file.fault is not None:
        yield _set_aside(paths.file)
    if journal.data and (journal.bad or anew):
        yield _set_aside(paths.journal)
    # The file first: should we die in between, it has everything and can be repaired from.
    os.close(replace_whole(paths.file, seal(build(contents, USERBLOCK), len(lines))))
    yield Finding(
        "ok", str(paths.file), f"it was written anew, with {len(contents.records)} trials"
    )
    if lines != journal.data:
        lock.replace_journal(lines)
        yield Finding("ok", str(paths.journal), "it was written anew")


def _merged(paths: Paths, examination: Examination) -> Contents:
    if isinstance(examination.file.fault, PopulationSchemaError):
        raise examination.file.fault
    if examination.other_run:
        raise PopulationMismatchError(
            f"{paths.name} and its journal belong to different runs: move one of them elsewhere"
        )
    contents = merge(examination)
    if contents is None:
        raise PopulationDamagedError(
            f"{paths.name} cannot be repaired, for neither it nor its journal has a sound header: "
            "take it from a backup, or start anew under another name"
        )
    return contents


def _journal_of(journal: JournalSide, contents: Contents) -> bytes:
    """Return the journal's sound lines and behind them what it lacks of ``contents``."""
    if journal.data is None or not journal.good:
        return whole_journal(contents)
    kept = [journal.data[line.start : line.end] for line in journal.good]
    lacking = {k: r for k, r in contents.records.items() if k not in journal.records}
    more = [to_line(plain_record(lacking[key])) for key in sorted(lacking)]
    more += [
        to_line(plain_verdict(verdict))
        for verdict in contents.verdicts
        if verdict not in journal.verdicts
    ]
    header = to_line(plain_header(contents.header))
    if journal.header is None or journal.good[0].start > 0:
        kept.insert(0, header)  # the first line is always a header
    if journal.header is not None:
        older = bool(more) and journal.schema != SCHEMA
        if older or journal.header != contents.header:
            kept.append(header)
    return b"".join([*kept, *more])


def _says(lines: bytes, contents: Contents) -> bool:
    """Tell whether a journal by itself says what ``contents`` holds, and no more."""
    reader = Reader("")
    reader.read(scan(lines).lines)
    said = reader.contents()
    return said is not None and _as_lines(said) == _as_lines(contents)


def _as_lines(contents: Contents) -> list[bytes]:
    """Return what can be compared: a score that is not a number is not equal to itself."""
    return sorted(whole_journal(contents).splitlines())


def _set_aside(path: Path) -> Finding:
    """Keep a damaged file under another name, without a moment in which it is under none."""
    kept = path.with_name(path.name + ".damaged")
    count = 1
    while kept.exists():
        count += 1
        kept = path.with_name(f"{path.name}.damaged-{count}")
    try:
        os.link(path, kept)
    except OSError:  # not every file system has links
        shutil.copyfile(path, kept)
    sync_folder(kept)
    return Finding("ok", str(path), f"as it was, it is now {kept.name}")
