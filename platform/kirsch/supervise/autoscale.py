"""How many workers a pool needs, by its load; decisions only, no clock of its own.

Load is 1 when the pool does all that it can: every thread is busy, or every worker has a whole processor (Python code
of one process runs on one), or requests wait for a worker. Beside it counts how long requests wait between nginx and a
thread: bursts, and workers that are fuller than others, show there first. It has to stay high, or low, for a while
before anything happens, and the same while again before the next step: that, and the gap between the two marks, keeps
it from swinging.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kirsch.spec.pool import Scaling, Workers

#: A pool does not shrink while requests wait for longer than this part of ``queue_s``.
QUIET_QUEUE = 0.25


@dataclass(frozen=True, slots=True)
class Busy:
    """One worker, over the time since it was looked at last."""

    in_flight: int
    threads: int
    cpu_share: float
    """Processor time by time: 1 for one whole processor."""

    @property
    def load(self) -> float:
        """Whichever is nearer to its end, threads or processor."""
        return min(1.0, max(self.in_flight / self.threads, self.cpu_share))


def measure(workers: Iterable[Busy], waiting: int) -> float:
    """Return the load of a pool; *waiting* requests that have no worker at all make it 1."""
    loads = [worker.load for worker in workers]
    if waiting:
        return 1.0
    return sum(loads) / len(loads) if loads else 0.0


class Queue:
    """How long requests of one pool wait for a thread: from the scoreboard's sums to the mean between two looks."""

    def __init__(self) -> None:
        self._before = (0.0, 0)

    def look(self, waited_s: float, waits: int) -> float:
        """Return the mean wait of those that were measured since the look before; 0 where there were none."""
        (sum_before, count_before), self._before = self._before, (waited_s, waits)
        count = waits - count_before
        return max(0.0, (waited_s - sum_before) / count) if count > 0 else 0.0


class Autoscaler:
    """The memory of one pool: since when its load is high, or low."""

    def __init__(self) -> None:
        self._high_since: float | None = None
        self._low_since: float | None = None

    def decide(
        self, scaling: Scaling, bounds: Workers, wanted: int, load: float, now: float, queue_s: float = 0.0
    ) -> int:
        """Return how many workers there shall be, from *wanted* now, the *load* and the wait at the moment *now*."""
        if not scaling.auto or bounds.min == bounds.max:
            self.rest()
            return wanted
        is_high = load >= scaling.up_at or queue_s >= scaling.queue_s
        is_low = load < scaling.down_at and queue_s < scaling.queue_s * QUIET_QUEUE
        if is_high and wanted < bounds.max:
            self._low_since = None
            self._high_since = now if self._high_since is None else self._high_since
            if now - self._high_since >= scaling.up_after_s:
                self.rest()
                return min(bounds.max, max(wanted + 1, math.ceil(wanted * load / scaling.up_at)))
        elif wanted > bounds.min and is_low and load * wanted / (wanted - 1) < scaling.up_at:
            self._high_since = None
            self._low_since = now if self._low_since is None else self._low_since
            if now - self._low_since >= scaling.down_after_s:
                self.rest()
                return wanted - 1
        else:
            self.rest()
        return min(max(wanted, bounds.min), bounds.max)

    def rest(self) -> None:
        """Begin to look anew."""
        self._high_since = self._low_since = None
