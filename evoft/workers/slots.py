"""The slots of a pool: each has a device and, once it is needed, a living worker process."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoft.shared import SharedArray
from evoft.workers.forking import Nursery
from evoft.workers.worker import Worker


class Slots:
    """Worker processes, at most one a slot: forked when they are needed, killed and buried.

    Args:
        devices: One a slot.
        preload: Modules that are imported once, before any worker starts.

    Raises:
        WorkerError: The processes cannot be started.
    """

    def __init__(self, devices: Sequence[str], preload: Sequence[str]) -> None:
        self._devices = list(devices)
        self._workers: dict[int, Worker] = {}
        self._nursery = Nursery(preload)

    def __len__(self) -> int:
        return len(self._devices)

    @property
    def workers(self) -> list[Worker]:
        """The living workers."""
        return list(self._workers.values())

    @property
    def working(self) -> list[Worker]:
        """Those of them that have something to do."""
        return [worker for worker in self._workers.values() if worker.trials]

    def move(self, devices: Sequence[str]) -> None:
        """Have workers on these devices from now on, one a slot."""
        if list(devices) != self._devices:
            self._kill_all()
            self._devices = list(devices)

    def shrink(self, count: int) -> None:
        """Have only the first so many slots from now on; whoever works in another ends its job."""
        self._devices = self._devices[: max(1, count)]
        self._retire()

    def share(self, shape: tuple[int, ...], dtype: str) -> tuple[SharedArray, NDArray[np.generic]]:
        """Return a new array of zeros that workers started from now on can open, and fill it here.

        Raises:
            StorageError: There is not that much room.
        """
        shared, here = self._nursery.share(shape, dtype)
        self._kill_all()  # they were forked before it was there
        return shared, here

    def bequeath(self, folder: Path) -> None:
        """Have a `Scratch` folder removed after the last worker, even if this process is killed."""
        self._nursery.ask({"do": "bequeath", "folder": str(folder)})

    def idle_worker(self, kin: Hashable = None) -> Worker:
        """Return an idle worker, a living one if there is one: the last to have had this kin."""
        self._retire()
        idle = [worker for worker in self._workers.values() if not worker.trials]
        if idle:
            return max(idle, key=lambda worker: worker.had.get(kin, 0))
        slot = next(i for i in range(len(self._devices)) if i not in self._workers)
        worker = Worker(slot, *self._nursery.fork(self._devices[slot]))
        self._workers[slot] = worker
        return worker

    def lives(self, worker: Worker) -> bool:
        """Tell whether a worker has not been buried."""
        return self._workers.get(worker.slot) is worker

    def kill(self, worker: Worker) -> None:
        """End a worker at once, whatever it is at."""
        _strike(worker)
        self.bury(worker)

    def bury(self, worker: Worker) -> str:
        """Forget a worker whose connection has ended; return what it died of."""
        self._workers.pop(worker.slot, None)
        worker.connection.close()
        status = self._nursery.ask({"do": "bury", "pid": worker.pid})["status"]
        if status is None:
            return "it closed its connection"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"it exited with code {status}"

    def close(self) -> None:
        """Kill all workers, at once, and the nursery."""
        for worker in self.workers:
            _strike(worker)
            worker.connection.close()
        self._workers.clear()
        self._nursery.close()

    def _retire(self) -> None:
        """End the idle workers whose slot is no more."""
        for worker in self.workers:
            if worker.slot >= len(self._devices) and not worker.trials:
                self.kill(worker)

    def _kill_all(self) -> None:
        for worker in self.workers:
            self.kill(worker)


def _strike(worker: Worker) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGKILL)
