"""What is to be done later, in the order of its time. Pure: the clock is given, and somebody else watches it."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timers:
    """Acts by the moment when they are due."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = 0

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        self._ticket += 1
        heapq.heappush(self._due, (self._now() + delay_s, self._ticket, act))

    def next_due(self) -> float | None:
        """Return when there is something to do, by the clock."""
        return self._due[0][0] if self._due else None

    def tick(self) -> None:
        """Do what is due."""
        while self._due and self._due[0][0] <= self._now():
            heapq.heappop(self._due)[2]()
