"""What a worker does with memory that is freed: it keeps it while it is at a job.

By itself glibc's ``malloc`` gives large blocks back to the system as soon as they are freed.  The
next step of a training wants them again, and the system has to clear every page of them anew.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Mapping, MutableMapping

#: The variable that tells glibc's ``malloc`` how to go about memory, before a process starts.
_TUNABLES = "GLIBC_TUNABLES"
#: Bytes by which the heap grows at least, and which stay when the rest is given back.
_PAD = 64 << 20
#: Nothing is given back unasked, blocks of any size come from the heap, and the heap is of huge
#: pages where the system has them for those who ask.
_WORDS = (
    f"glibc.malloc.trim_threshold={1 << 62}:glibc.malloc.mmap_max=0"
    f":glibc.malloc.top_pad={_PAD}:glibc.malloc.hugetlb=1"
)


def keeping_freed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a process, and what it forks, keeps freed memory.

    It is as it was where it tells ``malloc`` already how to go about that (mallopt(3)).  Other C
    libraries than glibc take no notice of it.
    """
    said = environment.get(_TUNABLES, "")
    old = any(name.startswith("MALLOC_") and name.endswith("_") for name in environment)
    if old or "glibc.malloc." in said:
        return dict(environment)
    return {**environment, _TUNABLES: f"{said}:{_WORDS}" if said else _WORDS}


def leave_to_others(environment: MutableMapping[str, str]) -> None:
    """Take out of an environment what `keeping_freed` put in, for programs started from there."""
    said = environment.get(_TUNABLES, "")
    if said == _WORDS:
        del environment[_TUNABLES]
    elif said.endswith(f":{_WORDS}"):
        environment[_TUNABLES] = said.removesuffix(f":{_WORDS}")


def give_back() -> None:
    """Give the system back what is free: the next job's peak of memory is then its own."""
    trim = _trim()
    if trim is not None:
        trim(_PAD)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``; None where the C library is another."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
