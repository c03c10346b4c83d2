"""Images that are too many for the memory: workers read them from disk, and nothing is left."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from evoft.errors import StorageError
from evoft.workers import room

MIB = 2**20


@pytest.fixture
def scarce(monkeypatch: Any, tmp_path: Path) -> Path:
    """A machine with 10 MiB left; return its temporary folder."""
    monkeypatch.setattr(room, "available_memory", lambda: 10 * MIB)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


class Reader:
    """Returns the sum of its images, and where they are."""

    images: Any = None

    def evaluate(self, trial: Any) -> float:
        array = self.images.open()
        array[0, 0] = 0  # a copy of our own
        trial.report(0, **{os.readlink(f"/proc/self/fd/{self.images.fd}"): 0})
        return float(array.sum(dtype=np.int64))


def test_what_fits_the_memory_stays_there(scarce: Path, pool: Any, trial: Any, caplog: Any) -> None:
    reader = Reader()
    with pool(reader) as workers:
        reader.images, here = workers.share((7, MIB), "uint8")
        del here
        workers.retarget(reader)
        workers.submit(trial(0))
        ((_, outcome),) = workers.collect()
    assert [*outcome.curve[0].metrics] == ["/memfd:evoft (deleted)"]
    assert caplog.messages == []


def test_what_would_take_most_of_it_is_read_from_disk(
    scarce: Path, pool: Any, trial: Any, outcomes: Any, caplog: Any
) -> None:
    reader = Reader()
    with caplog.at_level(logging.WARNING), pool(reader, 2) as workers:
        reader.images, here = workers.share((9, MIB), "uint8")
        _, other = workers.share((9, MIB), "uint8")
        assert not here.any()
        here[:] = np.arange(1, 10)[:, None]
        workers.retarget(reader)
        found = outcomes(workers, [trial(n) for n in range(4)])
        assert {o.fitness for o in found.values()} == {45.0 * MIB - 1}
        assert here.sum(dtype=np.int64) == 45 * MIB
        (place,) = {name for o in found.values() for name in o.curve[0].metrics}
        assert place.startswith(str(scarce))
        assert place.endswith("(deleted)")
        assert list(scarce.iterdir()) == []
        del here, other
    assert caplog.messages == [
        f"the 9 MiB of images are read from disk, in {scarce}, as they would take most of the 10 "
        "MiB of memory that are free: fewer images (--max-train-images) or a smaller --img-size "
        "would be faster"
    ]


def test_its_room_is_set_aside_before_it_is_written(scarce: Path) -> None:
    file, _ = room.make_room(9 * MIB)
    with file:
        status = os.fstat(file.fileno())
        assert status.st_size == 9 * MIB
        assert status.st_blocks * 512 >= 9 * MIB


def test_no_room_on_disk_either_is_told_with_the_way_out(scarce: Path, monkeypatch: Any) -> None:
    def refused(why: str) -> None:
        words = (
            f"there is no room for 9 MiB of images (10 MiB of memory are free, and {why}): use "
            "fewer images (--max-train-images) or a smaller --img-size, or name a folder on a disk "
            "with more room by TMPDIR"
        )
        with pytest.raises(StorageError, match=f"^{re.escape(words)}$"):
            room.make_room(9 * MIB)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    refused("the temporary folder fails: No space left on device")
    usage = shutil.disk_usage(scarce)._replace(free=8 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    refused(f"8 MiB in {scarce}")
    monkeypatch.setattr(tempfile, "tempdir", str(scarce / "nowhere"))
    refused("the temporary folder fails: No such file or directory")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no file system in memory")
def test_a_temporary_folder_in_memory_is_no_way_out(scarce: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")
    with pytest.raises(StorageError, match=r"memory are free, and /dev/shm is in memory, too\)"):
        room.make_room(9 * MIB)


PARENT = """
import sys, time
from evoft.workers import room
from evoft.workers.local import LocalWorkers
from evoft.genome import Genome
from evoft.trial import Trial

class Reader:
    def evaluate(self, trial):
        assert self.images.open().sum() == 9 * 2**20
        trial.report(0, seen=1)
        time.sleep(1000)

room.available_memory = lambda: 10 * 2**20
reader = Reader()
workers = LocalWorkers(reader, devices=["any"] * 2)
reader.images, here = workers.share((9, 2**20), "uint8")
here[:] = 1
workers.retarget(reader)
for number in range(2):
    workers.submit(Trial(number, Genome(x=1.0), 0))
while not all(worker.curve for worker in workers._slots.workers):
    workers.collect(0.05)
print("seen", flush=True)
time.sleep(1000)
"""


def test_nothing_is_left_where_all_are_killed(tmp_path: Path, until: Any) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        assert parent.stdout.readline() == "seen\n"
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) == 3
        for process in (psutil.Process(parent.pid), *family):
            process.kill()
        parent.wait()
        assert until(lambda: not any(psutil.pid_exists(p.pid) for p in family))
    assert list(tmp_path.iterdir()) == []
