"""How often nginx is reloaded: many who want it at once share one reload, and a budget spreads the rest.

Each reload closes idle connections of clients, forgets those to the workers, and leaves the old processes beside the
new ones for as long as their longest request: three at once are no harm, one a second all day is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

IN_A_ROW = 3
"""Reloads that are done at once before any has to wait."""

EVERY_S = 5.0
"""Seconds until one more is allowed."""

Result = TypeVar("Result")


class Budget:
    """A number of acts at once, and one more every so many seconds; *clock* and *sleep* are the monotonic ones."""

    def __init__(
        self,
        in_a_row: int = IN_A_ROW,
        every_s: float = EVERY_S,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._most = float(in_a_row)
        self._every_s = every_s
        self._clock = clock
        self._sleep = sleep
        self._left = self._most
        self._seen = clock()

    def delay_s(self) -> float:
        """How long an act would have to wait now."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._seen) / self._every_s)
        self._seen = now
        return max(0.0, (1.0 - self._left) * self._every_s)

    def wait(self) -> None:
        """Wait until an act is allowed."""
        while (delay_s := self.delay_s()) > 0:
            self._sleep(delay_s)

    def spend(self) -> None:
        """Count an act, allowed or not: going back to what served before never waits."""
        self.delay_s()
        self._left -= 1.0


class Coalescer(Generic[Result]):
    """Work that is wanted while other work waits or runs is done once for all who want it, the newest of it."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._next: _Round[Result] | None = None

    @property
    def waiting(self) -> int:
        """How many wait for an act that has not begun."""
        with self._lock:
            return self._next.asked if self._next is not None else 0

    def run(self, work: Callable[[], Result]) -> Result:
        """Do *work*, or have newer work of somebody else's done in its place; the result, or the error, of what was
        done.
        """
        with self._lock:
            if self._next is None:
                mine, leads = _Round[Result](work), True
                self._next = mine
            else:
                mine, leads = self._next, False
                mine.work = work
            mine.asked += 1
        if not leads:
            return mine.wait()
        with self._turn:
            # whoever comes until now is served by this round; who comes later may want something newer
            self.budget.wait()
            with self._lock:
                self._next = None
            mine.do()
        return mine.wait()


class _Round(Generic[Result]):
    """One act and everybody who waits for it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self.work = work
        self.asked = 0
        self._is_over = threading.Event()
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def do(self) -> None:
        """Do it; nobody who waits is left without an end."""
        try:
            self._results.append(self.work())
        except BaseException as error:  # handed to everybody who waits, in their own threads
            self._error = error
        finally:
            self._is_over.set()

    def wait(self) -> Result:
        """The result, or the error."""
        self._is_over.wait()
        if self._error is not None:
            raise self._error
        return self._results[0]
