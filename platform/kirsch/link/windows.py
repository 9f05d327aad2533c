"""Counters that begin anew with every window of time: what rate limits are made of. Pure: the clock is given."""

from __future__ import annotations

from collections.abc import Callable

KEPT = 100_000


class Windows:
    """All counters of a host; those whose window is over are forgotten when there are too many."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, tuple[float, int]] = {}

    def count(self, key: str, window_s: float, by: int = 1) -> tuple[int, float]:
        """Count *by* more of *key*; return how many there are in this window, and how long it lasts, in seconds."""
        now = self._now()
        ends, count = self._counts.get(key, (0.0, 0))
        if ends <= now:
            ends, count = now + window_s, 0
            if len(self._counts) >= KEPT:
                self._counts = {key: kept for key, kept in self._counts.items() if kept[0] > now}
        if len(self._counts) < KEPT or key in self._counts:
            self._counts[key] = (ends, count + by)
        return count + by, ends - now
