"""The installed command on a folder of tiny images, and one whole run that many tests read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_images import COUNTS, SHORT, paint

import evoft
from evoft.errors import PopulationFileError

EVOFT = str(Path(sys.executable).with_name("evoft"))
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


class Commands:
    """Starts the installed command in a folder."""

    def __init__(self, folder: Path) -> None:
        self._tell = folder / "modules.txt"
        #: Where temporary files go.
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        (folder / "sitecustomize.py").write_text(TELL)
        # What is tested is the evoft that was imported here, wherever that is.
        path = os.pathsep.join([str(folder), str(Path(evoft.__file__).parents[1])])
        self.environment = {
            **os.environ, "PYTHONPATH": path, "TELL_MODULES": str(self._tell),
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


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """``cli("show", file, cwd=folder)`` runs the installed command."""
    return Commands(tmp_path_factory.mktemp("site"))


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
def finished(cli: Commands, pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One whole run with one worker; only read it."""
    folder = tmp_path_factory.mktemp("finished")
    done = cli("evolve", pets, *SHORT, "--workers", 1, cwd=folder)
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
def stop(cli: Commands) -> Stop:
    """``stop(signal, arguments, file, cwd, after)`` ends a run after so many records."""

    def stopped(
        number: signal.Signals, arguments: tuple[Any, ...], file: Path, cwd: Path, after: int
    ) -> tuple[Done, list[psutil.Process]]:
        process = cli.start(*arguments, cwd=cwd)
        while records_in(file) < after and process.poll() is None:
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        return cli.end(process), children

    return stopped
