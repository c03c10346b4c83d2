"""Pools of real worker processes, and how to see what is left of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import wait_until

from evoft.genome import Genome
from evoft.outcome import Outcome
from evoft.trial import Trial
from evoft.workers.evaluation import FitnessTarget
from evoft.workers.local import LocalWorkers

Pool = Callable[..., Any]


def make_trial(individual: int, **genes: Any) -> Trial:
    return Trial(individual, Genome(genes or {"x": 1.0}), seed=1000 + individual)


def outcomes_of(workers: LocalWorkers, trials: list[Trial]) -> dict[int, Outcome]:
    """Return every trial's outcome by individual."""
    waiting, found = list(trials), {}
    while waiting or workers.busy:
        while waiting and workers.idle:
            workers.submit(waiting.pop(0))
        for trial, outcome in workers.collect():
            assert trial.individual not in found
            found[trial.individual] = outcome
    return found


def descendants() -> dict[int, psutil.Process]:
    """Return the processes that are ours and live, by their ids."""
    children = psutil.Process().children(recursive=True)
    return {
        child.pid: child
        for child in children
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    }


def open_files() -> set[str]:
    """Return what our descriptors lead to, but for those that come and go."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:
            continue
    return {name for name in found if "/proc/" not in name}


@pytest.fixture
def pool() -> Pool:
    """Return a context manager: a pool for a fitness function; it leaves nothing behind."""

    @contextmanager
    def make(fitness: Any, count: int = 1, **options: Any) -> Iterator[LocalWorkers]:
        target = fitness if hasattr(fitness, "evaluate") else FitnessTarget(fitness)
        workers = LocalWorkers(target, **{"devices": ["any"] * count, **options})
        try:
            yield workers
        finally:
            workers.close()

    return make


def of_others(names: set[str]) -> set[str]:
    """Return what of the shared memory is in use, or named by its maker, outside our processes."""
    others = set(psutil.pids()) - {os.getpid(), *descendants()}
    found = {name for name in names if others & set(map(int, re.findall(r"\d+", name)))}
    for pid in others:
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            found |= {Path(mapped.path).name for mapped in process.memory_maps()}
            found |= {Path(file.path).name for file in process.open_files()}
    return found


def shared_since(before: set[str]) -> set[str]:
    """Return the names of shared memory that are new, those of other programs left aside."""
    new = set(os.listdir("/dev/shm")) - before
    return new and new - of_others(new)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Every test here: no process, no shared memory and no open file is left at its end."""
    shared, files = set(os.listdir("/dev/shm")), open_files()
    before = set(descendants())
    yield
    assert wait_until(lambda: not set(descendants()) - before), "a process is left"
    # For an instant of its making a semaphore has a name, a stranger's too.
    assert wait_until(lambda: not shared_since(shared)), shared_since(shared)
    assert open_files() <= files


@pytest.fixture
def family() -> Callable[[], list[psutil.Process]]:
    """Return a function: the living processes that descend from this one since the test began.

    Other tests' workers may live as long as the tests do.
    """
    before = set(descendants())
    return lambda: [process for pid, process in descendants().items() if pid not in before]


@pytest.fixture
def trial() -> Callable[..., Trial]:
    return make_trial


@pytest.fixture
def outcomes() -> Callable[..., dict[int, Outcome]]:
    return outcomes_of


@pytest.fixture
def until() -> Callable[..., bool]:
    return wait_until
