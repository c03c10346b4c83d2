"""What ``import evoft`` offers by name, and what is said of what is not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import evoft


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'evoft' has no attribute 'evolver'"):
        evoft.evolver  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(evoft, "__wrapped__")


def test_a_part_that_lacks_what_it_needs_says_what_that_is() -> None:
    code = (
        "import sys, evoft\n"
        "sys.modules['h5py'] = None\n"
        "try:\n    evoft.lineage\n"
        "except ModuleNotFoundError as error:\n    print('needs', error.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "needs h5py\n"), done.stderr


def test_the_command_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evoft", "show", "nowhere.h5"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "evoft: there is no population file nowhere.h5\n"
