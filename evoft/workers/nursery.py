"""The nursery: a process that has imported what workers need, and forks them from that.

``main`` is started by the parent, in a Python of its own, with one end of a socket.  It imports
the modules it is told to, once (torch and timm take five seconds), then forks a worker a request,
which takes a tenth of one.  It is not multiprocessing's fork server because that imports the
user's ``__main__`` again, which runs a script without a ``__main__`` guard a second time.

It dies with its parent, and its workers die with it; then it removes what the parent bequeathed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from evoft.scratch import remove
from evoft.workers.heap import leave_to_others

_MESSAGE = 1 << 20
_PR_SET_PDEATHSIG = 1
#: What each worker needs for its first trial, whatever that is.
_NEEDED = ("cloudpickle", "evoft.workers.process")
#: Seconds that a process may take to end.
_PATIENCE = 2.0


def main() -> None:
    """Serve fork requests on the socket whose descriptor is the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: set[int] = set()
    legacy: list[Path] = []
    try:
        _serve(control, children, legacy)
    finally:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:  # or they would stay as zombies where nobody else waits for them
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        for folder in legacy:
            remove(folder)
        # Not by way of the interpreter's end, where libraries tell of what they leak.
        sys.stderr.flush()
        os._exit(0)


def _serve(control: socket.socket, children: set[int], legacy: list[Path]) -> None:
    while True:
        data, fds, _, _ = socket.recv_fds(control, _MESSAGE, 1)
        if not data:
            return
        request: dict[str, Any] = json.loads(data)
        try:
            answer = _answer(request, fds, children, legacy, control)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(BrokenPipeError):
            control.sendall(json.dumps(answer).encode() + b"\n")


def _answer(
    request: dict[str, Any],
    fds: list[int],
    children: set[int],
    legacy: list[Path],
    control: socket.socket,
) -> dict[str, Any]:
    match request["do"]:
        case "prepare":
            for name in (*_NEEDED, *request["preload"]):
                importlib.import_module(name)
            gc.collect()
            gc.freeze()  # a worker's collector then leaves the shared pages alone
            return {}
        case "share":
            return {"fd": fds[0]}
        case "bequeath":
            legacy.append(Path(request["folder"]))
            return {}
        case "fork":
            pid = os.fork()
            if pid == 0:
                _become_worker(control, fds[0], request["environment"])
            os.close(fds[0])
            children.add(pid)
            return {"pid": pid}
        case "bury":
            children.discard(request["pid"])
            return {"status": _bury(request["pid"])}
    raise ValueError(f"the nursery cannot {request['do']!r}")


def _bury(pid: int) -> int | None:
    """Return what ``_exit_status`` does; a child that goes on without a connection is killed."""
    status = _exit_status(pid)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        _exit_status(pid)
    return status


def _exit_status(pid: int) -> int | None:
    """Return a dead child's exit code, or its signal as a negative number; None if it lives."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def _speak_in_lines() -> None:
    """Have what is printed go out line by line, even where the environment wants it unbuffered.

    A line that goes out in pieces is mixed with those of other workers.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)


def _become_worker(control: socket.socket, fd: int, environment: dict[str, str]) -> None:
    code = 1
    try:
        control.close()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        leave_to_others(os.environ)
        os.environ.update(environment)
        _speak_in_lines()
        from evoft.workers.process import serve

        serve(Connection(fd))
        code = 0
    except (BrokenPipeError, ConnectionResetError):
        code = 0  # the parent is gone
    except BaseException as error:
        print(f"evoft worker: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
