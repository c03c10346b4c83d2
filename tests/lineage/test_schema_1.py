"""A population that the last evoft of schema 1 wrote is read, mended and gone on with.

schema_1/make.py says how it was made, and how what the old evoft bred from there.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from running import run_script
from schema_1.make import fitness

import evoft
from evoft.lineage import Population, Record, Store, check, repair
from evoft.lineage.envelope import unseal
from evoft.lineage.journal import read_line
from evoft.trial import Stage

KEPT = Path(__file__).parent / "schema_1"
EXPECTED = json.loads((KEPT / "expected.json").read_text())
#: Births in the population file, and with those that are in the journal alone.
FOLDED, ALL = 12, 15


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The population as its writer left it when it died."""
    path = tmp_path / "population.h5"
    path.write_bytes(gzip.decompress((KEPT / "population.h5.gz").read_bytes()))
    shutil.copy(KEPT / "population.journal", tmp_path)
    return path


def bred(population: Population) -> list[list[Any]]:
    return [
        [i.id, i.generation, list(i.parents), i.operator, i.genome.to_json(), i.seed,
         str(i.status), i.fitness.hex()]
        for i in population
    ]  # fmt: skip


def said(source: Population | Store) -> str:
    """Return all records, in a form in which NaN equals NaN."""
    return repr([source.records[key] for key in sorted(source.records)])


def schema_of(path: Path) -> bytes:
    return path.read_bytes().split(b"\n")[1]


def test_file_and_journal_are_read(old: Path) -> None:
    assert schema_of(old) == b"schema 1"
    population = Population.open(old)
    assert bred(population) == EXPECTED["individuals"][:ALL]
    assert [g.index for g in population.generations] == [0, 1, 2]
    assert not population.on_rungs
    for individual in population:
        (record,) = population.trials(individual.id)
        trial = record.trial
        assert (individual.rung, individual.earlier, individual.step) == (0, (), 0.0)
        assert (trial.rung, trial.epochs, trial.number) == (0, None, individual.id)
        assert trial.generation == individual.generation
    finals = [r.trial for r in population.records.values() if r.trial.stage is Stage.FINAL]
    assert len(finals) == 4 + 2  # two finalists, and the default
    assert {(t.rung, t.epochs, t.number, t.generation) for t in finals} == {(0, None, 0, 0)}


@pytest.mark.parametrize("gone", ["population.h5", "population.journal"])
def test_each_copy_alone_is_read(old: Path, gone: str) -> None:
    (old.parent / gone).unlink()
    count = ALL if gone.endswith("h5") else FOLDED
    assert bred(Population.open(old)) == EXPECTED["individuals"][:count]
    with Store.open(old) as store:
        assert len(store.records) == count + 6
    assert schema_of(old) == b"schema 4"
    assert bred(Population.open(old)) == EXPECTED["individuals"][:count]


def test_resuming_breeds_what_the_old_version_would_have(old: Path) -> None:
    shown = [
        [g.index, [i.id for i in g.individuals], g.best.id]
        for g in evoft.resume(fitness, old, workers=0)
    ]
    assert shown == EXPECTED["resumed"]
    assert schema_of(old) == b"schema 4"
    for gone in (old, old.with_suffix(".journal")):
        population = Population.open(old)
        assert bred(population) == EXPECTED["individuals"]
        finals = [r for i in population for r in population.finals(i.id)]
        assert [[r.trial.seed, r.outcome.fitness.hex()] for r in finals] == EXPECTED["finals"]
        generations = [[g.index, [i.id for i in g.individuals], g.best.id]
                       for g in population.generations]  # fmt: skip
        assert generations == EXPECTED["generations"]
        aside = gone.rename(gone.with_name("aside"))  # then as the other copy alone says
        assert bred(Population.open(old)) == EXPECTED["individuals"]
        aside.rename(gone)
    assert {finding.severity for finding in check(old)} == {"ok"}


def later(population: Population) -> list[Record]:
    """Return what a newer evoft may add: an individual continued, and a birth."""
    elder, youngest = population.trials(3)[0], population.trials(ALL - 1)[0]
    assert elder.birth is not None
    assert youngest.birth is not None
    changes: dict[str, Any] = {"rung": 1, "epochs": 9.0, "number": ALL, "generation": 3}
    continued = type(elder.trial)(3, elder.trial.genome, elder.trial.seed, **changes)
    trial = type(elder.trial)(ALL, youngest.trial.genome, 5, number=ALL + 1, generation=3)
    birth = evoft.Individual(ALL, 3, (3,), "mutation", trial.genome, 5, step=0.125)
    return [
        Record(continued, elder.outcome, elder.birth, None, 99.0),
        Record(trial, youngest.outcome, birth, None, 99.5),
    ]


def test_new_lines_behind_old_ones_hold_after_a_kill_at_any_byte(old: Path) -> None:
    journal = old.with_suffix(".journal")
    sealed, before = old.read_bytes(), journal.read_bytes()
    added = later(Population.open(old))
    with Store.open(old) as store:
        for record in added:
            store.append(record)
        after = journal.read_bytes()
        assert old.read_bytes() == sealed  # not folded yet
    folded = old.read_bytes()
    assert after.startswith(before)
    new = after[len(before) :].splitlines(keepends=True)
    # An older evoft meets the header first, and refuses what it would take for damage.
    assert [read_line(line)["kind"] for line in new] == ["header", "trial", "trial"]
    assert read_line(new[0])["schema"] == 4
    ends = [len(before) + sum(map(len, new[:count])) for count in range(4)]
    cuts = {*range(len(before), len(after), 401), *(e + d for e in ends for d in (-1, 0, 1))}
    for file in (sealed, None):
        for cut in sorted(cut for cut in cuts if len(before) <= cut <= len(after)):
            journal.write_bytes(after[:cut])
            old.unlink(missing_ok=True)
            if file is not None:
                old.write_bytes(file)
            population = Population.open(old)
            whole = sum(cut >= end for end in ends[2:])
            assert len(population.records) == ALL + 6 + whole
            assert population[3].rung == (1 if whole else 0)
            with Store.open(old) as store:
                for record in added[whole:]:
                    store.append(record)
            assert old.read_bytes()[:25] == folded[:25]
            assert said(Population.open(old)) == said(store)
            assert {finding.severity for finding in check(old)} == {"ok"}


KILLING = """
import os, random, signal, sys, time
import evoft, scipy.stats.qmc
sys.path.insert(0, sys.argv[2])
from schema_1.make import fitness

def slow(genome, trial):
    time.sleep(0.005)
    return fitness(genome, trial)

chance, killed, done = random.Random(3), 0, False
longest = 0.1
while not done:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for _ in evoft.resume(slow, sys.argv[1], workers=0):
                pass
            code = 0
        finally:
            os._exit(code)
    time.sleep(chance.random() * longest)
    longest *= 1.2  # however slow the machine, it ends
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    done = not os.WIFSIGNALED(status)
    assert not done or os.WEXITSTATUS(status) == 0
    killed += not done
    evoft.Population.open(sys.argv[1])
print(killed)
"""


def test_killed_while_it_is_gone_on_with_it_ends_as_undisturbed(old: Path) -> None:
    assert int(run_script(KILLING, old.parent, old, KEPT.parent)) > 0
    assert bred(Population.open(old)) == EXPECTED["individuals"]
    assert {finding.severity for finding in check(old)} == {"ok"}


def test_nothing_is_wrong_with_it(old: Path) -> None:
    before = [path.read_bytes() for path in (old, old.with_suffix(".journal"))]
    assert {finding.severity for finding in check(old)} == {"ok"}
    assert {finding.severity for finding in repair(old)} == {"ok"}
    Store.open(old).close()
    after = [path.read_bytes() for path in (old, old.with_suffix(".journal"))]
    assert after[1] == before[1]  # the lines stay as they are, whatever was folded


def test_what_is_damaged_is_made_again_in_the_newer_schema(old: Path) -> None:
    journal = old.with_suffix(".journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], lines[4][:-9] + b"altered}\n", *lines[5:]]))
    repair(old)
    assert {finding.severity for finding in check(old)} == {"ok"}
    assert bred(Population.open(old)) == EXPECTED["individuals"][:ALL]
    kinds = [read_line(line) for line in journal.read_bytes().splitlines(keepends=True)]
    # The line that came from the file stands at the end, behind a header of its schema.
    assert [(k["kind"], k.get("schema")) for k in kinds[-2:]] == [("header", 4), ("trial", None)]
    assert unseal(old.read_bytes(), "population.h5").journal_bytes == journal.stat().st_size
    assert schema_of(old) == b"schema 4"
