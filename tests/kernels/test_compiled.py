"""Where numba can keep nothing on disk, kernels work all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
from evoft.kernels.compiled import compiled
from evoft.kernels.ranking import ranks_of
print(ranks_of([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]).tolist())
"""


def ranked(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_where_there_is_no_folder_to_keep_them_in_kernels_are_compiled_anew(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    # The only place that numba may look at, and there can be no folder in a file.
    nowhere = {
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
        "NUMBA_CACHE_DIR": str(file / "cache"),
    }
    assert ranked(**nowhere) == "[0, 0, 1]\n"


def test_what_was_compiled_is_kept(tmp_path: Path) -> None:
    assert ranked(NUMBA_CACHE_DIR=str(tmp_path)) == "[0, 0, 1]\n"
    kept = {path.name.split("-")[0] for path in tmp_path.rglob("*.nbi")}
    assert "dominance.staircase_ranks" in kept
