"""What was acknowledged is never lost: killed writers, full disks, many processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evoft.errors import PopulationLockedError
from evoft.lineage import Population, Store

BEGIN = """
import json, os, random, resource, signal, sys, time
from evoft.errors import EvoftError, StorageError
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record, Store
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Trial

path = sys.argv[1]
HEADER = Header("c0ffee", "2026-01-02T03:04:05+00:00", 7)

def record(id):
    genome = Genome(lr=0.001 * id, text="x" * (id % 7 * 40))
    birth = Individual(id, id // 4, (), "sample", genome, id)
    curve = (CurvePoint(1.0, {"loss": float("nan")}),)
    outcome = Outcome(Status.OK, float(id), curve=curve)
    return Record(Trial(id, genome, id), outcome, birth, None, id)
"""

KILLED = """
def write(acknowledge, path):
    # One store after the other: killed also while it opens, mends and folds.
    store = Store.open(path) if os.path.exists(path) else Store.create(path, HEADER)
    with store:
        for id in range(len(store.records), 10**6):
            store.append(record(id))
            os.write(acknowledge, b"%d\\n" % id)
            if id % 3 == 0:
                store.fold()

def start(path):
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write(theirs, path)
        finally:
            os._exit(1)
    os.close(theirs)
    return child, open(ours)

def kill(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

# On a slow machine there is more time to come to something.
begun = time.monotonic()
child, pipe = start(path.replace(".h5", "-other.h5"))
with pipe:
    for _ in range(20):
        pipe.readline()
kill(child)
longest = max(0.12, 2 * (time.monotonic() - begun))

chance = random.Random(5)
acknowledged = -1
for attempt in range(40):
    child, pipe = start(path)
    time.sleep(chance.random() * longest)
    kill(child)
    with pipe:
        ids = [int(line) for line in pipe]
    acknowledged = max([acknowledged, *ids])
    if attempt % 7 == 3 and acknowledged >= 0:  # a copy of the file alone must do as well
        with Store.open(path):
            pass
        os.unlink(path.replace(".h5", ".journal"))
    if not os.path.exists(path):
        continue
    population = Population.open(path)
    found = [i.id for i in population.individuals]
    assert found == list(range(len(found))), found
    assert acknowledged + 1 <= len(found) <= acknowledged + 2, (acknowledged, len(found))
    assert all(i.fitness == i.id for i in population.individuals)
    acknowledged = len(found) - 1
print(acknowledged)
"""

FULL = """
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def refused(act):
    try:
        act()
    except StorageError as error:
        assert "disk is full" in str(error) and f"evoft resume {path}" in str(error), error
        return
    raise AssertionError("nothing was refused")

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = path.replace(".h5", ".journal")
store = Store.create(path, HEADER)
for id in range(5):
    store.append(record(id))
whole = open(path, "rb").read()
size = os.path.getsize(journal)

for room in (0, 1, 50, 300):  # the record needs more
    limit(size + room)
    refused(lambda: store.append(record(6)))
    assert os.path.getsize(journal) == size
    assert len(Population.open(path)) == len(store.records) == 5
limit(4096)
refused(store.fold)
assert open(path, "rb").read() == whole
assert not os.path.exists(path + ".new")
refused(store.close)
assert len(Population.open(path)) == 5
limit(resource.RLIM_INFINITY)
with Store.open(path) as store:
    store.append(record(5))
assert len(Population.open(path)) == 6
limit(resource.RLIM_INFINITY)
print("done")
"""

HOLD = """
store = Store.open(path)
orphan = os.fork()  # inherits the lock's descriptor, and outlives us
if orphan:
    print(orphan, flush=True)
time.sleep(60)
"""

FOLDING = """
store = Store.create(path, HEADER)
print("begun", flush=True)
id = 0
while True:
    store.append(record(id))
    id += 1
    if id % 2:
        store.fold()
"""


@contextmanager
def running(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the end of the block."""
    command = [sys.executable, "-c", BEGIN + program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def run(program: str, path: Path) -> str:
    command = [sys.executable, "-c", BEGIN + program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert int(run(KILLED, tmp_path / "digits.h5")) > 20


def test_a_full_disk_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert run(FULL, tmp_path / "digits.h5") == "done\n"


def test_the_lock_keeps_a_second_process_out_and_dies_with_the_first(
    population_path: Path, search_record: Any
) -> None:
    with running(HOLD, population_path) as holder:
        assert holder.stdout is not None
        orphan = int(holder.stdout.readline())
        try:
            with pytest.raises(
                PopulationLockedError, match=rf"^another process \(pid {holder.pid}\)"
            ):
                Store.open(population_path)
            holder.kill()
            holder.wait()
            with Store.open(population_path) as store:
                store.append(search_record(10))
        finally:
            os.kill(orphan, signal.SIGKILL)
    assert len(Population.open(population_path)) == 11


@pytest.mark.slow
def test_readers_never_fail_while_a_writer_folds(tmp_path: Path) -> None:
    path = tmp_path / "digits.h5"
    with running(FOLDING, path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        seen, reads, end = 0, 0, time.monotonic() + 3
        while time.monotonic() < end or min(seen, reads) <= 10:  # a slow machine takes longer
            population = Population.open(path)
            ids = [individual.id for individual in population.individuals]
            assert ids == list(range(len(ids)))
            assert len(ids) >= seen
            seen, reads = len(ids), reads + 1
    assert reads > 10
    assert seen > 10
