"""Looking after workers that live: readiness, heartbeat, memory, age, deadlines, load. Once a second, never in a
request's way.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from kirsch.errors import SuperviseError
from kirsch.scoreboard import Running
from kirsch.supervise.appetite import Vitals, find_cause, is_beyond_bearing, share_of
from kirsch.supervise.autoscale import Autoscaler, Busy, Queue, measure
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.orphans import OrphanReaper
from kirsch.supervise.probe import ask
from kirsch.supervise.process import cpu_seconds, is_runnable, rss_bytes
from kirsch.supervise.pulse import Pulse
from kirsch.supervise.stuck import ask_for_stack, find_stuck
from kirsch.supervise.worker import Worker

log = logging.getLogger(__name__)

TICK_S = 1.0


def describe_running(one: Running) -> str:
    """Say which request that is: ``GET /report, request 5f0c, shop.web.Shop.report, 61 s``."""
    parts = [one.line, f"request {one.request_id}" if one.request_id else "", one.handler, f"{one.for_s:.0f} s"]
    return ", ".join(part for part in parts if part)


class Watch:
    """The eyes of the supervisor on all its fleets.

    Args:
        fleets: returns those that there are.
        change: held while somebody rolls or scales; nobody is recycled meanwhile.
        count_waiting: how many requests of a pool have no worker.
    """

    def __init__(
        self, fleets: Callable[[], Iterable[Fleet]], change: asyncio.Lock, count_waiting: Callable[[str], int]
    ) -> None:
        self._fleets = fleets
        self._change = change
        self._count_waiting = count_waiting
        self._orphans = OrphanReaper()
        self._scalers: dict[Fleet, Autoscaler] = {}
        self._queues: dict[Fleet, Queue] = {}
        self._cpu: dict[Worker, tuple[float, float]] = {}
        """When a worker was looked at last, and the processor time that it had used until then."""
        self._pulses: dict[Worker, Pulse] = {}
        self._told: set[Worker] = set()
        """Workers whose stuck requests were told of."""
        self._strikes: dict[Worker, int] = {}
        """Probes in a row that said the opposite of what is believed."""
        self._next_probe: dict[Worker, float] = {}
        self._probed: dict[Worker, asyncio.Task[None]] = {}
        """Workers that are asked just now; the look goes on meanwhile, as one that is stopped does not answer."""
        self._aside: set[asyncio.Task[None]] = set()
        self._recycling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Look, for ever."""
        try:
            while True:
                await asyncio.sleep(TICK_S)
                self._forget_the_gone()
                for fleet in tuple(self._fleets()):
                    self._look(fleet)
                everybody = [worker.pid for fleet in self._fleets() for worker in fleet.everybody()]
                self._orphans.look(everybody)
        finally:
            for probe in self._probed.values():
                probe.cancel()

    def _forget_the_gone(self) -> None:
        kept: tuple[dict[Worker, Any], ...] = (self._strikes, self._next_probe, self._probed, self._pulses, self._cpu)
        for table in kept:
            for worker in [worker for worker in table if worker.is_gone]:
                del table[worker]
        self._told = {worker for worker in self._told if not worker.is_gone}

    def _look(self, fleet: Fleet) -> None:
        for worker in tuple(fleet.everybody()):
            worker.refresh()
        seated = [seat.worker for seat in fleet.seats.values() if seat.worker is not None]
        ready = [worker for worker in seated if worker.state == "ready" and not worker.is_gone]
        for worker in ready:
            self._check_heartbeat(fleet, worker)
            self._check_deadlines(fleet, worker)
        self._check_appetites(fleet, ready)
        self._check_load(fleet, [worker for worker in fleet.serving() if worker.state == "ready"])
        for worker in ready:
            asked = self._probed.get(worker)
            if (asked is None or asked.done()) and self._next_probe.get(worker, 0.0) <= time.monotonic():
                self._probed[worker] = self._go_on(self._probe(fleet, worker))

    def _check_heartbeat(self, fleet: Fleet, worker: Worker) -> None:
        live = fleet.state.stack.health.live
        limit_s = max(3.0, live.interval_s * live.unhealthy)
        age_s = worker.board.glance(worker.order.record).heartbeat_age_s
        silent_s = self._pulses.setdefault(worker, Pulse()).look(
            time.monotonic(), age_s, cpu_s=cpu_seconds(worker.pid), is_runnable=is_runnable(worker.pid)
        )
        if silent_s > limit_s:
            fleet.site.events.say(
                "stuck", worker=worker.name, pid=worker.pid, level=logging.ERROR,
                message=f"no sign of life for {age_s:.0f} s: killed",
            )  # fmt: skip
            worker.signal(signal.SIGKILL)

    def _check_appetites(self, fleet: Fleet, workers: list[Worker]) -> None:
        """Recycle whoever has had enough, the oldest first: one that is soon hungry again must not starve the rest."""
        for worker in sorted(workers, key=lambda worker: -worker.ready_for_s):
            vitals = Vitals(
                rss_bytes(worker.pid),
                worker.board.progress(worker.order.record).finished,
                worker.ready_for_s,
                share_of(worker.ticks),
            )
            if is_beyond_bearing(fleet.spec, vitals):
                message = f"{vitals.rss_bytes} octets, over memory_hard: killed"
                fleet.site.events.say("memory", worker=worker.name, level=logging.ERROR, message=message)
                worker.signal(signal.SIGKILL)
                continue
            cause = find_cause(fleet.spec, vitals)
            if cause is not None and not self._is_busy():
                fleet.site.events.say("recycle", worker=worker.name, message=cause)
                self._recycling = self._go_on(self._recycle(fleet, worker))

    def _is_busy(self) -> bool:
        """True while somebody is recycled, or everybody is rolled: one at a time."""
        return self._change.locked() or (self._recycling is not None and not self._recycling.done())

    def _go_on(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return task

    async def _recycle(self, fleet: Fleet, worker: Worker) -> None:
        try:
            await fleet.recycle(worker)
        except SuperviseError as error:
            log.warning("worker=%s could not be recycled: %s", worker.name, error)

    def _check_deadlines(self, fleet: Fleet, worker: Worker) -> None:
        """Replace a worker with requests beyond their deadline, and tell where in the code they are."""
        stuck = find_stuck(worker.board.glance(worker.order.record).running, fleet.spec.request_deadline_s)
        if not stuck or worker in self._told or self._is_busy():
            return
        self._told.add(worker)
        requests = [describe_running(one) for one in stuck]
        self._recycling = self._go_on(self._unstick(fleet, worker, requests))

    async def _unstick(self, fleet: Fleet, worker: Worker, requests: list[str]) -> None:
        stack = await ask_for_stack(worker)
        fleet.site.events.say(
            "stuck", worker=worker.name, pid=worker.pid, level=logging.ERROR, requests=requests, stack=stack,
            message=f"beyond request_deadline_s={fleet.spec.request_deadline_s:g}: {', '.join(requests)}; is replaced",
        )  # fmt: skip
        await self._recycle(fleet, worker)

    def _check_load(self, fleet: Fleet, workers: list[Worker]) -> None:
        now = time.monotonic()
        busy = [self._measure(worker, now) for worker in workers]
        fleet.load = measure([one for one in busy if one is not None], self._count_waiting(fleet.pool))
        counters = fleet.counters()
        fleet.queue_s = self._queues.setdefault(fleet, Queue()).look(counters.waited_s, counters.waits)
        scaler = self._scalers.setdefault(fleet, Autoscaler())
        if fleet.is_fixed or fleet.is_paused or self._is_busy() or len(workers) < fleet.wanted:
            scaler.rest()
            return
        wanted = scaler.decide(fleet.spec.scale, fleet.spec.workers, fleet.wanted, fleet.load, now, fleet.queue_s)
        if wanted != fleet.wanted:
            message = f"load {fleet.load:.2f}, wait {fleet.queue_s * 1000:.0f} ms: {fleet.wanted} to {wanted} workers"
            fleet.site.events.say("autoscale", pool=fleet.pool, message=message)
            self._go_on(self._scale(fleet, wanted))

    def _measure(self, worker: Worker, now: float) -> Busy | None:
        used = cpu_seconds(worker.pid)
        at, before = self._cpu.get(worker, (now, used))
        self._cpu[worker] = (now, used)
        if at == now:
            return None  # seen for the first time
        in_flight = worker.board.progress(worker.order.record).in_flight
        return Busy(in_flight, worker.order.threads, (used - before) / (now - at))

    async def _scale(self, fleet: Fleet, wanted: int) -> None:
        async with self._change:
            try:
                await fleet.scale(wanted)
            except SuperviseError as error:
                log.warning("pool=%s could not be scaled to %s: %s", fleet.pool, wanted, error)

    async def _probe(self, fleet: Fleet, worker: Worker) -> None:
        ready = fleet.state.stack.health.ready
        self._next_probe[worker] = time.monotonic() + ready.interval_s - TICK_S / 2
        status = await ask(worker.socket or "", ready.path, ready.timeout_s, worker.order.protocol)
        if status is None and worker.board.progress(worker.order.record).in_flight >= worker.order.threads:
            return  # no thread is free to answer: that is load, and no illness
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
