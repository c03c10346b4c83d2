"""Commands without the seconds that imports take: forked from a process that has made them.

A warm command is a process like one that a terminal starts: with arguments, a folder, a process
group and descriptors of its own, and its own nursery and workers. Only the interpreter is not new,
in the command as in the nursery. The command does not have the modules that only the nursery may
import; where it asks for one, it imports it again, and that shows.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

#: What a command imports by and by, none of which imports torch.
LIGHT = (
    "evoft.cli.main",
    "evoft.library",
    "evoft.fine_tuning.session",
    "evoft.fine_tuning.exporting",
    "evoft.workers.nursery",
    "scipy.stats.qmc",
    "sklearn",
)
#: Commands that import torch themselves, and so have it.
HEAVY_COMMANDS = ("predict", "evaluate")
HEAVY = ("torch", "torchvision", "timm", "functorch", "torchgen")


def hide(before: set[str]) -> dict[str, ModuleType]:
    """Take away, and return, the modules of a nursery that no command has."""
    names = [
        name for name in sys.modules
        if name.partition(".")[0] in HEAVY or (name.startswith("evoft.") and name not in before)
    ]  # fmt: skip
    return {name: sys.modules.pop(name) for name in names}


class ForkedNursery:
    """As much of a ``subprocess.Popen`` as starting a nursery takes."""

    #: The modules that a nursery is told to import.
    modules: dict[str, ModuleType]

    def __init__(
        self, command: list[str], *, pass_fds: list[int], env: dict[str, str],
        stdin: int, start_new_session: bool,
    ) -> None:  # fmt: skip
        assert (stdin, start_new_session) == (subprocess.DEVNULL, True)
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(command, pass_fds, env)

    def _become(self, command: list[str], fds: list[int], env: dict[str, str]) -> NoReturn:
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            as_at_the_start(keep={0, 1, 2, *fds})
            os.environ.clear()
            os.environ.update(env)
            sys.modules.update(self.modules)
            _, option, program, *rest = command
            sys.argv = [option, *rest]
            exec(program, {"__name__": "__main__"})
        finally:
            os._exit(1)

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, 0 if end is None else os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("nursery", timeout or 0.0)
            else:
                time.sleep(0.005)
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def as_at_the_start(keep: set[int]) -> None:
    """Make signals and descriptors what they are in a new interpreter."""
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.unraisablehook = sys.__unraisablehook__
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:  # that of the listing itself
                continue


def become_command(request: dict[str, Any], fds: list[int]) -> NoReturn:
    """Run a command as the installed one does, and end as an interpreter ends."""
    code: Any = 1
    try:
        os.setpgid(0, 0)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        for fd, standard in zip(fds, (1, 2), strict=True):
            os.dup2(fd, standard)
        as_at_the_start(keep={0, 1, 2})
        from evoft.cli.main import main
        from evoft.workers import forking

        names = {name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}
        forking.subprocess = SimpleNamespace(Popen=ForkedNursery, **names)  # type: ignore[attr-defined]
        sys.argv = request["arguments"]
        if sys.argv[1] in HEAVY_COMMANDS:
            sys.modules.update(ForkedNursery.modules)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve(control: socket.socket) -> None:
    """Fork a command a request, one after the other; answer with its id and its exit code."""
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1 << 20, 2)
        if not data:
            return
        request = json.loads(data)
        pid = os.fork()
        if pid == 0:
            become_command(request, fds)
        for fd in fds:
            os.close(fd)
        control.sendall(json.dumps({"pid": pid}).encode() + b"\n")
        _, status = os.waitpid(pid, 0)
        answer = {"code": os.waitstatus_to_exitcode(status)}
        control.sendall(json.dumps(answer).encode() + b"\n")


def prepare() -> None:
    """Import what commands and nurseries need, and part the two."""
    for name in LIGHT:
        importlib.import_module(name)
    from evoft.fine_tuning.preparation import PRELOAD

    before = set(sys.modules)
    for name in PRELOAD:
        importlib.import_module(name)
    ForkedNursery.modules = hide(before)


if __name__ == "__main__":
    # A grandchild, so that who counts the children of the tests does not see it.
    if os.fork():
        os._exit(0)
    os.setsid()
    sys.path.pop(0)  # the folder of this file, which no command has
    prepare()
    with socket.socket(fileno=int(sys.argv[1])) as listened:
        serve(listened)
