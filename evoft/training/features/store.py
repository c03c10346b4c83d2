"""The store of features: computed once, by whichever worker needs them first, mapped by all.

Entries are files in a folder of the run, so that the system's page cache is the memory that workers
share and the disk takes what does not fit.  An entry's name is the digest of all that its values
follow from: another image, weight, size or precision is another entry.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evoft.quantities import size_text
from evoft.training.features.claims import Claim, claimed
from evoft.training.features.entries import (
    DamagedEntryError,
    EntryLayout,
    Mapped,
    mapped,
    open_entry,
    use,
    write,
)
from evoft.training.features.locks import held

_logger = logging.getLogger(__name__)

#: Yields the values of all images in their order, batch after batch: ``(batch, ...)`` each.
Compute = Callable[[], Iterator[tuple[Tensor, ...]]]

#: Suffixes of finished entries, of those that a process is writing or died writing, and of what
#: tells how much a process keeps in its own memory.
_DONE, _PART, _OWN = ".features", ".part", ".own"
#: Where the file system cannot reserve room.
_CANNOT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def address(facts: Mapping[str, Any]) -> str:
    """Return the name of an entry: the SHA-256 of plain JSON data that its values follow from."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class FeatureStore:
    """Values by their address, as one worker finds them.

    Args:
        folder: Where the run's entries are; None: each process keeps its own in memory.
        limit: Most bytes of all entries of the run, those in its workers' memories included; the
            least recently used go first.  0 keeps nothing.
        workers: How many processes the limit is for.  Each has an equal part of it where they
            cannot tell one another what they keep.
    """

    def __init__(self, folder: Path | None, limit: int, workers: int = 1) -> None:
        self.limit = limit
        self.folder = folder
        self._workers = workers
        #: What could not be shared, and what tells the others how much that is.
        self._own: OrderedDict[str, tuple[Tensor, ...]] = OrderedDict()
        self._claim: Claim | None = None
        self._mapped = Mapped()
        self._said: set[str] = set()

    def fits(self, needed: int, what: str = "an entry") -> bool:
        """Tell whether so many bytes may be kept at all; says so, once, where they may not."""
        if needed > self.limit > 0:
            self.say(
                "limit",
                f"the cache of {size_text(self.limit)} is too small for {what} "
                f"({size_text(needed)}), which is computed whenever it is needed, as is all that "
                "does not fit: a larger --cache-size would keep it",
            )
        return needed <= self.limit

    def find(self, name: str) -> tuple[Tensor, ...] | None:
        """Return the values of an entry that is there already; None where it is not, or damaged.

        They are the same tensors for all who hold them at a time, and not to be changed.
        """
        if name in self._own:
            self._own.move_to_end(name)
            return self._own[name]
        if self.folder is None:
            return None
        path = self.folder / f"{name}{_DONE}"
        if (values := self._mapped.find(name)) is not None:
            with contextlib.suppress(OSError):  # it may be evicted by now
                use(path)
            return values
        try:
            found = open_entry(path, name)
        except (DamagedEntryError, OSError):  # whoever computes it deals with that
            return None
        return None if found is None else self._mapped.keep(name, found)

    def get(
        self, name: str, images: int, compute: Compute, alive: Callable[[], None] = lambda: None
    ) -> tuple[Tensor, ...]:
        """Return the values of all images, ``(images, ...)`` each, computing them if need be.

        What cannot be shared (the disk is full, or the limit too small) is kept in this process's
        memory, if all that the run keeps is still under the limit, and said once.

        Args:
            name: The entry's `address`.
            images: How many there are.
            compute: Makes the values; called again if sharing them fails half-way.
            alive: Called as a sign of life between batches and while another worker computes.
        """
        if (values := self.find(name)) is not None:
            return values
        if self.folder is not None and self.limit and images:
            try:
                values = self._shared(self.folder / name, images, compute, alive)
            except ConnectionError:  # nobody is there to hear that we live
                raise
            except OSError as error:
                values = None
                self.say(
                    "disk",
                    f"features cannot be shared in {self.folder} ({error.strerror or error}); "
                    "each worker keeps its own in memory, as far as --cache-size allows for all: "
                    "make room there, or name another folder by TMPDIR",
                )
            if values is not None:
                return self._mapped.keep(name, values)
        batches = ([value.cpu() for value in batch] for batch in _living(compute(), alive))
        values = tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
        self._keep(name, values, alive)
        return values

    def _shared(
        self, path: Path, images: int, compute: Compute, alive: Callable[[], None]
    ) -> tuple[Tensor, ...] | None:
        """Return an entry, made here or by another worker; None where it has no room."""
        done, part = path.with_name(path.name + _DONE), path.with_name(path.name + _PART)
        while True:
            try:
                values = open_entry(done, path.name)
            except DamagedEntryError as damage:
                _logger.warning("an entry of the feature cache is computed again: %s", damage)
                done.unlink(missing_ok=True)
                continue
            if values is not None:
                return values
            with held(part, alive) as descriptor:
                finished = False
                try:
                    if done.exists():  # another worker was at it, and we waited
                        continue
                    os.truncate(descriptor, 0)  # what a killed worker left
                    layout = self._fill(descriptor, part, images, _living(compute(), alive), alive)
                    if layout is None:
                        return None
                    use(descriptor)
                    part.rename(done)
                    finished = True  # the name may be another worker's from here on
                    return mapped(descriptor, layout)
                finally:
                    if not finished:
                        part.unlink(missing_ok=True)

    def _fill(
        self,
        descriptor: int,
        part: Path,
        images: int,
        batches: Iterator[tuple[Tensor, ...]],
        alive: Callable[[], None],
    ) -> EntryLayout | None:
        first = next(batches)
        layout = EntryLayout.of(part.stem, first, images)
        if not self.fits(layout.size):
            return None
        with held(part.with_name("lock"), alive):
            room = self._make_room(layout.size, part)
            if room < 0:
                return None
            os.truncate(descriptor, layout.size)  # so that others count it
            _reserve(descriptor, layout.size)
            self._shrink(room)  # what is shared serves all
        write(descriptor, layout, chain([first], batches))
        return layout

    def _make_room(self, needed: int, part: Path) -> int:
        """Evict what was not used for longest.

        Returns:
            How much of its own this process may still keep; below 0 where others take too much.
        """
        entries, others = self._kept(part.parent, part)
        room = self.limit - needed - others
        taken = sum(size for *_, size in entries)
        for _, path, size in sorted(entries):
            if taken <= room:
                break
            path.unlink(missing_ok=True)
            taken -= size
        return room - taken

    def _kept(self, folder: Path, part: Path | None) -> tuple[list[tuple[int, Path, int]], int]:
        """Return the entries with their times and sizes; and the bytes that others keep or write.

        Args:
            folder: Where they are.
            part: What this process is writing.
        """
        ours = (part, self._claim and self._claim.path)
        entries, others = [], 0
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.suffix == _DONE:
                    stat = path.stat()
                    entries.append((stat.st_mtime_ns, path, stat.st_size))
                elif path.suffix in (_PART, _OWN) and path not in ours:
                    others += claimed(path)
        return entries, others

    def _keep(self, name: str, values: tuple[Tensor, ...], alive: Callable[[], None]) -> None:
        """Keep values in this process's memory, if there is room for them."""
        size, taken = _bytes_of(values), 0
        try:
            if self.folder is None:
                raise FileNotFoundError
            with held(self.folder / "lock", alive):
                entries, others = self._kept(self.folder, None)
                taken = sum(size for *_, size in entries)
                room = self.limit - taken - others
                if size > room:
                    return
                self._claim = self._claim or Claim(self.folder, _OWN)
                self._claim.set(min(room, size + sum(map(_bytes_of, self._own.values()))))
                self._own[name] = values
                self._shrink(room)
        except ConnectionError:  # nobody is there to hear that we live
            raise
        except OSError:  # no other process can be told, nor share any more
            if size <= (room := (self.limit - taken) // self._workers):
                self._own[name] = values
                self._shrink(room)

    def _shrink(self, room: int) -> None:
        """Drop what this process has not used for longest until its own fits."""
        while (size := sum(map(_bytes_of, self._own.values()))) > max(0, room):
            self._own.popitem(last=False)
        if self._claim is not None:
            with contextlib.suppress(OSError):  # then it is what it was, which is more
                self._claim.set(size)

    def say(self, kind: str, text: str) -> None:
        """Warn of a kind of thing, unless this worker or another of the run has."""
        if kind in self._said:
            return
        self._said.add(kind)
        if self.folder is not None:
            try:
                (self.folder / f"said-{kind}").touch(exist_ok=False)
            except FileExistsError:
                return
            except OSError:  # then each worker says it
                pass
        _logger.warning("%s", text)


def _living(
    batches: Iterator[tuple[Tensor, ...]], alive: Callable[[], None]
) -> Iterator[tuple[Tensor, ...]]:
    for batch in batches:
        alive()
        yield batch


def _bytes_of(values: tuple[Tensor, ...]) -> int:
    return sum(value.nbytes for value in values)


def _reserve(descriptor: int, size: int) -> None:
    """Take room on the disk at once.

    Raises:
        OSError: There is not that much.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
