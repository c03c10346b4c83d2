"""Paths as users write them, where no shell has put their home in."""

from __future__ import annotations

import os
from pathlib import Path


def place(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home of its user for a leading ``~`` or ``~name``, as in a shell."""
    return Path(os.path.expanduser(path))
