"""The journal: one checksummed line a record, only ever appended to.

A line is ``LENGTH CRC JSON``: the JSON's length in bytes and its CRC-32, 8 hexadecimal digits
each.  By its length a line that was cut short while it was written can be told from one whose
newline was altered afterwards.  The first is dropped, for nobody was told that it was kept; the
second is damage.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evoft.errors import PopulationDamagedError, PopulationMismatchError, PopulationSchemaError
from evoft.header import Header
from evoft.lineage.plain import (
    SCHEMA,
    header_of,
    plain_header,
    plain_record,
    plain_verdict,
    record_of,
    to_text,
    verdict_of,
    withdrawn_by,
)
from evoft.lineage.record import Contents, Record
from evoft.trial import Stage, TrialKey
from evoft.verdict import Verdict

#: Bytes before the JSON: length and CRC-32, a space behind each.
_PREFIX = 18
_SIZED = re.compile(rb"[0-9a-f]{8} [0-9a-f]{8} ")
#: How the JSON of a header begins, in every schema.
_HEADER = b'{"kind":"header",'


@dataclass(frozen=True, slots=True)
class Line:
    """One whole line of a journal."""

    #: Counted from 1.
    number: int
    #: First byte, and the byte after its newline.
    start: int
    end: int
    #: The JSON; None when the line is not as it was written.
    text: bytes | None


@dataclass(frozen=True, slots=True)
class Scan:
    """A journal taken apart into lines."""

    lines: tuple[Line, ...]
    #: Where the whole lines end; what lies behind it was cut short while it was written.
    end: int
    #: Bytes behind ``end``.
    torn: int

    @property
    def bad(self) -> tuple[Line, ...]:
        """The lines that are not as they were written."""
        return tuple(line for line in self.lines if line.text is None)


def to_line(plain: dict[str, Any]) -> bytes:
    """Return the journal's line for a record given as JSON data.

    Raises:
        ValueError: It is not plain JSON data.
    """
    text = to_text(plain).encode()
    return _prefix(text) + text + b"\n"


def read_line(line: bytes) -> dict[str, Any]:
    """Return the JSON data of a sound line."""
    plain: dict[str, Any] = json.loads(line[_PREFIX:])
    return plain


def whole_journal(contents: Contents) -> bytes:
    """Return a complete journal that says what ``contents`` holds, records in order of key."""
    records = sorted(contents.records.values(), key=record_order)
    return b"".join(
        [
            to_line(plain_header(contents.header)),
            *(to_line(plain_record(record)) for record in records),
            *(to_line(plain_verdict(verdict)) for verdict in contents.verdicts),
        ]
    )


def record_order(record: Record) -> tuple[bool, int, int]:
    """Sort records by stage, the search first, then by individual, and by rung or repeat."""
    stage, individual, turn = record.key
    return (stage is not Stage.SEARCH, individual, turn)


def last_schema(lines: Sequence[Line]) -> int | None:
    """Return the schema of a journal's last sound header; None when it has none."""
    for line in reversed(lines):
        if line.text is not None and line.text.startswith(_HEADER):
            schema: int | None = json.loads(line.text).get("schema")
            return schema
    return None


def scan(data: bytes) -> Scan:
    """Take a journal apart and check every line; raises nothing."""
    lines: list[Line] = []
    start = 0
    while (newline := data.find(b"\n", start)) >= 0:
        lines.append(Line(len(lines) + 1, start, newline + 1, _sound(data[start:newline])))
        start = newline + 1
    # A machine that lost power may have given the file its new length and not yet its bytes.
    rest = data[start:].rstrip(b"\0")
    if rest and not _cut_short(rest):
        lines.append(Line(len(lines) + 1, start, len(data), None))
        start = len(data)
    return Scan(tuple(lines), start, len(data) - start)


def has_header(data: bytes) -> bool:
    """Tell whether a journal's first line is there in full, sound or not."""
    return bool(scan(data[: data.find(b"\n") + 1] or data).lines)


class Reader:
    """Gathers what a journal's lines say, on top of what a population file said already."""

    def __init__(self, name: str, contents: Contents | None = None) -> None:
        """Begin with ``contents``; ``name`` is the population file's, for messages."""
        self._name = name
        #: The last header so far.
        self.header: Header | None = contents.header if contents else None
        self.records: dict[TrialKey, Record] = dict(contents.records) if contents else {}
        self.verdicts: list[Verdict] = list(contents.verdicts) if contents else []
        #: Where the trials that were taken back, and not judged again since, were so.
        self.withdrawn: dict[TrialKey, int] = {}

    def read(self, lines: Iterable[Line]) -> None:
        """Take in lines in their order; of two records with one key the first counts.

        Raises:
            PopulationDamagedError: A line is not as it was written, or makes no sense.
            PopulationMismatchError: A header is of another run.
            PopulationSchemaError: The journal was written by a newer evoft.
        """
        for line in lines:
            if line.text is None:
                raise self._damaged(line)
            try:
                self._take(json.loads(line.text), line.start)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise self._damaged(line) from error

    def contents(self) -> Contents | None:
        """Return what was gathered; None when there was no header."""
        if self.header is None:
            return None
        return Contents(self.header, self.records, tuple(self.verdicts))

    def _take(self, plain: dict[str, Any], start: int) -> None:
        kind = plain["kind"]
        if kind == "header":
            self._take_header(plain)
        elif kind == "trial":
            record = record_of(plain)
            self.records.setdefault(record.key, record)
            self.withdrawn.pop(record.key, None)
        elif kind == "verdict":
            self.verdicts.append(verdict_of(plain))
        elif kind == "withdrawal":
            for key in withdrawn_by(plain):
                self.records.pop(key, None)
                self.withdrawn[key] = start
        else:
            raise ValueError(kind)

    def _take_header(self, plain: dict[str, Any]) -> None:
        if plain["schema"] > SCHEMA:
            raise newer_schema(self._name, plain["schema"])
        header = header_of(plain)
        if self.header is not None and header.run_id != self.header.run_id:
            raise PopulationMismatchError(
                f"the journal beside {self._name} belongs to run {header.run_id}, but the file "
                f"to run {self.header.run_id}: move one of them elsewhere"
            )
        self.header = header

    def _damaged(self, line: Line) -> PopulationDamagedError:
        return PopulationDamagedError(
            f"line {line.number} of the journal beside {self._name} is not as it was written: "
            f"see what can be saved with `evoft fsck {self._name}`"
        )


def newer_schema(name: str, schema: int) -> PopulationSchemaError:
    """Return the error for a population that a newer evoft wrote."""
    return PopulationSchemaError(
        f"{name} was written by a newer evoft (schema {schema}); this one reads up to {SCHEMA}: "
        "upgrade with `pip install -U evoft`"
    )


def _prefix(text: bytes) -> bytes:
    return b"%08x %08x " % (len(text), zlib.crc32(text))


def _sound(line: bytes) -> bytes | None:
    """Return a line's JSON, or None if the line is not as it was written."""
    text = line[_PREFIX:]
    return text if line[:_PREFIX] == _prefix(text) else None


def _cut_short(rest: bytes) -> bool:
    """Tell whether bytes without a newline are the beginning of a line, and no more."""
    if len(rest) < _PREFIX:
        return True
    if not _SIZED.match(rest):
        return False
    return len(rest) - _PREFIX <= int(rest[:8], 16)
