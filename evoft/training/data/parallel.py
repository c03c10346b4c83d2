"""One task for each of many images, on a few threads, with the first failure in their order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

#: Images a thread takes at a time: enough that handing them out costs nothing, few enough that
#: progress is seen.
_CHUNK = 16


def for_each(
    count: int,
    task: Callable[[int], T],
    *,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
    at_a_time: int = _CHUNK,
) -> list[T]:
    """Return ``[task(0), ..., task(count - 1)]``.

    Args:
        count: How many tasks there are.
        task: Called with each index, on any thread.
        threads: How many threads work, at least 1.
        progress: Called on this thread with how many tasks have ended so far, and how many there
            are.
        at_a_time: How many tasks a thread takes at a time.

    Raises:
        Exception: What the first failing task in order of index raised, whichever failed first
            by the clock, so that the same data always gives the same message.
    """

    def several(start: int) -> list[T]:
        return [task(i) for i in range(start, min(start + at_a_time, count))]

    results: list[T] = []
    pool = ThreadPoolExecutor(max_workers=threads)
    try:
        for future in [pool.submit(several, start) for start in range(0, count, at_a_time)]:
            results += future.result()
            if progress is not None:
                progress(len(results), count)
    finally:
        # Also after a failure or Ctrl-C: what has not begun never begins.
        pool.shutdown(cancel_futures=True)
    return results
