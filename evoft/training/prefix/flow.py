"""Maximum flow, and the minimum cut nearest to the sink."""

from __future__ import annotations

from collections import deque

#: A capacity without limit.
INFINITE = 2**62


class UnlimitedError(ValueError):
    """A way from source to sink has no limit."""


class Network:
    """Maximum flow by shortest augmenting paths (Edmonds and Karp 1972)."""

    def __init__(self) -> None:
        self._left: dict[object, dict[object, int]] = {"source": {}, "sink": {}}

    def edge(self, start: object, end: object, capacity: int) -> None:
        """Add an edge."""
        self._left.setdefault(start, {})[end] = capacity
        self._left.setdefault(end, {}).setdefault(start, 0)

    def saturate(self) -> set[object]:
        """Push all that passes; return what can still reach the sink.

        Raises:
            UnlimitedError: A way from source to sink has no limit.
        """
        while path := self._path():
            amount = min(self._left[a][b] for a, b in path)
            if amount >= INFINITE:
                raise UnlimitedError
            for a, b in path:
                self._left[a][b] -= amount
                self._left[b][a] += amount
        return self._draining()

    def _path(self) -> list[tuple[object, object]]:
        before: dict[object, object] = {"source": None}
        queue: deque[object] = deque(["source"])
        while queue and "sink" not in before:
            reached = queue.popleft()
            for there, left in self._left[reached].items():
                if left > 0 and there not in before:
                    before[there] = reached
                    queue.append(there)
        path: list[tuple[object, object]] = []
        here: object = "sink"
        while here in before and here != "source":
            path.append((before[here], here))
            here = before[here]
        return path

    def _draining(self) -> set[object]:
        found: set[object] = {"sink"}
        queue: deque[object] = deque(["sink"])
        while queue:
            here = queue.popleft()
            for there in self._left[here]:
                if there not in found and self._left[there][here] > 0:
                    found.add(there)
                    queue.append(there)
        return found
