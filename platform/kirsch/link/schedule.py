"""Functions that one process of many calls, again and again: by an interval, or by a cron expression."""

from __future__ import annotations

import datetime
import inspect
import logging
import threading
import time
import zoneinfo
from collections.abc import Callable
from typing import Any

from cronsim import CronSim, CronSimError

from kirsch.errors import BusError
from kirsch.link import wire

log = logging.getLogger(__name__)

#: The longest sleep before a cron job: the wall clock may be set meanwhile.
LOOK_EVERY_S = 30.0

#: Returns, for a Unix time, how long to sleep, and the slot to run then; no slot: only look at the clock again.
Plan = Callable[[float], tuple[float, float | None]]


class Every:
    """Every so many seconds; the hub keeps two calls apart, whoever makes them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def next_after(self, wall: float) -> tuple[float, float | None]:
        """Return how long to sleep; there are no slots."""
        return self.seconds, None


class Cron:
    """By a cron expression; each of its times is a slot that one process takes.

    Source: crontab(5). In the hour that a clock is set back by, jobs of fixed hours run once; in the one that is left
    out they run right after it.
    """

    def __init__(self, expression: str, timezone: str | None) -> None:
        self.expression = expression
        self.timezone = zoneinfo.ZoneInfo(timezone) if timezone else None

    def next_after(self, wall: float) -> tuple[float, float]:
        """Return how long to sleep from the Unix time *wall*, and the Unix time of the slot."""
        here = datetime.datetime.fromtimestamp(wall, datetime.UTC).astimezone(self.timezone)
        slot = next(CronSim(self.expression, here)).timestamp()
        return max(0.0, slot - wall), slot


def read_schedule(every: float | None, cron: str | None, timezone: str | None) -> Every | Cron:
    """Return what says when.

    Raises:
        BusError: kind ``bad_schedule``.
    """
    if (every is None) == (cron is None):
        raise BusError("once wants every=SECONDS, or cron=EXPRESSION", kind="bad_schedule")
    try:
        if cron is not None:
            schedule = Cron(cron, timezone)
            schedule.next_after(0.0)
            return schedule
    except (CronSimError, zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise BusError(
            f"cron {cron!r} in {timezone or 'the zone of the machine'}: {error}; allowed: five fields like "
            '"30 3 * * mon-fri", zones like "Europe/Berlin"',
            kind="bad_schedule",
        ) from error
    if not isinstance(every, int | float) or every <= 0:
        raise BusError(f"every={every!r}: allowed: seconds, more than 0", kind="bad_schedule")
    return Every(every)


class Schedule:
    """One function and its thread, from the start of the bus to its stop.

    Args:
        cluster: whose ``run_once`` decides.
        function: without parameters, or with one for the lease.
        plan: when.
        wall: Unix time.
    """

    def __init__(
        self,
        cluster: Any,
        function: Callable[..., Any],
        plan: Every | Cron,
        name: str,
        scope: wire.Scope,
        ttl_s: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.cluster = cluster
        self.function = function
        self.plan = plan
        self.name = name
        self.scope = scope
        self.ttl_s = ttl_s
        self._wall = wall
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def subscribe(self) -> None:
        """Begin with the bus; at once if that runs."""
        bus = self.cluster.bus
        bus.subscribe("start", self.start, 70)
        bus.subscribe("stop", self.stop)
        if bus.state is bus.states.STARTED:
            self.start()

    def start(self) -> None:
        """Begin."""
        if self._thread is None or not self._thread.is_alive():
            self._over = threading.Event()
            self._thread = threading.Thread(
                target=self._work, args=(self._over,), name=f"once {self.name}", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Begin nothing any more; what runs goes on to its end."""
        self._over.set()
        self._thread = None

    def _work(self, over: threading.Event) -> None:
        while not over.is_set():
            self.step(over.wait)

    def step(self, wait: Callable[[float], bool]) -> bool:
        """Wait until the next time, or for a part of it, and run if it is our turn; *wait* says True at the end."""
        began = self._wall()
        delay_s, slot = self.plan.next_after(began)
        if slot is None:
            return not wait(delay_s) and self._run(slot)
        if wait(min(delay_s, LOOK_EVERY_S)):
            return False
        # a clock that was set back, or a sleep that was cut, leads here before the time
        return self._wall() >= slot and self._run(slot)

    def _run(self, slot: float | None) -> bool:
        every_s = self.plan.seconds if isinstance(self.plan, Every) else 0.0
        try:
            ran: bool = self.cluster.run_once(
                self.function, self.name, scope=self.scope, ttl_s=self.ttl_s, every_s=every_s, slot=slot
            )
        except Exception:  # the wall of a job: its next time comes
            log.exception("once %s failed", self.name)
            return True
        return ran


def name_of(function: Callable[..., Any]) -> str:
    """Return ``shop.jobs.reindex``."""
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"


def wants_lease(function: Callable[..., Any]) -> bool:
    """True for a function with a parameter that has to be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        one.default is one.empty and one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD} for one in parameters
    )
