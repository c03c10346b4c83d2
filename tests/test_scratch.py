"""A run's temporary folder: gone at the end, however the end comes, and nobody else's ever."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from running import wait_until

from evoft.scratch import Scratch, remove

#: Makes the folder, with a worker at work in it, and waits; the worker keeps on writing.
RUN = """
import sys, time
from pathlib import Path
from evoft.genome import Genome
from evoft.scratch import Scratch
from evoft.trial import Trial
from evoft.workers.evaluation import FitnessTarget
from evoft.workers.local import LocalWorkers

def fitness(genome, trial):
    for number in range(10**9):
        (Path(genome["folder"]) / f"{number % 50}.features").write_bytes(bytes(10000))

workers = LocalWorkers(FitnessTarget(fitness))
scratch = Scratch()
workers.bequeath(scratch.path)
workers.submit(Trial(0, Genome({"folder": str(scratch.path)}), 1))
while not (scratch.path / "49.features").exists():
    time.sleep(0.01)
nursery = workers._slots._nursery._process.pid
print(scratch.path, nursery, workers.pids[0], flush=True)
time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    """Where temporary folders go; what is left in it is seen."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def run() -> Any:
    """``run()`` starts a run with a folder: the process, the folder, nursery's and worker's ids."""
    started = []

    def start() -> tuple[subprocess.Popen[str], Path, int, int]:
        process = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        path, nursery, worker = process.stdout.readline().split()
        return process, Path(path), int(nursery), int(worker)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_there_until_it_is_closed(folder: Path) -> None:
    scratch = Scratch()
    assert scratch.path.parent == folder
    assert scratch.path.stat().st_mode & 0o077 == 0
    (scratch.path / "a.features").write_text("a")
    other = Scratch()  # sees a living run's
    assert (scratch.path / "a.features").exists()
    scratch.close()
    scratch.close()
    assert list(folder.iterdir()) == [other.path]
    other.close()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("call", ["open", "flock"])
def test_what_cannot_be_locked_is_not_left_behind(
    folder: Path, monkeypatch: Any, call: str
) -> None:
    module = os if call == "open" else fcntl
    real = getattr(module, call)

    def refused(file: Any, flags: int, *more: Any, **named: Any) -> Any:
        if call == "flock" or str(file).endswith("run.lock"):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        return real(file, flags, *more, **named)

    monkeypatch.setattr(module, call, refused)
    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        Scratch()
    assert list(folder.iterdir()) == []


def test_removed_when_its_run_is_killed(run: Any, folder: Path) -> None:
    process, path, *_ = run()
    assert path.is_dir()
    end(process)
    assert wait_until(lambda: list(folder.iterdir()) == [])


def test_a_killed_worker_leaves_it_to_the_others(run: Any) -> None:
    _, path, _, worker = run()
    os.kill(worker, signal.SIGKILL)
    assert not wait_until(lambda: not path.exists(), 0.3)


def test_when_all_are_killed_at_once_the_next_run_removes_it(run: Any, folder: Path) -> None:
    process, path, nursery, _ = run()
    os.kill(nursery, signal.SIGSTOP)
    end(process)
    os.kill(nursery, signal.SIGKILL)
    assert path.is_dir()
    living = run()[1]
    scratch = Scratch()
    assert {*folder.iterdir()} == {living, scratch.path}
    scratch.close()


def test_only_what_we_made_is_removed(folder: Path, tmp_path: Path) -> None:
    (stranger := folder / "stranger").mkdir()
    (stranger / "run.lock").touch()
    (unlocked := folder / "evoft-1-mine").mkdir()
    (unlocked / "precious").touch()
    (link := folder / "evoft-2-link").symlink_to(stranger)
    (lock := folder / "evoft-3-lock").mkdir()
    (lock / "run.lock").symlink_to(stranger / "run.lock")
    for path in (stranger, unlocked, link, lock, folder / "evoft-none"):
        remove(path)
    Scratch().close()
    assert (stranger / "run.lock").exists()
    assert (unlocked / "precious").exists()
    assert link.is_symlink()
    assert (lock / "run.lock").is_symlink()


def test_a_removal_that_was_cut_short_is_ended_by_the_next_run(folder: Path) -> None:
    dead = Scratch()
    os.close(dead._lock)
    (dead.path / "a.features").write_text("a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            remove(dead.path)
    assert (dead.path / "run.lock").exists()
    Scratch().close()
    assert list(folder.iterdir()) == []


def test_no_place_for_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="nowhere"):
        Scratch()
