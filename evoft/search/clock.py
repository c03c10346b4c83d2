"""The search's own clock, by which it knows what has ended when the next stint is decided.

On it a stint lasts as long as it costs, and ``lookahead + 1`` stints run at a time.  When all
places are taken, the next stint is decided from exactly those that have ended when the first of
them falls free.  It does not matter how many workers there really are and who finishes first: that
only decides how long the search waits.  Where all stints cost the same, each is decided from all
but the ``lookahead`` before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from evoft.search.stint import Stint


class Clock:
    """The stints in flight, by the time at which they end.

    Args:
        places: How many run at a time, at least 1.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._running: list[tuple[float, int]] = []
        self._now = 0.0

    @property
    def running(self) -> list[int]:
        """Numbers of the stints in flight, in the order in which they end."""
        return [number for _, number in sorted(self._running)]

    def start(self, stint: Stint) -> None:
        """Take a stint that begins now."""
        heapq.heappush(self._running, (self._now + stint.cost, stint.number))

    def ended(self) -> Iterator[int]:
        """Yield the numbers of the stints that end before the next one can begin."""
        while len(self._running) >= self._places:
            yield self.wait()

    def wait(self) -> int:
        """Let the next stint in flight end, though places are free; return its number."""
        self._now, number = heapq.heappop(self._running)
        return number
