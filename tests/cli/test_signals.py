"""A stop that comes where Python drops exceptions is not lost, nor is output that is refused."""

import os
import signal
import subprocess
import sys

import pytest

#: Gets the signal in a weak reference's callback, then waits as for a trial.
SCRIPT = """
import signal, sys, time, weakref
import click
from evoft.cli import main

@click.command()
def waiting():
    class Thing: pass
    thing = Thing()
    number = signal.Signals(int(sys.argv[1]))
    kept = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    time.sleep(30)

main.group.add_command(waiting)
main.main(["waiting"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_in_a_callback(number, code):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(int(number))], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
@pytest.mark.parametrize("arguments", [["space"], ["--help"], ["--version"]])
def test_output_that_a_full_disk_refuses(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "evoft", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 6
    assert done.stderr == "evoft: what it prints cannot be written (No space left on device)\n"
