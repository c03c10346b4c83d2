"""Plans of how models are split, made once a run and read by all of its workers.

They are pickled: only the run's own processes can write to its folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from evoft.training.features.locks import held

_logger = logging.getLogger(__name__)
_Made = TypeVar("_Made")

#: Suffixes of finished plans, and of those that a process is making or died making.
_DONE, _MAKING = ".plan", ".planning"


class Plans:
    """What one worker knows of the run's plans.

    Args:
        folder: Where the run's plans are; None: each process makes its own.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, Any] = {}

    def get(
        self, name: str, make: Callable[[], _Made], alive: Callable[[], None] = lambda: None
    ) -> _Made:
        """Return what ``make`` returns, or returned to the worker that needed it first.

        Args:
            name: The digest of all that it follows from.
            make: Makes something that can be pickled; what cannot is made in each worker.
            alive: Called as a sign of life while another worker makes it.
        """
        if name not in self._known:
            self._known[name] = self._found(name, make, alive)
        known: _Made = self._known[name]
        return known

    def _found(self, name: str, make: Callable[[], _Made], alive: Callable[[], None]) -> _Made:
        if self._folder is None:
            return make()
        done, making = self._folder / f"{name}{_DONE}", self._folder / f"{name}{_MAKING}"
        made = _read(done)
        if made is None:
            try:
                with held(making, alive) as descriptor:
                    made = _read(done)  # another worker was at it, and we waited
                    if made is None:
                        made = make()
                        _write(descriptor, made)
                        making.rename(done)
                    else:
                        making.unlink(missing_ok=True)
            except ConnectionError:  # nobody is there to hear that we live
                raise
            except OSError as error:
                _logger.info("a plan is not shared: %s", error)
                with contextlib.suppress(OSError):  # a disk that takes nothing removes nothing
                    making.unlink(missing_ok=True)
        known: _Made = make() if made is None else made
        return known


def _read(path: Path) -> Any:
    """Return a plan that is there; None where it is not, or not whole."""
    try:
        return pickle.loads(path.read_bytes())
    except Exception:  # damage may show in any way
        return None


def _write(descriptor: int, made: Any) -> None:
    """Write a plan.

    Raises:
        OSError: It cannot be pickled, or the disk does not take it.
    """
    try:
        data = pickle.dumps(made)
    except Exception as error:  # the code of a model's own may be no module's
        raise OSError(f"it cannot be pickled ({error})") from error
    os.truncate(descriptor, 0)
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
