"""Plans in a run's folder: made once for all of its workers."""

import multiprocessing
import os
import time

import pytest

from evoft.training.features.plans import Plans


def made(text="made"):
    def make():
        made.count += 1
        return text, [1, 2]

    return make


@pytest.fixture(autouse=True)
def _count():
    made.count = 0


def test_one_is_made_once(tmp_path):
    first, second = Plans(tmp_path), Plans(tmp_path)
    for plans in (first, first, second):
        assert plans.get("a", made()) == ("made", [1, 2])
    assert made.count == 1
    assert first.get("b", made("other")) == ("other", [1, 2])
    assert made.count == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.plan", "b.plan"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_without_a_folder_each_makes_its_own():
    for plans in (one := Plans(None), one, Plans(None)):
        assert plans.get("a", made()) == ("made", [1, 2])
    assert made.count == 2


@pytest.mark.parametrize("left", [b"", b"\x80\x04no pickle", b"cnowhere\nnothing\n."])
def test_a_damaged_one_is_made_again(tmp_path, left):
    (tmp_path / "a.plan").write_bytes(left)
    (tmp_path / "a.planning").write_bytes(b"more than will be written" * 100)  # a dead worker's
    assert Plans(tmp_path).get("a", made()) == ("made", [1, 2])
    assert Plans(tmp_path).get("a", made()) == ("made", [1, 2])
    assert made.count == 1


def test_what_cannot_be_pickled_or_written_is_made_by_each(tmp_path):
    def make():
        made.count += 1
        return lambda: 5

    for folder in (tmp_path, tmp_path, tmp_path / "gone"):
        assert Plans(folder).get("a", make)() == 5
    assert made.count == 3
    assert list(tmp_path.iterdir()) == []


def _worker(folder, ready, go, counted):
    def make():
        with counted.get_lock():
            counted.value += 1
        time.sleep(0.2)
        return os.getpid()

    ready.release()
    go.wait()
    beats = []
    pid = Plans(folder).get("a", make, lambda: beats.append(1))
    assert pid == os.getpid() or beats
    assert Plans(folder).get("a", make) == pid


def test_workers_wait_for_the_one_that_makes_it(tmp_path):
    context = multiprocessing.get_context("fork")
    ready, go, counted = context.Semaphore(0), context.Event(), context.Value("i", 0)
    workers = [
        context.Process(target=_worker, args=(tmp_path, ready, go, counted)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    go.set()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert counted.value == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.plan"]
