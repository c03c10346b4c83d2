"""The parent's end of the nursery: it asks for workers and for memory that they share."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.errors import StorageError, WorkerError
from evoft.shared import SharedArray
from evoft.workers.heap import keeping_freed
from evoft.workers.room import make_room
from evoft.workers.visibility import visible

_logger = logging.getLogger(__name__)

#: Names of what a worker's threads are counted by; one each, for results must not depend on it.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Nursery:
    """The parent's end of the nursery process."""

    def __init__(self, preload: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        self._environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        command = [sys.executable, "-c", _program(), str(theirs.fileno())]
        try:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=keeping_freed(self._environment),
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            ours.close()
            raise WorkerError(f"no worker process can be started: {error}") from error
        finally:
            theirs.close()
        self._control = ours
        self._told = False  # that arrays are on disk
        self._answers = ours.makefile("rb")
        # The imports go on while the parent does other things: the answer is read when needed.
        self._preparing = True
        self._send({"do": "prepare", "preload": list(preload)})

    def _send(self, request: dict[str, Any], fd: int | None = None) -> None:
        data = json.dumps(request).encode()
        try:
            socket.send_fds(self._control, [data], [] if fd is None else [fd])
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerError(self._obituary()) from None

    def _receive(self) -> dict[str, Any]:
        line = b""
        with contextlib.suppress(ConnectionResetError):
            line = self._answers.readline()
        if not line:
            raise WorkerError(self._obituary())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"worker processes cannot be started: {answer['error']}")
        return answer

    def _obituary(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        return f"the process that starts workers died (exit code {self._process.returncode})"

    def ask(self, request: dict[str, Any], fd: int | None = None) -> dict[str, Any]:
        """Send a request and return its answer."""
        if self._preparing:
            self._preparing = False
            self._receive()
        self._send(request, fd)
        return self._receive()

    def fork(self, device: str) -> tuple[int, Connection]:
        """Start a worker that sees no GPU but its own; return its process id and our end."""
        request = {"do": "fork", "environment": visible(device, self._environment)}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            pid = self.ask(request, theirs.fileno())["pid"]
            return pid, Connection(ours.detach())

    def share(self, shape: tuple[int, ...], dtype: str) -> tuple[SharedArray, NDArray[np.generic]]:
        """Return a new array of zeros as workers started from now on find it, and as we do."""
        size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
        file, said = make_room(size)
        with file:
            fd = self.ask({"do": "share"}, file.fileno())["fd"]
            try:
                here = SharedArray(file.fileno(), shape, dtype).open(writable=True)
            except OSError as error:
                raise StorageError(
                    f"{size / 2**20:.0f} MiB of images cannot be mapped ({error.strerror}): use "
                    "fewer images (--max-train-images) or a smaller --img-size"
                ) from error
        if said and not self._told:
            self._told = True
            _logger.warning("%s", said)
        return SharedArray(fd, shape, dtype), here

    def close(self) -> None:
        """End the nursery; its workers go with it."""
        self._answers.close()
        self._control.close()
        if self._preparing:
            self._process.kill()  # it has no workers yet, and its imports may take seconds more
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _program() -> str:
    # By our own path: ``python -m`` would look in the current folder first, for the standard
    # library too, and not where a script that changed ``sys.path`` found evoft.
    path = [str(folder) for folder in sys.path]
    return f"import sys; sys.path[:] = {path!r}; from evoft.workers.nursery import main; main()"
