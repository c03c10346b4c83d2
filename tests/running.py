"""Running scripts as users do, and comparing what population files hold."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import psutil

from evoft.lineage import Population, Store

#: What differs from run to run because it was measured, or names the run.
MEASURED = {"seconds", "peak_memory", "elapsed"}
NAMES = {"header/run", "header/environment"}


def run_script(text: str, folder: Path, *args: object) -> str:
    """Run a script from a file, as ``python script.py`` does; return what it printed."""
    script = folder / "script.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, str(script), *map(str, args)],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def content(path: Path) -> dict[str, str]:
    """Return all that a population file's HDF5 part holds, but for what was measured."""
    found: dict[str, str] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            if name not in NAMES and name.rsplit("/", 1)[-1] not in MEASURED:
                found[name] = f"{item.dtype} {item[()].tolist()!r}"
        else:
            found[name] = "group"

    with h5py.File(path) as file:
        file.visititems(visit)
        found["seed"] = repr(file.attrs["seed"])
    assert "trials/fitness" in found
    assert "individuals/genome" in found
    return found


def lineage(population: Population) -> list[tuple[object, ...]]:
    """Return every record in order, to the last bit, but for what was measured."""
    rows = []
    for key in sorted(population.records):
        record = population.records[key]
        outcome = record.outcome
        curve = [(point.epoch, sorted(point.metrics.items())) for point in outcome.curve]
        judged = (outcome.status, outcome.fitness.hex(), outcome.reason, repr(curve))
        rows.append(
            (key, record.trial.seed, repr(record.trial.genome), repr(record.birth), *judged)
        )
    return rows


def retimed(path: Path, there: Path) -> Population:
    """Write a population again as if each trial had ended half a second after the one before."""
    population = Population.open(path)
    store = Store.create(there, population.header)
    for number, key in enumerate(sorted(population.records)):
        store.append(replace(population.records[key], elapsed=0.5 * (number + 1)))
    store.close()
    return Population.open(there)


def family(pid: int | None = None) -> list[int]:
    """Return the living descendants of a process, this one by default."""
    children = psutil.Process(pid).children(recursive=True)
    return [child.pid for child in children if child.status() != psutil.STATUS_ZOMBIE]


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
