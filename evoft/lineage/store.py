"""The one writer of a population: appends to the journal, folds it into the population file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import Any, Self

from evoft.errors import PopulationExistsError, StorageError
from evoft.header import Header
from evoft.lineage.appending import Appender
from evoft.lineage.disk import (
    read_whole,
    replace_whole,
    spare,
    storing,
    sync_folder,
)
from evoft.lineage.envelope import USERBLOCK, seal
from evoft.lineage.journal import has_header, read_line, to_line, whole_journal
from evoft.lineage.layout import build
from evoft.lineage.lock import Lock
from evoft.lineage.paths import Paths
from evoft.lineage.plain import (
    SCHEMA,
    header_of,
    plain_header,
    plain_record,
    plain_verdict,
    plain_withdrawal,
    reads_back_as_it_is,
    record_of,
)
from evoft.lineage.record import Contents, Record, check_record, check_sibling, out_of_turn
from evoft.lineage.snapshot import Snapshot, read_snapshot
from evoft.trial import Stage, TrialKey
from evoft.verdict import Verdict


class Store:
    """An open population, held by this process alone until it is closed.

    ``create`` makes a new one, ``open`` goes on with one.  Use it in a ``with`` statement.
    """

    def __init__(self, paths: Paths, lock: Lock, snapshot: Snapshot) -> None:
        """Not for callers: use ``Store.create`` or ``Store.open``."""
        self._paths = paths
        self._lock = lock
        self._header = snapshot.contents.header
        self._records = dict(snapshot.contents.records)
        self._verdicts = list(snapshot.contents.verdicts)
        self._elapsed = max((record.elapsed for record in self._records.values()), default=0.0)
        self._folded = snapshot.folded
        self._journal = Appender(lock, snapshot.journal_end or 0)
        #: What the journal says of itself: older lines may be followed by newer ones only behind a
        #: newer header, so that an older evoft does not take them for damage.
        self._schema = snapshot.journal_schema or SCHEMA
        self._births = {r.trial.individual: r for r in self._records.values() if r.birth}

    @staticmethod
    def create(path: str | os.PathLike[str], header: Header) -> Store:
        """Make a new population and write its first, empty file.

        Folders on the way to it are made.

        Raises:
            PopulationExistsError: There is one at ``path``, or its journal.
            PopulationLockedError: Another process is making it at this moment.
            StorageError: The disk refused.
        """
        paths = Paths.of(path)
        with storing(paths, resume=False):
            paths.file.parent.mkdir(parents=True, exist_ok=True)
            _refuse_existing(paths)
            lock = Lock(paths)
            try:
                _refuse_existing(paths)  # again, for now nobody else can be making it
                os.ftruncate(lock.descriptor, 0)
                line = to_line(plain_header(header))
                contents = Contents(header_of(read_line(line)), {}, ())
                store = Store(paths, lock, Snapshot(contents, None, 0, SCHEMA))
                store._journal.append(line)
                sync_folder(paths.journal)
                store.fold()
            except BaseException:
                lock.release()
                raise
        return store

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Store:
        """Go on with the population at ``path``.

        What a killed writer left half done is put right: a line cut short is dropped from the
        journal, a missing journal or population file is made again from the other.

        Raises:
            PopulationFileError: There is no population, or one that cannot be used: locked,
                damaged, of a newer evoft, or with the journal of another run (see errors.py).
            StorageError: The disk refused.
        """
        paths = Paths.existing(path)
        with storing(paths):
            lock = Lock(paths)
            try:
                for target in (paths.file, paths.journal):
                    spare(target).unlink(missing_ok=True)
                store = Store(paths, lock, read_snapshot(paths, whole_journal=True))
                store._mend()
            except BaseException:
                lock.release()
                raise
        return store

    @property
    def header(self) -> Header:
        """The facts of the run."""
        return self._header

    @property
    def records(self) -> Mapping[TrialKey, Record]:
        """Every finished trial, in no particular order; a live view."""
        return MappingProxyType(self._records)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts so far, in the order in which they were reached."""
        return tuple(self._verdicts)

    @property
    def elapsed(self) -> float:
        """Seconds of running over the life of the population; 0.0 before the first trial."""
        return self._elapsed

    def append(self, *records: Record) -> None:
        """Keep finished trials: when this returns they outlive any crash.

        The disk is waited for once, however many they are.  ``records`` then has each as it will be
        read back: plain floats for numpy's, lists for tuples in its recipe, the trial's ``report``
        gone.

        Raises:
            ValueError: A trial is kept already, or a record cannot be read back as it is, or its
                birth is another than on another rung; none of them is kept.
            StorageError: The disk refused; none of them is kept, all before them are.
        """
        fresh: dict[TrialKey, Record] = {}
        births: dict[int, Record] = {}
        lines: list[bytes] = []
        for record in records:
            check_record(record)
            key = record.key
            if key in self._records or key in fresh:
                raise ValueError(f"the trial {key} is in {self._paths.name} already")
            lines.append(to_line(plain_record(record)))
            same = reads_back_as_it_is(record)
            kept = record if same else record_of(read_line(lines[-1]))
            fresh[key] = kept
            if kept.birth is not None:
                id = kept.trial.individual
                if other := births.get(id) or self._births.get(id):
                    check_sibling(kept, other)
                births[id] = kept
        self._append(b"".join(lines))
        self._records |= fresh
        self._births |= births
        self._elapsed = max([self._elapsed, *(record.elapsed for record in records)])

    def append_verdict(self, verdict: Verdict) -> None:
        """Keep a verdict: when this returns it outlives any crash.

        Raises:
            StorageError: The disk refused; the verdict is not kept.
        """
        self._append(to_line(plain_verdict(verdict)))
        self._verdicts.append(verdict)

    def amend_settings(self, settings: Mapping[str, Any]) -> None:
        """Put other settings in the header's place of the old, as a resume with other budgets does.

        Raises:
            ValueError: They are not plain JSON data.
            StorageError: The disk refused; the old settings hold.
        """
        self._append_header(replace(self._header, settings=dict(settings)))

    def amend_backbones(self, backbones: tuple[Mapping[str, Any], ...]) -> None:
        """Put other facts of the backbones there, as ``amend_settings`` does with settings."""
        self._append_header(replace(self._header, backbones=backbones))

    def migrate(self, space: Mapping[str, Any]) -> None:
        """Put another search space in the header's place of the old, which is kept beside it.

        Trials that ended out of turn, of whom the old space would have decided who comes before
        them, are taken back: it is as if they had never been judged.

        Args:
            space: As ``SearchSpace.to_dict`` gives it; every individual that is left is of it.

        Raises:
            ValueError: It is not plain JSON data.
            StorageError: The disk refused; the old space holds.
        """
        gone = out_of_turn(self._records)
        left = {key: record for key, record in self._records.items() if key not in set(gone)}
        decided = sum(stage is Stage.SEARCH for stage, _, _ in left)
        before = {"trials": decided, "space": dict(self._header.space)}
        header = replace(
            self._header,
            space=dict(space),
            spaces_before=(*self._header.spaces_before, before),
        )
        self._append_header(header, withdrawing=gone)
        self._records = left
        self._births = {r.trial.individual: r for r in left.values() if r.birth}
        self.fold()

    def fold(self) -> None:
        """Write the population file anew, with all that is in the journal.

        Raises:
            StorageError: The disk refused; the file that was there still is, and whole.
        """
        contents = Contents(self._header, self._records, tuple(self._verdicts))
        self._write_file(contents, self._journal.size)

    def close(self) -> None:
        """Fold what is not folded yet, and let others write.  Closing twice does nothing.

        Raises:
            StorageError: The disk refused to fold.  The journal has everything all the same.
        """
        if self._lock.descriptor < 0:
            return
        try:
            if self._folded != self._journal.size:
                self.fold()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except StorageError:
            # What went wrong first says more, and nothing is lost: the journal has it.
            if error is None:
                raise

    def _mend(self) -> None:
        """Make journal and file agree after whatever stopped the last writer."""
        if not self._journal.size:
            contents = Contents(self._header, self._records, tuple(self._verdicts))
            journal = whole_journal(contents)
            # The file first: should we die in between, it is still right without a journal.
            self._write_file(contents, len(journal))
            self._journal.replace(journal)
            self._schema = SCHEMA
            return
        self._journal.cut()
        if self._folded is None:
            self.fold()

    def _append(self, lines: bytes) -> None:
        """Append lines of trials or a verdict."""
        if self._schema < SCHEMA:
            self._append_header(self._header)
        with self._writing():
            self._journal.append(lines)

    def _append_header(self, header: Header, withdrawing: Sequence[TrialKey] = ()) -> None:
        line = to_line(plain_header(header))
        if withdrawing and self._schema < SCHEMA:
            self._append_header(self._header)
        # The withdrawal first: the old space decides the same again, should it stand alone.
        withdrawal = to_line(plain_withdrawal(withdrawing)) if withdrawing else b""
        with self._writing():
            self._journal.append(withdrawal + line)
        self._header = header_of(read_line(line))
        self._schema = SCHEMA

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self._lock.descriptor < 0:
            raise ValueError(f"the store of {self._paths.name} is closed: open it again")
        with storing(self._paths):
            yield

    def _write_file(self, contents: Contents, journal_bytes: int) -> None:
        if self._lock.descriptor < 0:
            raise ValueError(f"the store of {self._paths.name} is closed: open it again")
        sealed = seal(build(contents, USERBLOCK), journal_bytes)
        with storing(self._paths):
            os.close(replace_whole(self._paths.file, sealed))
        self._folded = journal_bytes


def _refuse_existing(paths: Paths) -> None:
    # A journal without a header is of a `create` that was killed before there was anything.
    journal = read_whole(paths.journal)
    if paths.file.exists() or (journal is not None and has_header(journal)):
        raise PopulationExistsError(
            f"{paths.name} is there already: go on with it by `evoft resume {paths.name}`, or by "
            f"`evoft.resume(fitness, {paths.name!r})` if the fitness function was your own, or "
            "choose another name"
        )
