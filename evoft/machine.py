"""What of this machine a process may use: cores and memory, which a container's are fewer of.

Affinity and ``/proc/meminfo`` tell of the machine; what ``docker --cpus=2 --memory=8g`` leaves of
it is told by the control groups alone, in the files of version 2 (``cpu.max``, ``memory.max``) or
1.  A process is bound by its own group and by each that this one is in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

#: Where control groups are found, and where it is told which are ours.
GROUPS = Path("/sys/fs/cgroup")
OURS = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")


def usable_cores() -> int:
    """Return how many threads can run at once, at least 1; a part of a core is none."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = (_quota(folder) for folder in _folders("cpu"))
    return max(1, min([cores, *(int(quota) for quota in quotas if quota is not None)]))


def available_memory() -> int:
    """Return the bytes that new processes of this machine may take; 0 where it does not tell."""
    rooms = [_room(folder) for folder in _folders("memory")]
    if found := re.search(r"MemAvailable:\s+(\d+) kB", _read(MEMINFO)):
        rooms.append(int(found[1]) * 1024)
    return max(0, min((room for room in rooms if room is not None), default=0))


def _quota(folder: Path) -> float | None:
    """Return the cores' worth of time that a group has; None: as much as there is."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        numbers = [number for name in names for number in _numbers(folder, name)]
        if len(numbers) == 2 and min(numbers) > 0:
            return numbers[0] / numbers[1]
    return None


def _room(folder: Path) -> int | None:
    """Return the bytes that a group has left; None: as many as there are."""
    for most, current, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = _numbers(folder, most), _numbers(folder, current)
        if limit and used:
            # Pages of files that nobody used of late are given back when memory is wanted.
            found = re.search(rf"^{cached} (\d+)", _read(folder / "memory.stat"), re.MULTILINE)
            return limit[0] - used[0] + (int(found[1]) if found else 0)
    return None


def _folders(controller: str) -> Iterator[Path]:
    """Yield our group of a controller and those that it is in, as far as they can be seen."""
    yield GROUPS
    yield GROUPS / controller
    for line in _read(OURS).splitlines():
        _, names, path = line.split(":", 2)
        if not names or controller in names.split(","):
            group = GROUPS / (controller if names else "") / path.lstrip("/")
            while group != GROUPS and group.name not in ("", ".."):
                yield group
                group = group.parent


def _numbers(folder: Path, name: str) -> tuple[int, ...]:
    """Return the numbers in a group's file; none where it has no limit, or is not there."""
    words = _read(folder / name).split()
    return tuple(map(int, words)) if all(map(_is_whole, words)) else ()


def _is_whole(word: str) -> bool:
    return re.fullmatch(r"-?\d+", word) is not None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
