"""The installed command on a folder of tiny images, and one whole run that many tests read."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_images import COUNTS, SHORT, paint

import evoft
from evoft.errors import PopulationFileError

EVOFT = str(Path(sys.executable).with_name("evoft"))
#: How many threads linear algebra has: what the tests have is not what a user's command has.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: Tells at the command's end which of the heavy modules it has imported.
TELL = """
import atexit, os, sys

@atexit.register
def tell():
    path = os.environ.get("TELL_MODULES")
    if path and sys.argv[0].endswith("evoft"):
        with open(path, "w") as file:
            file.write(" ".join(n for n in ("torch", "timm", "torchvision") if n in sys.modules))
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str
    #: Heavy modules that it had imported at its end.
    modules: str

    def refused(self, code: int, *words: str) -> str:
        """Check that one sentence on stderr says it, without a traceback; return it."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("evoft: ")
        for word in words:
            assert word in lines[0], lines[0]
        return lines[0]


class Installed:
    """Starts the installed command in a folder."""

    def __init__(self, folder: Path) -> None:
        self._tell = folder / "modules.txt"
        #: Where temporary files go.
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        (folder / "sitecustomize.py").write_text(TELL)
        # What is tested is the evoft that was imported here, wherever that is.
        path = os.pathsep.join([str(folder), str(Path(evoft.__file__).parents[1])])
        outside = {name: value for name, value in os.environ.items() if name not in THREADS}
        self.environment = {
            **outside, "PYTHONPATH": path, "TELL_MODULES": str(self._tell),
            "TMPDIR": str(self.temporary), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"),
            "PYTHONWARNINGS": "default",
        }  # fmt: skip

    def start(self, *arguments: Any, cwd: Path) -> subprocess.Popen[str]:
        """Start a command as a terminal does, in a process group of its own."""
        self._tell.unlink(missing_ok=True)
        return subprocess.Popen(
            [EVOFT, *map(str, arguments)], cwd=cwd, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
        )  # fmt: skip

    def end(self, process: subprocess.Popen[str]) -> Done:
        """Wait for a command that was started."""
        out, err = process.communicate(timeout=200)
        modules = self._tell.read_text() if self._tell.exists() else "untold"
        return Done(process.returncode, out, err, modules)

    def __call__(self, *arguments: Any, cwd: Path) -> Done:
        """Run a command to its end."""
        return self.end(self.start(*arguments, cwd=cwd))


class Started:
    """A command that was forked from a process with its imports made: as much of a ``Popen``."""

    def __init__(self, pid: int, control: socket.socket, out: int, err: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr = os.fdopen(out), os.fdopen(err)
        self._control = control

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None and select.select([self._control], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        if self.returncode is None:
            self.returncode = answer(self._control)["code"]
        return self.returncode

    def kill(self) -> None:
        """End it as nothing else can."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        """Wait for its end and return what it wrote."""
        try:
            with ThreadPoolExecutor(2) as threads, self.stdout, self.stderr:
                out, err = threads.map(lambda file: file.read(), (self.stdout, self.stderr))
        except BaseException:  # a test's time is over
            os.killpg(self.pid, signal.SIGKILL)
            raise
        self.wait()
        return out, err


def answer(control: socket.socket) -> dict[str, int]:
    """Return the next line that ``warm.py`` answers, and take no byte behind it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        got = control.recv(1)
        assert got, "warm.py has ended"
        line += got
    return json.loads(line)


class Warm:
    """Runs commands that are forked from a process with their imports made (``warm.py``)."""

    def __init__(self, installed: Installed) -> None:
        self._tell = installed._tell
        self._environment = installed.environment
        #: Where temporary files go.
        self.temporary = installed.temporary
        self._control, theirs = socket.socketpair()
        self._last: Started | None = None
        command = [sys.executable, str(Path(__file__).with_name("warm.py")), str(theirs.fileno())]
        with theirs:
            subprocess.run(
                command, check=True, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                env={**self._environment, **dict.fromkeys(THREADS, "1")},
            )  # fmt: skip

    def start(self, *arguments: Any, cwd: Path) -> Started:
        """Start a command in a process group of its own; the one before must have ended."""
        assert self._last is None or self._last.wait() is not None
        self._tell.unlink(missing_ok=True)
        request = {
            "arguments": [EVOFT, *map(str, arguments)], "cwd": str(cwd),
            "environment": self._environment,
        }  # fmt: skip
        (out, out_of_it), (err, err_of_it) = os.pipe(), os.pipe()
        socket.send_fds(self._control, [json.dumps(request).encode()], [out_of_it, err_of_it])
        os.close(out_of_it)
        os.close(err_of_it)
        self._last = Started(answer(self._control)["pid"], self._control, out, err)
        return self._last

    def end(self, process: Started) -> Done:
        """Wait for a command that was started."""
        out, err = process.communicate()
        modules = self._tell.read_text() if self._tell.exists() else "untold"
        return Done(process.wait(), out, err, modules)

    def __call__(self, *arguments: Any, cwd: Path) -> Done:
        """Run a command to its end."""
        return self.end(self.start(*arguments, cwd=cwd))

    def close(self) -> None:
        self._control.close()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """``installed("show", file, cwd=folder)`` runs the installed command in a new interpreter."""
    return Installed(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def cli(installed: Installed) -> Iterator[Warm]:
    """``cli("show", file, cwd=folder)`` runs a command as ``installed`` does, but sooner."""
    warm = Warm(installed)
    yield warm
    warm.close()


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with splits."""
    return paint(tmp_path_factory.mktemp("data") / "pets", COUNTS)


@dataclass(frozen=True)
class Run:
    """A run that went to its end."""

    folder: Path
    file: Path
    done: Done


@pytest.fixture(scope="session")
def finished(installed: Installed, pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One whole run with one worker; only read it."""
    folder = tmp_path_factory.mktemp("finished")
    done = installed("evolve", pets, *SHORT, "--workers", 1, cwd=folder)
    assert done.code == 0, done.err
    return Run(folder, folder / "populations" / "pets.h5", done)


def lineage(file: Path) -> dict[str, Any]:
    """Return all of a population that a seed settles."""
    population = evoft.Population.open(file)
    return {
        "individuals": [
            (i.id, i.generation, i.parents, i.operator, i.genome.to_json(), i.seed, i.status,
             i.fitness.hex(), [(p.epoch, dict(p.metrics)) for p in i.outcome.curve])
            for i in population
        ],
        "finals": {
            (i.id, r.trial.repeat): (r.trial.seed, r.outcome.fitness.hex())
            for i in population
            for r in population.finals(i.id)
        },
        "verdicts": population.verdicts,
        "recipes": [dict(population.recipe(i.id) or {}) for i in population],
    }  # fmt: skip


@pytest.fixture(scope="session")
def lineage_of() -> Callable[[Path], dict[str, Any]]:
    """``lineage_of(file)``: what must not depend on workers, kills and resumes."""
    return lineage


def records_in(file: Path) -> int:
    """Return how many individuals are recorded by now."""
    try:
        return len(evoft.Population.open(file))
    except PopulationFileError:
        return 0


@pytest.fixture(scope="session")
def recorded() -> Callable[[Path], int]:
    """``recorded(file)``: how many individuals are recorded by now."""
    return records_in


Stop = Callable[..., tuple[Done, list[psutil.Process]]]


@pytest.fixture
def stop(cli: Warm) -> Stop:
    """``stop(signal, arguments, file, cwd, after)`` ends a run after so many records."""

    def stopped(
        number: signal.Signals, arguments: tuple[Any, ...], file: Path, cwd: Path, after: int
    ) -> tuple[Done, list[psutil.Process]]:
        process = cli.start(*arguments, cwd=cwd)
        while records_in(file) < after and process.poll() is None:
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        return cli.end(process), children

    return stopped
