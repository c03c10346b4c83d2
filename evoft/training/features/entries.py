"""An entry of the feature store: a file of tensors that many processes map.

A line of JSON tells types and shapes; the tensors' bytes follow it.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import sys
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

#: Tensors begin at multiples of this, and so does what follows the line.
_ALIGNED = 64
#: More than any line takes.
_LINE = 1 << 20
#: What a process might write to its own copy, and never does, takes no memory beforehand.
_UNRESERVED = 0x4000 if sys.platform == "linux" else 0


class DamagedEntryError(Exception):
    """A file is no whole entry."""


@dataclass(frozen=True, slots=True)
class EntryLayout:
    """Where the tensors of an entry lie in its file."""

    #: Digest of what the values follow from: the entry's name.
    address: str
    dtypes: tuple[torch.dtype, ...]
    #: ``(images, ...)`` each.
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, address: str, batch: Sequence[Tensor], images: int) -> EntryLayout:
        """Return the layout for all images, given the values ``(batch, ...)`` of some."""
        shapes = tuple((images, *value.shape[1:]) for value in batch)
        return cls(address, tuple(value.dtype for value in batch), shapes)

    @classmethod
    def read(cls, line: bytes) -> EntryLayout:
        """Return the layout that ``line`` tells.

        Raises:
            DamagedEntryError: It tells none.
        """
        try:
            told = json.loads(line)
            dtypes = tuple(getattr(torch, name) for name in told["dtypes"])
            shapes = tuple(tuple(map(int, shape)) for shape in told["shapes"])
            layout = cls(told["address"], dtypes, shapes)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DamagedEntryError("it does not begin as an entry does") from None
        if layout.line() != line:
            raise DamagedEntryError("it begins otherwise than it was written")
        return layout

    def line(self) -> bytes:
        """Return the first line of the file."""
        told = {
            "address": self.address,
            "dtypes": [str(dtype).removeprefix("torch.") for dtype in self.dtypes],
            "shapes": self.shapes,
        }
        line = json.dumps(told).encode()
        return line.ljust(_aligned(len(line) + 1) - 1) + b"\n"

    def offsets(self) -> tuple[int, ...]:
        """Return where each tensor begins, and last where the file ends."""
        offsets = [len(self.line())]
        for dtype, shape in zip(self.dtypes, self.shapes, strict=True):
            offsets.append(_aligned(offsets[-1] + math.prod(shape) * dtype.itemsize))
        return tuple(offsets)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.offsets()[-1]


def write(descriptor: int, layout: EntryLayout, batches: Iterable[Sequence[Tensor]]) -> None:
    """Write an entry, batch after batch.

    Not by a mapping: what a full disk does not take is an error here, and no signal.

    Raises:
        OSError: The disk does not take it.
        ValueError: The batches hold not as many images as the layout, or others.
    """
    _write(descriptor, layout.line(), 0)
    images = layout.shapes[0][0]
    done = 0
    for batch in batches:
        for value, dtype, shape, offset in zip(
            batch, layout.dtypes, layout.shapes, layout.offsets(), strict=False
        ):
            if value.dtype != dtype or value.shape[1:] != shape[1:]:
                raise ValueError(f"a batch of {value.dtype} {value.shape[1:]} among other values")
            data = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
            _write(descriptor, data, offset + done * math.prod(shape[1:]) * dtype.itemsize)
        done += len(batch[0])
        if done > images:
            break
    if done != images:
        raise ValueError(f"{done} images were computed, but there are {images}")


def mapped(descriptor: int, layout: EntryLayout) -> tuple[Tensor, ...]:
    """Return an entry's tensors, mapped, not copied; they outlive the file's name.

    What is written to them stays in this process.
    """
    pages = mmap.mmap(
        descriptor,
        layout.size,
        flags=mmap.MAP_PRIVATE | _UNRESERVED,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,  # torch wants memory that it may write to
    )
    return tuple(
        torch.frombuffer(pages, dtype=dtype, count=math.prod(shape), offset=offset).view(shape)
        if math.prod(shape)
        else torch.empty(shape, dtype=dtype)
        for dtype, shape, offset in zip(
            layout.dtypes, layout.shapes, layout.offsets(), strict=False
        )
    )


def open_entry(path: Path, address: str) -> tuple[Tensor, ...] | None:
    """Return a finished entry's tensors and mark it as used; None where there is none.

    Raises:
        DamagedEntryError: The file is cut short, or not the entry of that address.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        layout = EntryLayout.read(file.readline(_LINE))
        if layout.address != address or os.fstat(file.fileno()).st_size != layout.size:
            raise DamagedEntryError("it is not as long as it says, or another's")
        use(file.fileno())
        return mapped(file.fileno(), layout)


class Mapped:
    """The entries that a process has mapped, each once, for as long as somebody holds it."""

    def __init__(self) -> None:
        self._tensors: dict[str, tuple[weakref.ref[Tensor], ...]] = {}

    def find(self, address: str) -> tuple[Tensor, ...] | None:
        """Return an entry's tensors; None where nobody holds all of them any more."""
        if address not in self._tensors:
            return None
        found = [tensor for held in self._tensors[address] if (tensor := held()) is not None]
        return tuple(found) if len(found) == len(self._tensors[address]) else None

    def keep(self, address: str, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return an entry's tensors, and have others find them."""
        alive = {name: held for name, held in self._tensors.items() if self.find(name) is not None}
        self._tensors = {**alive, address: tuple(weakref.ref(tensor) for tensor in tensors)}
        return tensors


def use(file: int | Path) -> None:
    """Mark a file as used now; by our own clock, for the system gives many files one time."""
    now = time.time_ns()
    os.utime(file, ns=(now, now))


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNED) * _ALIGNED


def _write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
