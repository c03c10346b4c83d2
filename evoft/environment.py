"""Which versions a run was made with, read without importing any of them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("evoft", "deap", "h5py", "numpy", "optuna", "scipy", "timm", "torch", "torchvision")


def evoft_version() -> str:
    """Return the installed version of evoft."""
    return _version("evoft")


def versions() -> dict[str, str]:
    """Return Python's, the platform's and the libraries' versions by name."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    return found | {name: _version(name) for name in _LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
