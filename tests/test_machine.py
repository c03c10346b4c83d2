"""Cores and memory that a process may use, from control groups as containers have them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evoft import machine

GIB = 2**30
#: What no limit is in version 1.
ENDLESS = 9223372036854771712

Tell = Callable[..., None]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tell:
    """``tell(groups, cores, free, **files)``: a machine of so many cores whose groups say that."""

    def make(ours: str, files: dict[str, str], cores: int = 8, free: int = 16 * GIB) -> None:
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        (tmp_path / "ours").write_text(ours)
        (tmp_path / "meminfo").write_text(f"MemFree: 1 kB\nMemAvailable: {free // 1024} kB\n")
        monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")
        monkeypatch.setattr(machine, "OURS", tmp_path / "ours")
        monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
        if hasattr(os, "sched_getaffinity"):
            monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
        else:
            monkeypatch.setattr(os, "cpu_count", lambda: cores)

    return make


@pytest.mark.parametrize(
    ("ours", "files", "cores"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/\n", {"cpu.max": "350000 100000"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000"}, 8),
        # Not in a namespace of its own: the limit is a group further up.
        ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, 4),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "300000 100000"}, 3),
        ("0::/../other\n", {"cpu.max": "200000 100000"}, 2),
        # Version 1, as a container sees it and as the machine does.
        ("4:cpu,cpuacct:/docker/1\n", {"cpu/cpu.cfs_quota_us": "-1"}, 8),
        (
            "4:cpu,cpuacct:/docker/1\n",
            {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
            2,
        ),
        (
            "4:cpu,cpuacct:/docker/1\n0::/\n",
            {"cpu/docker/1/cpu.cfs_quota_us": "50000", "cpu/docker/1/cpu.cfs_period_us": "10000"},
            5,
        ),
        ("", {"cpu.max": "nonsense"}, 8),
    ],
)
def test_cores_are_the_fewer_of_affinity_and_quota(
    ours: str, files: dict[str, str], cores: int, tell: Tell
) -> None:
    tell(ours, files)
    assert machine.usable_cores() == cores


def test_affinity_may_be_what_binds(tell: Tell) -> None:
    tell("0::/\n", {"cpu.max": "400000 100000"}, cores=2)
    assert machine.usable_cores() == 2


@pytest.mark.parametrize(
    ("ours", "files", "room"),
    [
        ("0::/\n", {}, 16 * GIB),
        ("0::/\n", {"memory.max": "max", "memory.current": str(GIB)}, 16 * GIB),
        ("0::/\n", {"memory.max": str(8 * GIB), "memory.current": str(3 * GIB)}, 5 * GIB),
        (
            "0::/a/b\n",
            {
                "a/memory.max": str(8 * GIB),
                "a/memory.current": str(3 * GIB),
                "a/memory.stat": f"anon 5\ninactive_file {GIB}\nactive_file 7",
            },
            6 * GIB,
        ),
        ("0::/\n", {"memory.max": str(2 * GIB), "memory.current": str(3 * GIB)}, 0),
        (
            "5:memory:/docker/1\n",
            {
                "memory/memory.limit_in_bytes": str(4 * GIB),
                "memory/memory.usage_in_bytes": str(3 * GIB),
                "memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}",
            },
            2 * GIB,
        ),
        (
            "5:memory:/\n",
            {
                "memory/memory.limit_in_bytes": str(ENDLESS),
                "memory/memory.usage_in_bytes": str(3 * GIB),
            },
            16 * GIB,
        ),
    ],
)
def test_memory_is_the_less_of_the_machines_and_the_groups(
    ours: str, files: dict[str, str], room: int, tell: Tell
) -> None:
    tell(ours, files)
    assert machine.available_memory() == room


def test_a_machine_that_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GROUPS", "OURS", "MEMINFO"):
        monkeypatch.setattr(machine, name, tmp_path / "nothing")
    assert machine.available_memory() == 0
    assert machine.usable_cores() >= 1


def test_cores_are_counted_nowhere_else() -> None:
    package = Path(machine.__file__).parent
    counting = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"\b(cpu_count|sched_getaffinity)\(", path.read_text())
    }
    assert counting == {"machine.py"}
