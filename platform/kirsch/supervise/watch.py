"""Looking after workers that live: readiness, heartbeat, memory, age. Once a second, never in a request's way."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable

from kirsch.errors import SuperviseError
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.probe import ask
from kirsch.supervise.process import rss_bytes
from kirsch.supervise.worker import Worker

log = logging.getLogger(__name__)

TICK_S = 1.0
#: When a tick comes this late the machine slept, and everybody's heartbeat is old.
SLEPT_S = 5.0


class Watch:
    """The eyes of the supervisor on all its fleets.

    Args:
        fleets: returns those that there are.
        change: held while somebody rolls or scales; nobody is recycled meanwhile.
    """

    def __init__(self, fleets: Callable[[], Iterable[Fleet]], change: asyncio.Lock) -> None:
        self._fleets = fleets
        self._change = change
        self._strikes: dict[Worker, int] = {}
        """Probes in a row that said the opposite of what is believed."""
        self._next_probe: dict[Worker, float] = {}
        self._recycling: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look, for ever."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            slept, last = now - last > SLEPT_S, now
            for fleet in tuple(self._fleets()):
                await self._look(fleet, trust_heartbeats=not slept)

    async def _look(self, fleet: Fleet, *, trust_heartbeats: bool) -> None:
        for worker in tuple(fleet.everybody()):
            worker.refresh()
        seated = [seat.worker for seat in fleet.seats.values() if seat.worker is not None]
        ready = [worker for worker in seated if worker.state == "ready" and not worker.is_gone]
        self._strikes = {worker: count for worker, count in self._strikes.items() if not worker.is_gone}
        self._next_probe = {worker: at for worker, at in self._next_probe.items() if not worker.is_gone}
        for worker in ready:
            if trust_heartbeats:
                self._check_heartbeat(fleet, worker)
            self._check_appetite(fleet, worker)
        due = [worker for worker in ready if self._next_probe.get(worker, 0.0) <= time.monotonic()]
        await asyncio.gather(*[self._probe(fleet, worker) for worker in due])

    def _check_heartbeat(self, fleet: Fleet, worker: Worker) -> None:
        live = fleet.state.stack.health.live
        limit_s = max(3.0, live.interval_s * live.unhealthy)
        age_s = worker.board.read(worker.order.record).heartbeat_age_s
        if age_s > limit_s and worker.ready_for_s > limit_s:
            fleet.site.events.say(
                "stuck", worker=worker.name, level=logging.ERROR, message=f"no sign of life for {age_s:.0f} s: killed"
            )
            worker.signal(signal.SIGKILL)

    def _check_appetite(self, fleet: Fleet, worker: Worker) -> None:
        spec = fleet.spec
        rss = rss_bytes(worker.pid)
        if spec.memory_hard is not None and rss > spec.memory_hard:
            fleet.site.events.say(
                "memory", worker=worker.name, level=logging.ERROR, message=f"{rss} octets, over memory_hard: killed"
            )
            worker.signal(signal.SIGKILL)
            return
        cause = None
        if spec.memory_soft is not None and rss > spec.memory_soft:
            cause = f"{rss} octets, over memory_soft"
        elif spec.max_requests is not None:
            # a tenth more for each seat, so that they do not all go at once
            limit = int(spec.max_requests * (1 + 0.1 * ((worker.order.seat - 1) % 10)))
            count = worker.board.counters(worker.order.record).finished
            cause = f"{count} requests, over max_requests" if count >= limit else None
        if cause is not None and not self._recycling and not self._change.locked():
            task = asyncio.get_running_loop().create_task(self._recycle(fleet, worker, cause))
            self._recycling.add(task)
            task.add_done_callback(self._recycling.discard)

    async def _recycle(self, fleet: Fleet, worker: Worker, cause: str) -> None:
        fleet.site.events.say("recycle", worker=worker.name, message=cause)
        try:
            await fleet.recycle(worker)
        except SuperviseError as error:
            log.warning("worker=%s could not be recycled: %s", worker.name, error)

    async def _probe(self, fleet: Fleet, worker: Worker) -> None:
        ready = fleet.state.stack.health.ready
        self._next_probe[worker] = time.monotonic() + ready.interval_s - TICK_S / 2
        status = await ask(worker.socket or "", ready.path, ready.timeout_s)
        is_good = status is not None and 200 <= status < 300
        if is_good != worker.is_ill:
            self._strikes.pop(worker, None)  # as believed
            return
        strikes = self._strikes[worker] = self._strikes.get(worker, 0) + 1
        if strikes >= (ready.healthy if worker.is_ill else ready.unhealthy) and not worker.is_gone:
            self._strikes.pop(worker, None)
            worker.is_ill = not worker.is_ill
            said = f"GET {ready.path} answers {status}" if status is not None else f"GET {ready.path} has no answer"
            level = logging.ERROR if worker.is_ill else logging.INFO
            fleet.site.events.say("ill" if worker.is_ill else "well", worker=worker.name, level=level, message=said)
            fleet.relink()
