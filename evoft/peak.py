"""The most memory that this process had since an evaluation began."""

from __future__ import annotations

import contextlib
import re
import resource
import sys
from pathlib import Path


def forget_peak() -> None:
    """Let this process's peak begin anew; where that cannot be, it is that of a longer time."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Return the process's highest resident memory since `forget_peak`, in bytes."""
    if found := _status().get("VmHWM"):
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def own_peak() -> int:
    """Return the same less what the process shares with files; 0 where that is not told."""
    status = _status()
    return max(0, status.get("VmHWM", 0) - status.get("RssFile", 0) - status.get("RssShmem", 0))


def _status() -> dict[str, int]:
    """Return what the system tells of this process's memory, in bytes by name."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return {}
    return {k: int(v) * 1024 for k, v in re.findall(r"(\w+):\s+(\d+) kB", status)}
