"""Stopping a run in every way, and going on: the lineage is that of an undisturbed run."""

import contextlib
import os
import shutil
import signal
import time

import psutil
import pytest
from running import wait_until
from tiny_images import COUNTS, SHORT, paint

import evoft
from evoft.outcome import Status


def gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=10)
    return not alive


def nursery(pid):
    """Return the process that starts workers, once it is there: the command is at work then."""
    children = psutil.Process(pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        return [c for c in children if os.getsid(c.pid) == c.pid]
    return []


def shared_memory():
    """Return the names of shared memory on this machine; semaphores are none of ours."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith("sem.")}


@pytest.mark.parametrize(
    "case",
    [
        (signal.SIGINT, 130, 2),
        pytest.param((signal.SIGTERM, 143, 5), marks=pytest.mark.slow),
        (signal.SIGKILL, -9, 3),
    ],
)
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    stop, cli, finished, pets, lineage_of, tmp_path, case
):
    number, code, after = case
    file = tmp_path / "populations" / "pets.h5"
    arguments = ("evolve", pets, *SHORT, "--workers", 2)
    done, children = stop(number, arguments, file, tmp_path, after)
    assert done.code == code, done.err
    assert len(children) >= 2  # the nursery and a worker
    assert gone(children)
    assert list(cli.temporary.glob("evoft-*")) == []
    assert done.out.count("model  ") == 0
    if number != signal.SIGKILL:
        assert "Traceback" not in done.err
        assert "trials are safe in populations/pets.h5" in done.err
        assert done.err.rstrip().endswith("evoft resume populations/pets.h5")
        assert done.modules == ""
    before = len(evoft.Population.open(file))
    assert after <= before

    again = cli("resume", "populations/pets.h5", cwd=tmp_path)
    assert again.code == 0, again.err
    assert again.modules == ""
    assert lineage_of(file) == lineage_of(finished.file)
    assert list(cli.temporary.glob("evoft-*")) == []
    names = {path.name for path in file.with_suffix(".checkpoints").iterdir()}
    assert names == {path.name for path in finished.file.with_suffix(".checkpoints").iterdir()}
    model = "pets.best/model.safetensors"
    assert (file.parent / model).read_bytes() == (finished.file.parent / model).read_bytes()


@pytest.mark.slow
def test_features_of_a_run_whose_processes_are_all_killed_go_with_the_next(
    cli, finished, pets, lineage_of, tmp_path
):
    process = cli.start("evolve", pets, *SHORT, "--workers", 2, cwd=tmp_path)
    while not list(cli.temporary.glob("evoft-*/*.features")):
        assert process.poll() is None
        time.sleep(0.01)
    family = psutil.Process(process.pid).children(recursive=True)
    for one in [*family, process]:  # the nursery first, so that it removes nothing
        one.kill()
    cli.end(process)
    assert gone(family)
    (left,) = cli.temporary.glob("evoft-*")
    file = tmp_path / "populations" / "pets.h5"
    again = cli("resume", file, cwd=tmp_path)
    assert again.code == 0, again.err
    assert not left.exists()
    assert list(cli.temporary.glob("evoft-*")) == []
    assert lineage_of(file) == lineage_of(finished.file)


@pytest.mark.slow
def test_three_workers_give_what_one_gives(cli, finished, pets, lineage_of, tmp_path):
    done = cli("evolve", pets, *SHORT, "--workers", 3, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "3 on the CPU" in done.out
    assert lineage_of(tmp_path / "populations" / "pets.h5") == lineage_of(finished.file)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_before_the_first_trial_leaves_nothing(installed, pets, tmp_path, number):
    process = installed.start("evolve", pets, *SHORT, cwd=tmp_path)
    while not (children := nursery(process.pid)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    done = installed.end(process)
    assert done.code == (130 if number == signal.SIGINT else 143)
    assert "Traceback" not in done.err
    assert "Stopped before any trial; nothing was written." in done.err
    assert gone(children)
    assert list(tmp_path.iterdir()) == []


class TestGoingOn:
    @pytest.fixture
    def copy(self, finished, tmp_path):
        shutil.copytree(finished.file.parent, tmp_path / "p")
        return tmp_path / "p" / "pets.h5"

    def test_more_generations_on_data_that_moved(self, cli, copy, pets, lineage_of, tmp_path):
        before = lineage_of(copy)
        moved = shutil.copytree(pets, tmp_path / "moved here")
        arguments = (
            "resume",
            copy,
            "--data",
            moved.name,
            "--generations",
            3,
            "--output",
            "new best",
        )
        done = cli(*arguments, cwd=tmp_path)
        assert done.code == 0, done.err
        assert "12 in 3 generations" in done.out
        after = lineage_of(copy)
        assert after["individuals"][:8] == before["individuals"]
        assert len(after["individuals"]) == 12
        assert before["finals"].items() <= after["finals"].items()
        assert (tmp_path / "new best" / "model.safetensors").is_file()
        assert "evoft predict 'new best' IMAGE..." in done.out
        settings = evoft.Population.open(copy).header.settings
        assert settings["search"]["generations"] == 3

        cli("resume", copy, "--output", "new best", cwd=tmp_path).refused(6, "not empty")
        # Where the data is was given from one folder, and is known in every other.
        assert evoft.Population.open(copy).header.settings["training"]["data"] == str(moved)

    def test_more_final_runs(self, cli, copy, lineage_of, tmp_path):
        before = lineage_of(copy)
        done = cli("resume", copy, "--finalists", 3, "--repeats", 2, cwd=tmp_path)
        assert done.code == 0, done.err
        after = lineage_of(copy)
        assert after["individuals"] == before["individuals"]
        assert before["finals"].items() < after["finals"].items()
        assert {repeat for _, repeat in after["finals"]} == {0, 1}
        settings = evoft.Population.open(copy).header.settings["search"]
        assert (settings["finalists"], settings["repeats"]) == (3, 2)
        done = cli("resume", copy, "--repeats", 1, cwd=tmp_path)
        assert done.code == 0, done.err
        assert lineage_of(copy)["finals"] == after["finals"]
        cli("resume", copy, "--finalists", 0, cwd=tmp_path).refused(2, "`finalists` must be >= 1")

    def test_a_model_among_the_images_is_refused(self, cli, copy, pets, tmp_path):
        moved = shutil.copytree(pets, tmp_path / "moved")
        for images, flags in ((pets, ()), (moved, ("--data", moved.name))):
            output = images / "train" / "best"
            done = cli("resume", copy, "--output", output, *flags, cwd=tmp_path)
            done.refused(6, f"the model cannot go to {output}", "another place with --output")

    def test_the_place_of_another_populations_images_is_told(self, cli, copy, pets, tmp_path):
        words = f"{copy} is there already, of the images of {pets}: give another name with --file"
        cli("evolve", "digits", "--file", copy, cwd=tmp_path).refused(5, words)
        cli("evolve", pets, "--file", copy, cwd=tmp_path).refused(5, "go on with it by `evoft res")

    def test_a_foreign_file_among_the_checkpoints_is_let_alone(self, cli, copy, tmp_path):
        mine = copy.with_suffix(".checkpoints") / "mine.safetensors"
        mine.write_text("precious")
        done = cli("resume", copy, "--generations", 3, cwd=tmp_path)
        assert done.code == 0, done.err
        assert mine.read_text() == "precious"

    def test_data_that_changed_are_refused(self, cli, copy, pets, lineage_of, tmp_path):
        before = lineage_of(copy)
        other = paint(tmp_path / "pets", COUNTS, seed=1)
        done = cli("resume", copy, "--data", other, "--generations", 3, cwd=tmp_path)
        done.refused(5, "made with other data", str(other), "--data")
        done = cli("resume", copy, "--data", tmp_path / "nowhere", cwd=tmp_path)
        done.refused(3, "nowhere does not exist")
        assert lineage_of(copy) == before

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (("--epochs", 9), ["`epochs` settles the lineage", "was 2 and is to be 9"]),
            (("--rung-factor", 2), ["`rung_factor` settles the lineage", "start a new population"]),
            (("--lr", 0.1), ["`lr` settles the lineage", "was free and is to be 0.1"]),
            (("--warmup-epochs", 1), ["`warmup` settles the lineage", "is to be 0.5"]),
            (
                ("--objective", "accuracy", "--objective", "latency"),
                ["`objectives` settles the lineage", "is to be ('accuracy', 'latency')"],
            ),
            (("--model-kwargs", "drop_rate=0.1"), ["`model_kwargs` settles the lineage"]),
        ],
    )
    def test_what_settles_the_lineage_cannot_change(self, cli, copy, tmp_path, flags, words):
        before = copy.read_bytes()
        cli("resume", copy, *flags, cwd=tmp_path).refused(2, *words)
        assert copy.read_bytes() == before

    def test_bad_settings_are_refused(self, cli, copy, tmp_path):
        for flag, value in (("--workers", 0), ("--generations", 0), ("--devices", "x"),
                            ("--budget", "soon")):  # fmt: skip
            done = cli("resume", copy, flag, value, cwd=tmp_path)
            assert done.code == 2
            assert "Traceback" not in done.err
            assert value == 0 or str(value) in done.err


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [(), ("--freeze-depth", 1.0)], ids=["whole", "heads"])
def test_a_killed_evolution_goes_on_from_rung_to_rung(stop, cli, pets, lineage_of, tmp_path, fixed):
    """The default strategy: individuals that were paused when the run was killed are continued."""
    rungs = [v if v != "ga" else "evolution" for v in SHORT]
    rungs[rungs.index("--epochs") + 1] = "3"
    arguments = ("evolve", pets, *rungs, *fixed, "--workers", 2)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    shared = shared_memory()
    whole = cli(*arguments, cwd=straight)
    assert whole.code == 0, whole.err
    file = killed / "populations" / "pets.h5"
    done, children = stop(signal.SIGKILL, arguments, file, killed, 6)
    assert done.code == -9, done.err
    assert gone(children)
    assert list(cli.temporary.glob("evoft-*")) == []
    assert wait_until(lambda: shared_memory() <= shared)  # that of others comes and goes
    again = cli("resume", "populations/pets.h5", cwd=killed)
    assert again.code == 0, again.err
    population = evoft.Population.open(file)
    assert any(individual.rung == 1 for individual in population)
    assert {individual.status for individual in population} == {Status.OK}
    assert lineage_of(file) == lineage_of(straight / "populations" / "pets.h5")
    model = "populations/pets.best/model.safetensors"
    assert (killed / model).read_bytes() == (straight / model).read_bytes()
    assert list(cli.temporary.glob("evoft-*")) == []


@pytest.mark.slow
def test_heads_whose_workers_are_killed_leave_nothing_behind(cli, pets, recorded, tmp_path):
    rungs = [v if v != "ga" else "evolution" for v in SHORT]
    rungs[rungs.index("--epochs") + 1] = "3"
    arguments = ("evolve", pets, *rungs, "--freeze-depth", 1.0, "--workers", 2)
    file = tmp_path / "populations" / "pets.h5"
    shared = shared_memory()
    process = cli.start(*arguments, cwd=tmp_path)
    for after in (2, 5):
        while recorded(file) < after and process.poll() is None:
            time.sleep(0.01)
        for one in nursery(process.pid):
            for worker in one.children():
                worker.kill()
    done = cli.end(process)
    assert done.code == 0, done.err
    statuses = [individual.status for individual in evoft.Population.open(file)]
    assert set(statuses) <= {Status.OK, Status.LOST}
    assert statuses.count(Status.LOST) <= 2  # who was killed both times
    assert list(cli.temporary.glob("evoft-*")) == []
    assert wait_until(lambda: shared_memory() <= shared)  # that of others comes and goes
    kept = file.with_suffix(".checkpoints")
    assert [path.name for path in kept.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_a_disk_that_takes_no_checkpoint_loses_nothing(cli, pets, tmp_path):
    folder = tmp_path / "populations" / "pets.checkpoints"
    folder.parent.mkdir()
    folder.write_text("in the way")
    done = cli("evolve", pets, *SHORT, "--workers", 1, cwd=tmp_path)
    assert done.code == 6, done.err
    assert "Traceback" not in done.err
    stopped, way_on, error = [line for line in done.err.splitlines() if line][-3:]
    assert stopped.startswith("Stopped; ")
    assert stopped.endswith("safe in populations/pets.h5. Go on with:")
    assert way_on == "  evoft resume populations/pets.h5"
    assert error.startswith("evoft: the checkpoint ")
    assert "free some space" in error
    folder.unlink()
    again = cli("resume", "populations/pets.h5", cwd=tmp_path)
    assert again.code == 0, again.err


def test_where_nobody_reads_on_the_trials_are_safe_and_that_is_said(cli, pets, tmp_path):
    process = cli.start("evolve", pets, *SHORT, "--workers", 1, cwd=tmp_path)
    assert process.stdout.readline().startswith("data ")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert "Traceback" not in err
    assert "safe in populations/pets.h5. Go on with:" in err
    assert len(evoft.Population.open(tmp_path / "populations" / "pets.h5")) > 0
