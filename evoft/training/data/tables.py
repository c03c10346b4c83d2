"""A CSV of ``filepath,label[,split]``."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evoft.errors import DataError
from evoft.places import place
from evoft.training.data.images import FilePixels, Found, class_order, split_named
from evoft.training.data.unusable import told_of_all

_COLUMNS = ("filepath", "label", "split")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    label: str
    split: int


def find_in_table(source: str) -> Found:
    """Return the images of a CSV file with a header and the columns ``filepath,label[,split]``.

    Args:
        source: Absolute path of the CSV; relative paths in it are taken from its folder, and
            `~` at a path's beginning is the user's home.

    Raises:
        DataError: A column is missing, a cell is empty or one too many, a split is unknown, a file
            is missing, one file has two labels, or the CSV cannot be read.
    """
    try:
        with open(source, encoding="utf-8-sig", newline="") as file:
            header, *lines = list(_lines(file)) or [(1, [])]
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{source} cannot be read as CSV in UTF-8 ({error}): save it so") from None
    names = [name.strip() for name in header[1]]
    where = _columns(source, names)
    rows = [_row(source, line, cells, where, len(names)) for line, cells in lines]
    _require_files(source, rows)
    _require_one_label_each(source, rows)
    extra = [name for name in names if name not in _COLUMNS]
    paths = tuple(row.path for row in rows)
    return Found(
        name=Path(source).stem,
        source=source,
        pixels=FilePixels(paths),
        labels=tuple(row.label for row in rows),
        split=np.array([row.split for row in rows], dtype=np.int8),
        classes=tuple(sorted({row.label for row in rows}, key=class_order)),
        where=lambda index: f"{paths[index]} (line {rows[index].line} of {source})",
        notes=(f"columns that evoft does not use: {', '.join(extra)}",) if extra else (),
    )


def _lines(file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each line that is not blank, with its number."""
    reader = csv.reader(file, strict=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _columns(source: str, names: Sequence[str]) -> dict[str, int]:
    for name in _COLUMNS[:2]:
        if name not in names:
            raise DataError(
                f"{source} must have a header with the columns filepath,label[,split], but has "
                f"{','.join(names) or 'none'}: {_way_out(names, name)}"
            )
    for name in _COLUMNS:
        if names.count(name) > 1:
            raise DataError(f"{source} has the column `{name}` twice: take one out")
    return {name: names.index(name) for name in _COLUMNS if name in names}


def _way_out(names: Sequence[str], missing: str) -> str:
    if len(names) == 1 and (other := re.search(r"[;\t|]", names[0])):
        return f"separate them by commas, not by {other[0]!r}"
    return f"add `{missing}`, or rename the column that holds it"


def _row(source: str, line: int, cells: Sequence[str], columns: dict[str, int], count: int) -> _Row:
    values = {
        name: cells[column].strip() if column < len(cells) else ""
        for name, column in columns.items()
    }
    here = f"line {line} of {source}"
    if any(cell.strip() for cell in cells[count:]):
        raise DataError(
            f"{here} has {len(cells)} cells, but the header has {count}: put what has a comma in "
            "it in quotes, or take the others out"
        )
    for name in ("filepath", "label"):
        if not values[name]:
            raise DataError(f"{here} has no {name}: fill it in or take the line out")
    split = split_named(values.get("split", "train"))
    if split is None:
        raise DataError(
            f"{here} has the split {values['split']!r}, but a split is train, val or test: "
            "mend it, or leave the column out to have the data split"
        )
    path = os.path.normpath(os.path.join(os.path.dirname(source), place(values["filepath"])))
    return _Row(line, path, values["label"], split)


def _require_files(source: str, rows: Sequence[_Row]) -> None:
    missing = {
        index: DataError(
            f"line {row.line} of {source} names {row.path}, which is no file: paths are relative "
            "to the CSV's folder; mend the path or take the line out"
        )
        for index, row in enumerate(rows)
        if not os.path.isfile(row.path)
    }
    if missing:
        raise told_of_all(missing, [row.path for row in rows])


def _require_one_label_each(source: str, rows: Sequence[_Row]) -> None:
    first: dict[str, _Row] = {}
    for row in rows:
        other = first.setdefault(row.path, row)
        if other.label != row.label:
            raise DataError(
                f"{row.path} has two labels in {source}, `{other.label}` in line {other.line} and "
                f"`{row.label}` in line {row.line}: an image has one; take a line out"
            )
