"""Looks at a population whose files may be damaged, and finds what is sound in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evoft.errors import PopulationFileError, PopulationSchemaError
from evoft.header import Header
from evoft.lineage.disk import read_whole
from evoft.lineage.envelope import unseal
from evoft.lineage.journal import Line, Reader, last_schema, scan
from evoft.lineage.paths import Paths
from evoft.lineage.record import Contents, Record
from evoft.lineage.snapshot import unpack_sealed
from evoft.trial import TrialKey
from evoft.verdict import Verdict


@dataclass(frozen=True, slots=True)
class FileSide:
    """What the population file has to say."""

    #: Its bytes; None when there is no file.
    sealed: bytes | None
    #: What it holds; None when there is no file or it is damaged.
    contents: Contents | None
    #: How many bytes of the journal are folded into it, if it is sound.
    folded: int | None
    #: What is wrong with it.
    fault: PopulationFileError | None


@dataclass(frozen=True, slots=True)
class JournalSide:
    """What the journal has to say: that of its lines which are sound."""

    #: Its bytes; None when there is no journal.
    data: bytes | None
    #: Where its whole lines end, and how many bytes lie behind.
    end: int
    torn: int
    #: Its last header; None when it has lost all of them.
    header: Header | None
    #: The schema that it is marked with; None when there is none.
    schema: int | None
    records: Mapping[TrialKey, Record]
    #: Where the trials that were taken back, and not judged again since, were so.
    withdrawn: Mapping[TrialKey, int]
    verdicts: tuple[Verdict, ...]
    good: tuple[Line, ...]
    #: Lines that are not as they were written, or make no sense.
    bad: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Examination:
    """Both sides of a population."""

    file: FileSide
    journal: JournalSide

    @property
    def other_run(self) -> bool:
        """Whether journal and population file belong to different runs."""
        contents, header = self.file.contents, self.journal.header
        if contents is None or header is None:
            return False
        return contents.header.run_id != header.run_id

    @property
    def agrees(self) -> bool:
        """Whether the journal reaches as far as the file says that it was folded."""
        folded, journal = self.file.folded, self.journal
        if folded is None or journal.data is None:
            return True
        return folded <= journal.end and (folded == 0 or journal.data[folded - 1 : folded] == b"\n")


def examine(paths: Paths) -> Examination:
    """Read both files as far as they are sound.

    Raises:
        PopulationSchemaError: A newer evoft wrote the journal.
        OSError: The disk refused to read.
    """
    data = read_whole(paths.journal)
    sealed = read_whole(paths.file)
    return Examination(_file_side(sealed, paths.name), _journal_side(data, paths.name))


def merge(examination: Examination) -> Contents | None:
    """Return all that is sound on both sides; None when neither has a header.

    Of a damaged population file nothing is believed.  Of 1500 files with one flipped bit, HDF5
    read two as something else in spite of its checksums, which do not cover what describes a
    column, and never came back from another two.  A sound one is believed in all that was folded
    into it, for it was made when the journal was whole.
    """
    file, journal = examination.file, examination.journal
    contents, folded = file.contents, file.folded
    if contents is None or folded is None:
        if journal.header is None:
            return None
        return Contents(journal.header, journal.records, journal.verdicts)
    if journal.end < folded:  # it was cut, or is an earlier copy
        return contents
    if not examination.agrees:
        return _united(contents, journal)
    reader = Reader("", contents)
    reader.read(line for line in journal.good if line.start >= folded)
    return reader.contents()


def _united(contents: Contents, journal: JournalSide) -> Contents:
    """Return what either has, of a journal in which nobody knows what was folded."""
    verdicts = [*journal.verdicts]
    verdicts += [verdict for verdict in contents.verdicts if verdict not in verdicts]
    records = {k: record for k, record in contents.records.items() if k not in journal.withdrawn}
    header = journal.header or contents.header
    return Contents(header, {**records, **journal.records}, tuple(verdicts))


def _file_side(sealed: bytes | None, name: str) -> FileSide:
    if sealed is None:
        return FileSide(None, None, None, None)
    try:
        opened = unseal(sealed, name)
        return FileSide(sealed, unpack_sealed(opened, name), opened.journal_bytes, None)
    except PopulationFileError as error:
        return FileSide(sealed, None, None, error)


def _journal_side(data: bytes | None, name: str) -> JournalSide:
    taken = scan(data or b"")
    reader = Reader(name)
    good: list[Line] = []
    bad: list[Line] = []
    for line in taken.lines:
        try:
            reader.read([line])
            good.append(line)
        except PopulationSchemaError:
            raise
        except PopulationFileError:
            bad.append(line)
    return JournalSide(
        data, taken.end, taken.torn, reader.header, last_schema(good),
        reader.records, reader.withdrawn, tuple(reader.verdicts), tuple(good), tuple(bad),
    )  # fmt: skip
