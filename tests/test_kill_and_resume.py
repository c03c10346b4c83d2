"""SIGKILL at random instants: every run ends in the very file of an undisturbed one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from running import content, run_script, wait_until
from running import family as children_of

BEGIN = """
import math, os, random, signal, sys, time
import evoft
from evoft.errors import PopulationExistsError

SPACE = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 1e-1, log=True),
    depth=evoft.Integer(1, 9),
    act=evoft.Choice(["relu", "gelu"]),
    slope=evoft.Float(0, 1, when={"act": ["relu"]}),
)

def fitness(genome, trial):
    trial.report(1, loss=1.0)
    time.sleep(trial.seed % 4 * 0.002)
    if trial.individual % 11 == 5:
        raise ValueError("no good")
    if trial.individual % 11 == 7:
        return math.nan
    trial.report(2, loss=genome["lr"])
    return -abs(math.log10(genome["lr"]) + 3) - abs(genome["depth"] - 4)

OPTIONS = dict(generations=4, population_size=6)

def finish(path, workers, seed):
    '''Make the population, or go on with it, to its end.'''
    global MODELS
    MODELS = path + ".models"
    os.makedirs(MODELS, exist_ok=True)
    try:
        search = evoft.SearchSettings(finalists=2, repeats=2, lookahead=3)
        run = evoft.evolve(
            fitness, SPACE, file=path, workers=workers, seed=seed, search=search, **OPTIONS
        )
        for _ in run:
            pass
    except PopulationExistsError:
        for _ in evoft.resume(fitness, path, workers=workers):
            pass
"""

# The same on rungs: a trial goes on from what the one on the rung below saved, for whatever was
# told was saved before.
ON_RUNGS = """
sys.path.insert(0, sys.argv[5])
from climbing import install
install()
OPTIONS = dict(strategy="climber", epochs=9, generations=4, population_size=4)

def fitness(genome, trial):
    time.sleep(trial.seed % 4 * 0.002)
    if trial.individual % 11 == 5 and trial.rung:
        raise ValueError("no good")
    name = f"{MODELS}/{trial.stage}-{trial.individual}-{trial.repeat}-"
    state, done = 0.0, 0
    if trial.rung:
        with open(f"{name}{trial.rung - 1}") as file:
            state, done = map(float, file.read().split())
    for epoch in range(int(done), int(trial.epochs)):
        state += random.Random(f"{trial.seed} {epoch}").random()
        trial.report(epoch + 1, loss=state)
    with open(f"{name}{trial.rung}.{os.getpid()}", "w") as file:
        file.write(f"{state!r} {trial.epochs}")
    os.replace(file.name, f"{name}{trial.rung}")
    return state - abs(math.log10(genome["lr"]) + 3) * trial.epochs
"""

# The process that is killed is forked from one that has imported everything, so that the instants
# fall on the run and not on the imports.
KILLING = """
import scipy.stats.qmc
folder, workers, kills = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
share = float(sys.argv[4])  # of an undisturbed run's time, however slow the machine is
chance = random.Random(workers)
seed = killed = 0
while killed < kills or seed < 2:
    begun = time.monotonic()
    finish(f"{folder}/straight-{seed}.h5", workers, seed)
    longest = share * (time.monotonic() - begun)
    path, done = f"{folder}/killed-{seed}.h5", False
    while not done:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                finish(path, workers, seed)
                code = 0
            finally:
                os._exit(code)
        time.sleep(chance.random() * longest)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        done = not os.WIFSIGNALED(status)
        assert not done or os.WEXITSTATUS(status) == 0
        killed += not done
        if os.path.exists(path):
            evoft.Population.open(path)  # whole at any time
    seed += 1
print(seed, killed)
"""


@pytest.mark.slow
@pytest.mark.parametrize("begin", [BEGIN, BEGIN + ON_RUNGS], ids=["in full", "on rungs"])
@pytest.mark.parametrize(("workers", "kills", "share"), [(0, 40, 0.4), (2, 14, 0.9)])
def test_killed_at_random_instants_the_file_is_that_of_an_undisturbed_run(
    tmp_path: Path, begin: str, workers: int, kills: int, share: float
) -> None:
    here = Path(__file__).parent
    out = run_script(begin + KILLING, tmp_path, tmp_path, workers, kills, share, here)
    populations, killed = map(int, out.split())
    assert killed >= kills
    assert populations >= 2
    for seed in range(populations):
        straight = content(tmp_path / f"straight-{seed}.h5")
        assert content(tmp_path / f"killed-{seed}.h5") == straight
        assert len(straight) > 40
    assert content(tmp_path / "straight-0.h5") != content(tmp_path / "straight-1.h5")
    assert list(tmp_path.glob("*.new")) == []


@pytest.mark.slow
def test_a_script_killed_with_its_workers_leaves_none_of_them(tmp_path: Path) -> None:
    """The whole of it, imports too, as a user would run it; three times in the midst of trials."""
    script = tmp_path / "script.py"
    script.write_text(BEGIN.replace("0.002", "0.05") + "finish('mine.h5', 3, 1)\n")
    chance = random.Random(2)
    for _ in range(3):
        with subprocess.Popen([sys.executable, script], cwd=tmp_path) as process:
            family: list[int] = []
            while len(family) < 4 and process.poll() is None:
                family = children_of(process.pid)
                time.sleep(0.01)
            time.sleep(chance.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert len(family) == 4
        assert wait_until(lambda found=family: not any(map(psutil.pid_exists, found)))  # type: ignore[misc]
    run_script(BEGIN + "finish('mine.h5', 3, 1)", tmp_path)
    run_script(BEGIN + "finish('straight.h5', 3, 1)", tmp_path)
    assert content(tmp_path / "mine.h5") == content(tmp_path / "straight.h5")
