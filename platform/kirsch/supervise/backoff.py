"""When a seat may start its next worker: at once after a first death, then later and later."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
#: So many deaths within the window are a loop; the seat is parked and tried again once a while.
LOOP_DEATHS = 6
LOOP_WINDOW_S = 120.0
PARKED_RETRY_S = 60.0
#: A worker that was ready for this long has proved itself: its seat's history is forgotten.
PROVED_S = 60.0


@dataclass
class Backoff:
    """The memory of one seat; *clock* and *jitter* (a number from 0 to 1) are replaced in tests."""

    clock: Callable[[], float] = monotonic
    jitter: Callable[[], float] = random.random
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=LOOP_DEATHS))

    def after_death(self, ready_for_s: float) -> float:
        """Count a death after so many seconds of being ready; return how many to wait before the next start."""
        if ready_for_s >= PROVED_S:
            self.deaths.clear()
        self.deaths.append(self.clock())
        if self.is_parked:
            return PARKED_RETRY_S * (1 + 0.25 * self.jitter())
        if len(self.deaths) == 1 and ready_for_s > 0:
            return 0.0
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (len(self.deaths) - 1))
        return delay * (1 + 0.25 * self.jitter())

    @property
    def is_parked(self) -> bool:
        """True in a crash loop."""
        return len(self.deaths) == LOOP_DEATHS and self.deaths[-1] - self.deaths[0] <= LOOP_WINDOW_S

    def forgive(self) -> None:
        """Forget the past: a roll brings other code."""
        self.deaths.clear()
