"""Freed memory stays with a worker that is at a job, and goes back afterwards."""

from __future__ import annotations

import os
import platform
import resource
from typing import Any

import pytest

from evoft.workers.heap import keeping_freed

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)

#: Bytes of a block, and the pages that it takes.
_BLOCK = 48 << 20
_PAGES = _BLOCK // os.sysconf("SC_PAGE_SIZE")


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _steps(genome: Any, trial: Any) -> float:
    """Return how many pages the system cleared for ten steps that each want the same blocks."""
    blocks = [bytearray(_BLOCK) for _ in range(4)]
    del blocks
    before = _faults()
    for _ in range(10):
        blocks = [bytearray(_BLOCK) for _ in range(4)]
        del blocks
    return float(_faults() - before)


def _resident(genome: Any, trial: Any) -> float:
    """Return the pages that a worker holds when a job begins; then it wants more, and frees it."""
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[1])
    del [bytearray(_BLOCK) for _ in range(8)][:]
    return float(held)


def test_a_step_finds_what_the_last_one_freed(pool: Any, trial: Any, outcomes: Any) -> None:
    with pool(_steps) as workers:
        (outcome,) = outcomes(workers, [trial(0)]).values()
    assert outcome.fitness < _PAGES  # of forty blocks


def test_the_user_may_say_how_malloc_goes_about_it(
    pool: Any, trial: Any, outcomes: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    with pool(_steps) as workers:
        (outcome,) = outcomes(workers, [trial(0)]).values()
    assert outcome.fitness > 20 * _PAGES


def test_a_job_leaves_nothing_to_the_next(pool: Any, trial: Any, outcomes: Any) -> None:
    with pool(_resident) as workers:
        found = outcomes(workers, [trial(n) for n in range(3)])
        assert len(workers.pids) == 1
    first, *later = (found[n].fitness for n in range(3))
    assert max(later) < first + 3 * _PAGES  # of eight blocks; a pad of 64 MiB stays


def test_what_a_worker_starts_goes_about_memory_as_the_user_says(
    pool: Any, trial: Any, outcomes: Any, monkeypatch: Any
) -> None:
    def counted(genome: Any, trial: Any) -> float:
        return float(len(os.environ.get("GLIBC_TUNABLES", "").split("=")))

    for said in ("", "glibc.rtld.nns=4"):
        monkeypatch.setenv("GLIBC_TUNABLES", said)
        with pool(counted) as workers:
            (outcome,) = outcomes(workers, [trial(0)]).values()
        assert outcome.fitness == len(said.split("="))


def test_what_else_the_user_says_of_glibc_stays() -> None:
    assert keeping_freed({"GLIBC_TUNABLES": "glibc.rtld.nns=4"})["GLIBC_TUNABLES"].startswith(
        "glibc.rtld.nns=4:glibc.malloc."
    )
    for own in ({"GLIBC_TUNABLES": "glibc.malloc.top_pad=1"}, {"MALLOC_TOP_PAD_": "1"}):
        assert keeping_freed(own) == own
