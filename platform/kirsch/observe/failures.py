"""The last failed requests that workers have kept, for those who look again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kirsch.observe.captures import SUFFIX, Capture, load_captures

SHOWN = 12
EVERY_S = 2.0


class Failures:
    """Reads the files of a *folder* anew when one is another than before, every two seconds at most."""

    def __init__(self, folder: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._looked = -EVERY_S
        self._seen: list[tuple[str, int]] = []
        self._found: tuple[Capture, ...] = ()

    def last(self) -> tuple[Capture, ...]:
        """Return the last failures, the newest first."""
        now = self._clock()
        if now - self._looked < EVERY_S:
            return self._found
        self._looked = now
        seen = self._signature()
        if seen != self._seen:
            self._found = tuple(load_captures(self._folder)[:SHOWN])
            self._seen = seen
        return self._found

    def _signature(self) -> list[tuple[str, int]]:
        found = []
        for path in Path(self._folder).glob(f"*{SUFFIX}"):
            try:
                found.append((path.name, path.stat().st_mtime_ns))
            except OSError:  # gone meanwhile
                continue
        return sorted(found)
