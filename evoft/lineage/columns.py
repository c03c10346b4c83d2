"""One HDF5 dataset a column, each under its own checksum.

Text is kept in fixed-length UTF-8, for HDF5's fletcher32 does not cover text of variable length.
Such a column drops zero bytes at its end and cannot hold what UTF-8 cannot (half of a surrogate
pair, as in the name of a file in another encoding), and a dataset's name cannot hold a slash.
These characters are written as ``U+241B`` (the symbol for escape) and their number in hexadecimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t
from numpy.typing import NDArray

_ESCAPE = "\u241b"
_TEXT_SPECIAL = re.compile(f"[\0\ud800-\udfff{_ESCAPE}]")
_NAME_SPECIAL = re.compile(f"[\0/\ud800-\udfff{_ESCAPE}]|^\\.+$")
_ESCAPED = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")
#: A chunk is what HDF5 checks and compresses at a time; more bytes than this pay nothing.
_CHUNK_BYTES = 1 << 18


def link(name: str) -> str:
    """Return the dataset name for any text at all; ``unlink`` gives the text back."""
    return _NAME_SPECIAL.sub(_escape, name) or _ESCAPE


def unlink(name: str) -> str:
    """Return the text that ``link`` made a dataset name of."""
    return "" if name == _ESCAPE else _unescape(name)


def storable(text: str) -> str:
    """Return the text with those characters escaped that HDF5 cannot keep."""
    if text.isascii() and "\0" not in text:  # as nearly all are, and that is seen at once
        return text
    return _TEXT_SPECIAL.sub(_escape, text)


def write_numbers(group: Any, name: str, values: NDArray[Any]) -> None:
    """Write a column of numbers, shape ``(rows,)``, in its own dtype."""
    column = _create(group, name, len(values), values.dtype)
    if len(values):
        column.write(h5s.ALL, h5s.ALL, values)


def write_text(group: Any, name: str, texts: Sequence[str]) -> None:
    """Write a column of text, as wide in bytes as its longest."""
    codes = {text: storable(text).encode() for text in set(texts)}  # many are the same
    coded = [codes[text] for text in texts]
    dtype = h5py.string_dtype("utf-8", max(1, max(map(len, coded), default=1)))
    column = h5py.Dataset(_create(group, name, len(coded), dtype))
    # By chunks, so that one long text among thousands does not cost its length times thousands.
    for rows in _chunks(column):
        column[rows] = np.array(coded[rows], dtype=dtype)


def read_numbers(group: Any, name: str) -> list[Any]:
    """Return a column of numbers as Python's own ints or floats."""
    values: list[Any] = group[name][:].tolist()
    return values


def read_text(group: Any, name: str) -> list[str]:
    """Return a column of text."""
    column = group[name]
    texts: list[str] = []
    for rows in _chunks(column):
        texts += [_unescape(coded.decode()) for coded in column[rows].tolist()]
    return texts


def _create(group: Any, name: str, rows: int, dtype: np.dtype[Any]) -> h5d.DatasetID:
    """Make an empty column; by HDF5's own calls, for h5py's ``create_dataset`` takes thrice that.

    A file has some seventy columns, and is written at each generation's end.
    """
    layout = h5p.create(h5p.DATASET_CREATE)
    layout.set_chunk((max(1, min(rows, _CHUNK_BYTES // dtype.itemsize)),))
    if dtype.kind != "S":
        layout.set_shuffle()
    layout.set_deflate(1)
    layout.set_fletcher32()
    layout.set_obj_track_times(False)
    # A checksum needs chunks, and chunks of an empty column need a length without limit.
    space = h5s.create_simple((rows,), (h5s.UNLIMITED,))
    kind = h5t.py_create(dtype, logical=True)
    return h5d.create(group.id, name.encode(), kind, space, layout)


def _chunks(column: Any) -> Iterator[slice]:
    step = column.chunks[0]
    for start in range(0, len(column), step):
        yield slice(start, start + step)


def _escape(match: re.Match[str]) -> str:
    return "".join(f"{_ESCAPE}{ord(character):04x}" for character in match[0])


def _unescape(text: str) -> str:
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
