"""Checks a population's files, each in itself and against each other; changes nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evoft.errors import PopulationSchemaError
from evoft.lineage.disk import spare, storing
from evoft.lineage.examination import Examination, examine, merge
from evoft.lineage.generations import MISSING, individuals_of
from evoft.lineage.lock import writer_of
from evoft.lineage.paths import Paths

Severity = Literal["ok", "warning", "error"]

#: The way out of what nothing is left to mend from.
_COPY = "bring a copy back, if it ever was a population"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, or done."""

    #: ``error``: the population cannot be used as it is; ``warning``: it can.
    severity: Severity
    #: Which file or folder.
    where: str
    #: What was found there, one sentence.
    what: str
    #: What to do about it; empty when nothing needs doing.
    way_out: str = ""


def check(path: str | os.PathLike[str]) -> tuple[Finding, ...]:
    """Look at a population file, its journal and its folder of checkpoints; change nothing.

    Damage of any kind is a finding, never an exception.

    Raises:
        PopulationFileError: ``path`` is a folder.
        StorageError: The disk refused to read.
    """
    paths = Paths.of(path)
    with storing(paths):
        try:
            examination = examine(paths)
        except PopulationSchemaError as error:
            return (Finding("error", str(paths.journal), str(error)),)
        file, journal = examination.file, examination.journal
        if file.sealed is None and (paths.namesake or not journal.data):
            return (Finding("error", paths.name, paths.missing, "look for it elsewhere"),)
        return (
            *_of_file(paths, examination),
            *_of_journal(paths, examination),
            *_of_rungs(paths, examination),
            *_of_other_files(paths, examination),
        )


def repair_command(paths: Paths) -> str:
    """Return the way out of what can be repaired."""
    return f"repair it with `evoft fsck --repair {paths.name}`"


def _of_file(paths: Paths, examination: Examination) -> Iterator[Finding]:
    where, file = str(paths.file), examination.file
    if file.contents is not None:
        trials, verdicts = len(file.contents.records), len(file.contents.verdicts)
        what = f"every byte is as it was written: {trials} trials, {verdicts} verdicts"
        yield Finding("ok", where, what)
    elif isinstance(file.fault, PopulationSchemaError):
        yield Finding("error", where, str(file.fault))
    elif file.fault is not None:
        what = str(file.fault).partition("; see ")[0]  # which sends here
        mend = repair_command(paths) if examination.journal.data else _COPY
        yield Finding("error", where, what, mend)
    elif examination.journal.header is not None:
        what = "there is no population file, but its journal has all that it would hold"
        yield Finding("warning", where, what, repair_command(paths))
    else:
        yield Finding("error", where, "there is no population file, only a journal without header")


def _of_journal(paths: Paths, examination: Examination) -> Iterator[Finding]:
    where, journal, mend = str(paths.journal), examination.journal, repair_command(paths)
    if not journal.data and examination.file.contents is None:
        yield Finding("error", where, "there is no journal to make the population from", _COPY)
        return
    if not journal.data:
        what = "there is no journal: the population file is the only copy"
        yield Finding("warning", where, what, f"{mend}, which makes it again, as resuming does")
        return
    if examination.other_run:
        what = "it belongs to another run than the population file"
        yield Finding("error", where, what, "move one of them elsewhere")
    elif not examination.agrees:
        what = (
            f"it should reach at least to byte {examination.file.folded}, but its whole lines "
            f"end at byte {journal.end}"
        )
        yield Finding("error", where, what, mend)
    for line in journal.bad:
        yield Finding("error", where, f"line {line.number} is not as it was written", mend)
    if journal.torn and writer_of(paths) is None:
        what = f"its last {journal.torn} bytes were cut short while they were written"
        yield Finding("warning", where, what, "nothing: the next writer drops them")
    if not journal.bad and examination.agrees and not examination.other_run:
        trials, verdicts = len(journal.records), len(journal.verdicts)
        what = f"every line is as it was written: {trials} trials, {verdicts} verdicts"
        yield Finding("ok", where, what)


def _of_rungs(paths: Paths, examination: Examination) -> Iterator[Finding]:
    contents = None if examination.other_run else merge(examination)
    for individual in individuals_of(contents.records.values() if contents else ()):
        for rung, outcome in enumerate(individual.earlier):
            if outcome is MISSING:
                what = (
                    f"individual {individual.id} was judged on rung {individual.rung}, but its "
                    f"record of rung {rung} is lost"
                )
                way_out = f"`evoft resume {paths.name}` runs that trial again"
                yield Finding("warning", paths.name, what, way_out)


def _of_other_files(paths: Paths, examination: Examination) -> Iterator[Finding]:
    writer = writer_of(paths)
    if writer is not None:
        # What is half written at this moment, or of a trial under way, is nobody's fault.
        yield Finding("ok", paths.name, f"process {writer} is writing it")
        return
    for left in (spare(paths.file), spare(paths.journal)):
        if left.exists():
            what = "it is what a killed writer left half written"
            yield Finding("warning", str(left), what, "nothing: the next writer removes it")
    records = (*examination.journal.records.values(),)
    if examination.file.contents is not None:
        records += (*examination.file.contents.records.values(),)
    known = {record.trial.individual for record in records}
    if not paths.checkpoints.is_dir():
        return
    for checkpoint in sorted(paths.checkpoints.iterdir()):
        number = re.match(r"\d+", checkpoint.name)
        if number is None or int(number[0]) not in known:
            what = "no individual of the population has this checkpoint"
            yield Finding("warning", str(checkpoint), what, "delete it if you need the space")
        elif checkpoint.suffix == ".safetensors" and (why := _unreadable(checkpoint)):
            what = f"it cannot be read ({why})"
            way_out = "delete it: its model is trained again where it is wanted"
            yield Finding("warning", str(checkpoint), what, way_out)


def _unreadable(checkpoint: Path) -> str:
    """Return why a checkpoint cannot be read; empty where it is as long as its header says.

    That is the format of safetensors: the header's length in eight bytes, the header in JSON with
    where each tensor lies behind it, and the tensors.
    """
    try:
        with open(checkpoint, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = os.path.getsize(checkpoint)
            facts = json.loads(file.read(min(length, size)))
        ends = [of["data_offsets"][1] for name, of in facts.items() if name != "__metadata__"]
        if 8 + length + max(ends, default=0) == size:
            return ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return f"{type(error).__name__}: {error}"
    return "it is not as long as its header says"
