"""Ctrl-C while evoft is still being imported ends it as at any other time."""

import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import evoft

#: Stops at the first import of a module, and says that it is there.
SLOW = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
"""
#: What the installed command does.
COMMAND = "from evoft.cli.start import main; main()"


@pytest.mark.parametrize("module", ["numpy", "click"])
def test_it_ends_without_a_traceback(tmp_path, module):
    (tmp_path / "sitecustomize.py").write_text(SLOW.format(module=module))
    path = os.pathsep.join([str(tmp_path), str(Path(evoft.__file__).parents[1])])
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--help"], env={**os.environ, "PYTHONPATH": path},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err) == ("", "")


def test_the_command_that_is_installed_is_the_one_tried_here():
    (installed,) = entry_points(group="console_scripts", name="evoft")
    assert installed.value == "evoft.cli.start:main"


def test_a_package_offers_what_it_names():
    for name in evoft.__all__:
        assert getattr(evoft, name).__name__ == name
        assert name in dir(evoft)
    assert evoft.lineage.Population is evoft.Population
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = evoft.nosuch
