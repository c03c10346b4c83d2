"""A stop that comes at a bad moment waits until the moment is over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: What stops a run from outside.
_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back what SIGINT and SIGTERM raise until the end of the context.

    Compiled code may drop an exception that it has no way to pass on, and go on with half of what
    it was doing.  Python runs handlers of signals on the main thread alone: elsewhere nothing is
    raised.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    # What Python code does not handle (None, SIG_DFL, SIG_IGN) raises nothing in it.
    handlers = {number: signal.getsignal(number) for number in _STOPS}
    held = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in held:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for late in dict.fromkeys(came):
            signal.raise_signal(late)
