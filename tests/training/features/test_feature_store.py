"""The store of features: shared, bounded, never trusted blindly, and nothing lost with it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evoft.training.features.entries import DamagedEntryError, EntryLayout, open_entry
from evoft.training.features.store import FeatureStore, address

NAMES = [address({"number": number}) for number in range(6)]
FORK = multiprocessing.get_context("fork")


def values(number: int, images: int = 10) -> tuple[torch.Tensor, ...]:
    """Return two values of some images: 64 bytes an image."""
    floats = torch.arange(images * 14, dtype=torch.float32).view(images, 2, 7) + 1000 * number
    return floats, (floats[:, 0, :4] * 3).bfloat16()


class Computed:
    """Yields values in batches of four, and counts how often it is asked."""

    def __init__(self, number: int = 0, images: int = 10) -> None:
        self.whole = values(number, images)
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        yield from zip(*(value.split(4) for value in self.whole), strict=True)


def get(store: FeatureStore, number: int = 0, compute: Any = None) -> tuple[torch.Tensor, ...]:
    """Get an entry and check what it holds."""
    found = store.get(NAMES[number], 10, compute or Computed(number))
    assert len(found) == 2
    assert all(torch.equal(a, b) for a, b in zip(found, values(number), strict=True))
    assert [v.dtype for v in found] == [torch.float32, torch.bfloat16]
    return found


def never() -> Any:
    raise AssertionError("it is there already")
    yield


def kept(folder: Path) -> list[int]:
    """Return the numbers of the entries in a folder."""
    return sorted(NAMES.index(path.stem) for path in folder.glob("*.features"))


SIZE = EntryLayout.of(NAMES[0], values(0), 10).size


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path, 3 * SIZE)


@pytest.mark.filterwarnings("error")
def test_computed_once_and_mapped_by_all(store: FeatureStore, tmp_path: Path) -> None:
    compute = Computed()
    get(store, compute=compute)
    get(store, compute=compute)
    found = get(FeatureStore(tmp_path, 3 * SIZE), compute=compute)
    assert compute.asked == 1
    chosen = torch.tensor([3, 3, 9])
    assert torch.equal(found[0][chosen], values(0)[0][chosen])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == SIZE
    found[0].zero_()  # stays in this mapping
    get(store, compute=compute)


def test_a_mapping_ends_with_its_tensors(store: FeatureStore) -> None:
    found = get(store)
    storage = weakref.ref(found[0].untyped_storage())
    files = len(os.listdir("/proc/self/fd"))
    del found
    assert storage() is None
    assert len(os.listdir("/proc/self/fd")) < files


def test_who_holds_an_entry_at_a_time_holds_the_same_memory(
    store: FeatureStore, tmp_path: Path
) -> None:
    get(FeatureStore(tmp_path, 3 * SIZE))
    one, other = store.find(NAMES[0]), get(store, compute=never)
    assert one is not None
    assert [v.data_ptr() for v in one] == [v.data_ptr() for v in other]
    computed = get(store, 1)
    assert [v.data_ptr() for v in computed] == [v.data_ptr() for v in get(store, 1, never)]
    first, storage = one[0], weakref.ref(one[1].untyped_storage())
    del one, other
    again = get(store, compute=never)  # some of it is held by nobody
    assert again[0].data_ptr() != first.data_ptr()
    assert storage() is None


def test_the_least_recently_used_go_first(store: FeatureStore, tmp_path: Path) -> None:
    first = get(store, 0)
    get(store, 1)
    get(store, 2)
    get(store, 0, never)
    get(store, 3)
    assert kept(tmp_path) == [0, 2, 3]
    get(FeatureStore(tmp_path, 3 * SIZE), 2, never)
    get(store, 4)
    get(store, 5)
    assert kept(tmp_path) == [2, 4, 5]
    # What is mapped stays readable, though its file has no name any more.
    assert all(torch.equal(a, b) for a, b in zip(first, values(0), strict=True))


@given(
    asked=st.lists(st.integers(0, 5), max_size=30), room=st.integers(1, 4), left=st.integers(0, 9)
)
def test_never_more_than_the_limit(
    tmp_path_factory: pytest.TempPathFactory, asked: list[int], room: int, left: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = FeatureStore(folder, room * SIZE + left)
    recent: list[int] = []
    for number in asked:
        compute = Computed(number)
        get(store, number, compute)
        assert compute.asked == (number not in recent)
        recent = [*(n for n in recent if n != number), number][-room:]
        assert kept(folder) == sorted(recent)
        assert sum(path.stat().st_size for path in folder.iterdir()) <= store.limit


def test_a_limit_too_small(tmp_path: Path, caplog: Any) -> None:
    store = FeatureStore(tmp_path, SIZE - 1)
    compute = Computed()
    get(store, compute=compute)
    get(store, 1)
    get(FeatureStore(tmp_path, SIZE - 1), 2)
    assert kept(tmp_path) == []
    assert len(caplog.messages) == 1
    assert "--cache-size" in caplog.text
    assert not store.fits(SIZE)
    assert store.fits(SIZE - 1)


def test_without_a_folder_each_process_keeps_its_own_within_the_limit() -> None:
    memory = sum(value.nbytes for value in values(0))
    store = FeatureStore(None, 2 * memory)
    for number in (0, 1, 0, 2):
        get(store, number)
    get(store, 0, never)
    get(store, 2, never)
    again = Computed(1)
    get(store, 1, again)
    assert again.asked == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_takes_no_more(
    tmp_path: Path, monkeypatch: Any, caplog: Any, code: int
) -> None:
    store, other = FeatureStore(tmp_path, 4 * SIZE), FeatureStore(tmp_path, 4 * SIZE)
    get(store, 0)

    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", full)
    get(store, 1)
    get(store, 1, never)
    get(store, 2)
    get(other, 1)
    get(other, 0, never)
    assert kept(tmp_path) == [0]
    assert list(tmp_path.glob("*.part")) == []
    (message,) = caplog.messages
    assert os.strerror(code) in message
    assert str(tmp_path) in message
    assert "TMPDIR" in message
    monkeypatch.undo()
    get(other, 3)
    assert kept(tmp_path) == [0, 3]


def _full(descriptor: int, offset: int, length: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def keeping(folder: Path, limit: int, workers: int, end: Connection) -> None:
    """Get whatever entries are asked for where nothing can be shared; answer what is kept."""
    os.posix_fallocate = _full
    store = FeatureStore(folder, limit, workers)
    while (number := end.recv()) is not None:
        get(store, number)
        end.send([NAMES.index(name) for name in store._own])


class Keeper:
    """A process that keeps its own."""

    def __init__(self, folder: Path, limit: int, workers: int = 3) -> None:
        self.end, theirs = FORK.Pipe()
        self.process = FORK.Process(target=keeping, args=(folder, limit, workers, theirs))
        self.process.start()
        theirs.close()

    def get(self, number: int) -> list[int]:
        self.end.send(number)
        kept: list[int] = self.end.recv()
        return kept

    def kill(self) -> None:
        self.process.kill()
        self.process.join(60)


@pytest.fixture
def keepers() -> Iterator[Callable[..., list[Keeper]]]:
    """``keepers(folder, limit)``: three processes that keep their own."""
    made: list[Keeper] = []

    def make(folder: Path, limit: int) -> list[Keeper]:
        made.extend(Keeper(folder, limit) for _ in range(3))
        return made

    yield make
    for keeper in made:
        keeper.kill()


MEMORY = sum(value.nbytes for value in values(0))


def test_what_all_workers_keep_for_themselves_is_within_one_limit(
    tmp_path: Path, keepers: Any
) -> None:
    one, two, three = keepers(tmp_path, 4 * MEMORY)
    assert [one.get(number) for number in (1, 2, 3)][-1] == [1, 2, 3]
    assert two.get(1) == [1]
    assert two.get(4) == [4]  # in place of its own, not of others'
    assert three.get(1) == []
    assert one.get(5) == [2, 3, 5]
    one.kill()
    assert three.get(1) == [1]  # nobody keeps a dead one's
    assert [three.get(number) for number in (2, 3, 4)][-1] == [2, 3, 4]
    assert len(list(tmp_path.glob("*.own"))) == 2


def test_what_is_shared_again_leaves_room_for_what_others_keep(
    tmp_path: Path, keepers: Any
) -> None:
    limit = 2 * SIZE + MEMORY
    one, *_ = keepers(tmp_path, limit)
    assert one.get(0) == [0]
    store = FeatureStore(tmp_path, limit)
    for number in (1, 2, 3):
        get(store, number)
    assert kept(tmp_path) == [2, 3]
    one.kill()
    get(store, 4)
    get(store, 5)
    assert kept(tmp_path) == [4, 5]
    assert list(tmp_path.glob("*.own")) == []


def test_where_nobody_can_be_told_each_worker_has_its_part(tmp_path: Path, keepers: Any) -> None:
    one, two, three = keepers(tmp_path / "gone", 7 * MEMORY)
    for keeper in (one, two, three):
        assert [keeper.get(number) for number in (0, 1, 2)][-1] == [1, 2]


def test_before_what_all_share_goes_what_is_ones_own(tmp_path: Path, monkeypatch: Any) -> None:
    store = FeatureStore(tmp_path, 2 * SIZE + MEMORY - 1)
    get(store, 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", _full)
        get(store, 1)
        get(store, 2)
        get(store, 1, never)
    get(store, 2, never)
    get(store, 3)
    assert kept(tmp_path) == [0, 3]
    again = Computed(2)
    get(store, 2, again)
    assert again.asked == 1


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_reserves_nothing(
    store: FeatureStore, tmp_path: Path, monkeypatch: Any, code: int
) -> None:
    def unknown(descriptor: int, offset: int, length: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    get(store)
    assert kept(tmp_path) == [0]


def test_a_limit_on_files_is_met_by_real_writes(tmp_path: Path, monkeypatch: Any) -> None:
    """A child may write no file as long as an entry; the kernel says so, in the middle of one."""
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("the system reserves nothing")
    monkeypatch.delattr(os, "posix_fallocate")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE - 64, SIZE - 64))
        monkeypatch.setattr(os, "truncate", lambda *_: None)  # which would tell beforehand
        store = FeatureStore(tmp_path, 3 * SIZE)
        get(store)
        get(store, compute=never)

    child = FORK.Process(target=limited)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert kept(tmp_path) == []
    assert list(tmp_path.glob("*.part")) == []


def test_a_folder_that_is_gone(tmp_path: Path, caplog: Any) -> None:
    store = FeatureStore(tmp_path / "gone", 3 * SIZE)
    get(store)
    get(store, compute=never)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "line", "another's", "foreign"])
def test_what_is_not_whole_is_not_trusted(
    store: FeatureStore, tmp_path: Path, caplog: Any, damage: str
) -> None:
    get(store)
    get(store, 1)
    path = tmp_path / f"{NAMES[0]}.features"
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[:-1],
            "longer": data + b"\0",
            "empty": b"",
            "line": data.replace(b"bfloat16", b"bogusone"),
            "another's": (tmp_path / f"{NAMES[1]}.features").read_bytes(),
            "foreign": json.dumps({"dtypes": "float32"}).encode() + b"\n",
        }[damage]
    )
    with pytest.raises(DamagedEntryError):
        open_entry(path, NAMES[0])
    compute = Computed()
    get(store, compute=compute)
    get(store, compute=never)
    assert compute.asked == 1
    assert path.read_bytes() == data
    assert len(caplog.messages) == 1


def test_what_is_not_as_it_was_told_is_refused(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="10 images were computed, but there are 11"):
        store.get(NAMES[0], 11, Computed())
    with pytest.raises(ValueError, match="images were computed, but there are 5"):
        store.get(NAMES[0], 5, Computed())

    def changing() -> Any:
        yield values(0, 4)
        yield tuple(value.half() for value in values(0, 6))

    with pytest.raises(ValueError, match=r"a batch of torch\.float16"):
        store.get(NAMES[0], 10, changing)
    assert list(tmp_path.glob("*.*")) == []
    get(store)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([[1.5, -0.0], [float("nan"), 3.0]], dtype=torch.float16),
        torch.tensor([True, False]),
        torch.tensor([2**62, -1]),
        torch.zeros(2, 0, 3),
        torch.arange(24.0).view(2, 3, 4).permute(0, 2, 1),
    ],
)
def test_every_type_and_shape_comes_back(store: FeatureStore, value: torch.Tensor) -> None:
    for _ in range(2):
        (found,) = store.get(NAMES[0], 2, lambda: iter([(value[:1],), (value[1:],)]))
        assert found.dtype == value.dtype
        assert found.shape == value.shape
        assert found.contiguous().view(torch.uint8).tolist() == (
            value.contiguous().view(torch.uint8).tolist()
        )


def test_no_images() -> None:
    assert FeatureStore(Path("/nowhere"), 100).get(NAMES[0], 0, lambda: iter([])) == ()


def test_an_address_is_of_what_is_said_not_of_its_order() -> None:
    facts = {"images": "a", "weights": "b", "size": [32, 32], "dtype": "bfloat16"}
    assert address(facts) == address(dict(reversed(facts.items())))
    changed = [{**facts, name: "c"} for name in facts]
    assert len({address(f) for f in [facts, *changed]}) == 5


def computing(folder: Path, log: Path, pause: float) -> None:
    """Get an entry as one of several processes; tell of each computation."""

    def compute() -> Any:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        for batch in Computed()():
            time.sleep(pause)
            yield batch

    get(FeatureStore(folder, 3 * SIZE), compute=compute)


def test_processes_that_need_it_at_once_compute_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    (folder := tmp_path / "store").mkdir()
    children = [FORK.Process(target=computing, args=(folder, log, 0.1)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 4
    assert len(log.read_text().splitlines()) == 1
    assert {path.name for path in folder.iterdir()} == {f"{NAMES[0]}.features", "lock"}


def until(holds: Any) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_who_waits_gives_signs_of_life_and_takes_over_from_who_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    (folder := tmp_path / "store").mkdir()
    child = FORK.Process(target=computing, args=(folder, log, 1000))
    child.start()
    until(log.exists)
    signs = []

    def alive() -> None:
        signs.append(os.getpid())
        if len(signs) == 3:
            assert child.is_alive()
            os.kill(child.pid, signal.SIGKILL)

    compute = Computed()
    found = FeatureStore(folder, 3 * SIZE).get(NAMES[0], 10, compute, alive)
    assert torch.equal(found[0], values(0)[0])
    assert compute.asked == 1
    assert len(signs) >= 3 + 3  # three batches of its own
    child.join(60)
    assert child.exitcode == -signal.SIGKILL


def test_what_was_killed_in_the_middle_takes_no_room_from_others(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    (folder := tmp_path / "store").mkdir()
    child = FORK.Process(target=computing, args=(folder, log, 0.5))
    child.start()
    part = folder / f"{NAMES[0]}.part"
    until(lambda: part.exists() and part.stat().st_size == SIZE)
    store = FeatureStore(folder, SIZE)
    get(store, 1)  # what is being written counts, and stays
    assert kept(folder) == []
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert part.exists()
    get(store, 2)
    assert kept(folder) == [2]
    assert not part.exists()


def test_mapped_entries_of_one_process_bar_no_other(store: FeatureStore, tmp_path: Path) -> None:
    """The mapping of who computed it keeps the file open: its lock must be free all the same."""
    found = get(store)
    (tmp_path / f"{NAMES[0]}.features").unlink()
    child = FORK.Process(target=computing, args=(tmp_path, tmp_path / "log", 0.0))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert torch.equal(found[0], values(0)[0])


def circling(folder: Path) -> None:
    """Get entry after entry, more than there is room for, until killed."""
    torch.set_num_threads(1)
    store = FeatureStore(folder, 10 * 4 * 10**6 + 10**4)
    number = 0
    while True:
        name = address({"number": number % 30})
        (found,) = store.get(name, 200, lambda: iter([(torch.full((4, 5000), 7.0),)] * 50))
        assert found.eq(7).all()
        number += 1


def test_killed_at_any_instant_what_has_a_name_is_whole(tmp_path: Path) -> None:
    for kill in range(5):
        pair = [FORK.Process(target=circling, args=(tmp_path,)) for _ in range(2)]
        for child in pair:
            child.start()
        until(lambda: list(tmp_path.glob("*.features")))
        time.sleep(0.05 + 0.037 * kill)
        for child in pair:
            assert child.is_alive()
            child.kill()
            child.join(60)
        found = sorted(tmp_path.glob("*.features"))
        assert found
        for path in found:
            (value,) = open_entry(path, path.stem) or ()
            assert value.eq(7).all()
