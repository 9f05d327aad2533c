"""What the supervisor remembers for those who look at it: the last hour, the deploys, the configuration in effect.

The last hour is handed to the next version at an upgrade, and to whoever comes after a supervisor that left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kirsch.link.state import write_whole
from kirsch.observe.deploys import Deploys
from kirsch.observe.effective import Effective
from kirsch.observe.failures import Failures
from kirsch.observe.history import History, Sample
from kirsch.scoreboard import Counters
from kirsch.spec import HostPaths
from kirsch.supervise.events import Events
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.holding import HoldingServer

EVERY_S = 1.0
#: Summing up a large stack takes its time; no more than this share of the supervisor's.
SHARE = 0.02


class Chronicle:
    """Writes the history of a stack, beginning with what a supervisor before has left of it."""

    def __init__(self, paths: HostPaths, events: Events, started: float) -> None:
        self.history = History(started)
        self.deploys = Deploys(paths.history)
        self.effective = Effective()
        self.failures = Failures(paths.workers)
        self._kept = f"{paths.run}/history.json"
        events.listen(self.history.mark)

    async def write(self, sample: Callable[[], Sample]) -> None:
        """Go on from what was kept, and write, for ever."""
        with contextlib.suppress(OSError):
            self.history.take_up(Path(self._kept).read_bytes(), time.time())
            os.unlink(self._kept)
        while True:
            began = time.monotonic()
            self.history.record(time.time(), sample())
            await asyncio.sleep(max(EVERY_S, (time.monotonic() - began) / SHARE))

    def keep(self) -> None:
        """Leave the history to the next supervisor."""
        with contextlib.suppress(OSError):  # a full disk is no reason not to go
            write_whole(self._kept, self.history.to_json())


def take_sample(fleets: Iterable[Fleet], holdings: Iterable[HoldingServer]) -> Sample:
    """Return what all pools have counted until now."""
    fleets, holdings = tuple(fleets), tuple(holdings)
    counters = sum((fleet.counters() for fleet in fleets), Counters())
    return Sample(
        counters=counters,
        unanswered=sum(fleet.lost_requests for fleet in fleets) + sum(holding.refused for holding in holdings),
        in_flight=counters.in_flight,
        held=sum(holding.held for holding in holdings),
    )
