"""The workers of one pool: seats that are kept filled, slots that always point at somebody who answers.

Everything here runs in the supervisor's loop; nothing blocks but a spawn (a few milliseconds).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kirsch.errors import BootFailed, SuperviseError
from kirsch.link.order import SHED_SIGNAL
from kirsch.link.state import State
from kirsch.scoreboard import Counters, Handled
from kirsch.spec import Pool
from kirsch.supervise.alerts import Alerts
from kirsch.supervise.appmetrics import keep_app_metrics
from kirsch.supervise.ledger import Ledger
from kirsch.supervise.nursery import Nursery
from kirsch.supervise.report import describe_failure
from kirsch.supervise.retirement import Retirement
from kirsch.supervise.seat import Seat
from kirsch.supervise.site import Site
from kirsch.supervise.slots import Slots, spread
from kirsch.supervise.worker import Worker

#: The longest that a seat waits for its next worker, back-off or not, while the pool has nobody at all.
EMPTY_DELAY_S = 1.0


class Fleet:
    """One pool, running the release of *state* as *generation*."""

    def __init__(self, site: Site, state: State, pool: str, generation: int) -> None:
        self.site = site
        self.pool = pool
        self.seats: dict[int, Seat] = {}
        self.benched: dict[int, Worker] = {}
        """Workers of before by seat, without slots: they come back if their successors do not last."""
        self.restarts: dict[str, int] = {}
        """Ends of workers that nobody had asked for, by cause."""
        self.lost_requests = 0
        self.spec = state.stack.pools[pool]
        self.wanted = self.spec.workers.min
        """How many workers there shall be."""
        self.is_fixed = False
        """True when the operator has said how many; then their number does not follow the load."""
        self.is_paused = False
        """True while every request goes to the holding server."""
        self.load: float | None = None
        """How busy the pool was when it was looked at last; 1 is all that it can do."""
        self.queue_s: float | None = None
        """How long requests waited between nginx and a thread, in the mean, when it was looked at last."""
        self._closing = False
        self.retirement = Retirement(site)
        self.adopt_state(state, generation)
        keep_app_metrics(site.paths.app_metrics(pool))
        self.ledger = Ledger(site.paths.scoreboard(pool), self.spec)
        self.alerts = Alerts(pool, lambda: self.spec, lambda: site.launch(self.state, pool), site.events)
        self.nursery = Nursery(site, pool, self.ledger, self._on_change)

    def adopt_state(self, state: State, generation: int) -> None:
        """Take the pool's description from another state; the seats follow it."""
        self.wanted = self.wanted_under(state.stack.pools[self.pool])
        self.state = state
        self.generation = generation
        self.spec = state.stack.pools[self.pool]
        self.slots = Slots(self.site.paths, self.pool, self.spec.workers.max)
        for number in self.numbers:
            self.seats.setdefault(number, Seat(number))

    def wanted_under(self, spec: Pool) -> int:
        """How many workers there shall be when *spec* becomes the pool's description."""
        if self.wanted == self.spec.workers.min:
            return spec.workers.min
        return min(max(self.wanted, spec.workers.min), spec.workers.max)

    @property
    def holding_socket(self) -> str:
        """Where the supervisor itself listens for this pool."""
        return self.site.paths.holding_socket(self.pool)

    @property
    def numbers(self) -> range:
        """The seats that shall be filled."""
        return range(1, self.wanted + 1)

    @property
    def booting(self) -> set[Worker]:
        """Workers that are not yet anybody's to use."""
        return self.nursery.booting

    @property
    def retiring(self) -> set[Worker]:
        """Workers on their way out."""
        return self.retirement.retiring

    def everybody(self) -> Iterable[Worker]:
        """Every worker process of the pool that is alive."""
        seated = [seat.worker for seat in self.seats.values() if seat.worker is not None]
        return [*seated, *self.benched.values(), *self.booting - set(seated), *self.retiring]

    def serving(self) -> list[Worker]:
        """The workers that requests may go to: ready ones, without the ill ones as long as others are well.

        Where more than half are out by what their health checks say, these are all in again: they share what fails, and
        the rest would not bear the load.
        """
        seats = [seat for _, seat in sorted(self.seats.items()) if seat.is_ready and not seat.is_out]
        ready = [seat.worker for seat in seats if seat.worker is not None]
        well = [worker for worker in ready if not worker.is_ill]
        if 2 * len(well) < len(ready):
            well = [worker for worker in ready if not worker.is_ill or worker.is_unwell]
        return well or ready

    def counters(self) -> Counters:
        """What the pool has done since its board was made, by living and by ended workers."""
        return self.ledger.totals(self.everybody())

    def survey(self) -> tuple[Counters, tuple[Handled, ...]]:
        """The same in all, and by page handler."""
        return self.ledger.survey(self.everybody())

    # Birth

    async def boot(self, number: int, state: State, generation: int) -> Worker:
        """Start a worker for a seat and wait until it answers; it gets no slot before it is installed.

        Raises:
            BootFailed: it did not; its report is in the error, and nothing of it is left.
        """
        return await self.nursery.boot(number, state, generation)

    async def discard(self, worker: Worker) -> None:
        """Kill a worker that has no requests, or had its time."""
        await self.nursery.discard(worker)

    def keep_filled(self) -> None:
        """Start a worker for every seat that has none and waits for none."""
        for number in self.numbers:
            seat = self.seats.setdefault(number, Seat(number))
            if seat.worker is None and (seat.replacing is None or seat.replacing.done()):
                seat.replacing = asyncio.get_running_loop().create_task(self._replace(seat, 0.0))

    async def recycle(self, worker: Worker) -> None:
        """Put a fresh worker into the seat of *worker*, then let the old one finish.

        Raises:
            BootFailed: the fresh one did not come up; the old one stays.
        """
        fresh = await self.boot(worker.order.seat, self.state, self.generation)
        seat = self.seats.get(worker.order.seat)
        if worker.is_gone or self._closing or seat is None or seat.worker is not worker:
            await self.discard(fresh)  # its seat is being filled already
            return
        self.install({worker.order.seat: fresh})
        await self.retire(worker)

    # Seats and slots

    def install(self, newcomers: Mapping[int, Worker]) -> list[Worker]:
        """Seat booted workers and move the slots to them; return the workers that lost their seats."""
        replaced = []
        returned: dict[int, str | None] = {}
        for number, worker in newcomers.items():
            seat = self.seats.setdefault(number, Seat(number))
            seat.stop_replacing()
            if seat.worker is not None and seat.worker is not worker:
                replaced.append(seat.worker)
            seat.worker = worker
            seat.is_out = False
            seat.last_failure = None
            returned |= dict.fromkeys(seat.lent, worker.socket)
            seat.lent = ()
            self.booting.discard(worker)
        self.relink({old.socket: newcomers[old.order.seat].socket for old in replaced}, returned)
        return replaced

    def bench(self, workers: Iterable[Worker]) -> None:
        """Keep workers that lost their seats, idle: nobody new comes to them, and whoever is there goes in peace."""
        for worker in workers:
            waiting = self.benched.get(worker.order.seat)
            if waiting is not None and waiting is not worker:
                self.site.keep(self.retire(waiting))
            self.benched[worker.order.seat] = worker
            worker.signal(SHED_SIGNAL)
        self.site.on_change()

    def clear_bench(self) -> list[Worker]:
        """Give up those who wait; return them, to be retired."""
        waiting = [worker for worker in self.benched.values() if not worker.is_gone]
        self.benched.clear()
        return waiting

    def drop_seats_beyond(self) -> list[Worker]:
        """Take away the seats that are no longer asked for; return their workers."""
        gone = [self.seats.pop(number) for number in list(self.seats) if number not in self.numbers]
        for seat in gone:
            seat.stop_replacing()
        return [seat.worker for seat in gone if seat.worker is not None]

    def relink(
        self,
        heirs: Mapping[str | None, str | None] | None = None,
        returned: Mapping[int, str | None] | None = None,
    ) -> None:
        """Point every slot at somebody who answers: a worker, or the holding server when there is none.

        A slot stays with its worker, or goes to that one's heir; *returned* says who else should have which, if it is
        no more than its share.
        """
        workers = {worker.socket: worker for worker in self.serving() if worker.socket and not self.is_paused}
        if not workers:
            targets = dict.fromkeys(range(1, self.slots.count + 1), self.holding_socket)
        else:
            current = self.slots.targets()
            if heirs:
                current = {slot: heirs.get(socket) or socket for slot, socket in current.items()}
            current |= {slot: socket for slot, socket in (returned or {}).items() if socket is not None}
            targets = spread(self.slots.count, list(workers), current)
        before = self.slots.targets()
        moved = self.slots.point(targets)
        if moved:
            self._shed({before.get(slot) for slot in moved})
            to = sorted({worker.name for socket, worker in workers.items() if socket in targets.values()})
            self.site.events.say("linked", pool=self.pool, slots=moved, to=to or ["holding"])
        self.site.on_change()

    def _shed(self, losers: set[str | None]) -> None:
        """Have seated workers that lost a slot let go of their connections.

        nginx keeps those under the slot's name: under load they would never be idle, and whoever lent its socket to a
        dead sibling's slots would go on doing all the work beside the sibling's successor.
        """
        for seat in self.seats.values():
            if seat.worker is not None and seat.worker.state == "ready" and seat.worker.socket in losers:
                seat.worker.signal(SHED_SIGNAL)

    # How many

    async def scale(self, count: int) -> None:
        """Have *count* workers: new ones get slots when all of them are ready, those who are too many finish.

        Raises:
            BootFailed: a new one did not come up; their number stays as it was.
        """
        newcomers = await self._boot_all(range(self.wanted + 1, count + 1))
        self.wanted = count
        if newcomers:
            self.install(newcomers)
        else:
            gone = self.drop_seats_beyond()
            self.relink()
            for worker in gone:
                self.site.keep(self.retire(worker))
        self.keep_filled()
        self.site.events.say("scaled", pool=self.pool, workers=count)

    async def _boot_all(self, numbers: Iterable[int]) -> dict[int, Worker]:
        tasks = {n: asyncio.create_task(self.boot(n, self.state, self.generation)) for n in numbers}
        try:
            await asyncio.gather(*tasks.values())
        except BaseException:
            for task in tasks.values():
                task.cancel()
            done = await asyncio.gather(*tasks.values(), return_exceptions=True)
            await asyncio.gather(*[self.discard(worker) for worker in done if isinstance(worker, Worker)])
            raise
        booted = {number: task.result() for number, task in tasks.items()}
        dead = next((worker for worker in booted.values() if worker.is_gone), None)
        if dead is not None:
            await asyncio.gather(*[self.discard(worker) for worker in booted.values()])
            raise BootFailed(f"{dead.name} ended before its turn", worker=dead.name, report=describe_failure(dead))
        return booted

    # Death

    def _on_change(self, worker: Worker) -> None:
        if worker.is_gone:
            self._on_death(worker)
        elif worker.state != "ready" or worker not in self.booting:
            self.relink()

    def _on_death(self, worker: Worker) -> None:
        seat = self.seats.get(worker.order.seat)
        was_seated = seat is not None and seat.worker is worker
        if seat is not None and was_seated:
            seat.worker = None
            seat.lent = tuple(slot for slot, socket in self.slots.targets().items() if socket == worker.socket)
            self.relink()  # first of all: requests are on their way
        record = self.ledger.close(worker)
        keep_app_metrics(self.site.paths.app_metrics(self.pool))
        lost = tuple(f"{running.line} ({running.for_s:.2f} s)" for running in record.running)
        self.lost_requests += record.counters.in_flight
        worker.obituary = report = describe_failure(worker, lost)
        inside = [{"id": one.request_id, "line": one.line, "handler": one.handler} for one in record.running]
        worker.clean_up(self.nursery.order_path(worker.order))
        self.booting.discard(worker)
        self.retirement.forget(worker)
        if self.benched.get(worker.order.seat) is worker:
            del self.benched[worker.order.seat]
        details: dict[str, Any] = {"worker": worker.name, "pid": worker.pid, "message": str(worker.ending)}
        details["running"] = inside or None
        if seat is None or not was_seated or self._closing:
            self.site.events.say("stopped", state="stopped", **details)
        else:
            seat.last_failure = report
            self.site.events.say("died", state="failed", level=logging.ERROR, lost=list(lost), **details)
            cause = report["signal"] or (f"exit {report['exit_status']}" if report["exit_status"] is not None else "?")
            self.restarts[cause] = self.restarts.get(cause, 0) + 1
            seat.restarts += 1
            self._replace_later(seat, worker.ready_for_s)
        self.site.on_change()

    def _replace_later(self, seat: Seat, ready_for_s: float) -> None:
        if self._closing or seat.number not in self.numbers:
            return
        delay_s = seat.backoff.after_death(ready_for_s)
        if seat.backoff.is_parked:
            name = f"{self.pool}.{seat.number}"
            self.site.events.say("parked", worker=name, level=logging.ERROR, retry_s=round(delay_s, 1))
        if ready_for_s > 0 and not self.serving() and not self.booting:
            # a pool without anybody is worse than a loop; what never became ready is another matter: it cannot serve
            delay_s = min(delay_s, EMPTY_DELAY_S)
        seat.replacing = asyncio.get_running_loop().create_task(self._replace(seat, delay_s))

    async def _replace(self, seat: Seat, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            worker = await self.boot(seat.number, self.state, self.generation)
        except (SuperviseError, OSError, MemoryError) as error:  # whatever was short: the seat must not stay empty
            report = {"worker": f"{self.pool}.{seat.number}", "message": f"{type(error).__name__}: {error}"}
            seat.last_failure = dict(error.report) if isinstance(error, SuperviseError) else report
            self._replace_later(seat, 0.0)
            self.site.on_change()
            return
        if worker.is_gone:
            self._replace_later(seat, 0.0)
            return
        seat.replacing = None
        self.install({seat.number: worker})

    def forgive(self) -> None:
        """Forget crash loops: other code is coming."""
        for seat in self.seats.values():
            seat.backoff.forgive()

    # End

    async def retire(self, worker: Worker) -> None:
        """Let a worker finish what it has, and end it, by what the pool says of drain and quarantine."""
        await self.retirement.retire(worker, self.spec.drain_s, self.spec.quarantine_s)

    async def close(self, drain_s: float) -> None:
        """End every worker, the busy ones within *drain_s*."""
        self._closing = True
        self.alerts.close()
        for seat in self.seats.values():
            seat.stop_replacing()
        doomed = [seat.worker for seat in self.seats.values() if seat.worker is not None] + self.clear_bench()
        booting = [self.discard(worker) for worker in tuple(self.booting)]
        earlier = [self.retirement.hurry(worker, drain_s) for worker in tuple(self.retiring)]
        late = [self.retirement.retire(worker, drain_s) for worker in doomed]
        await asyncio.gather(*booting, *earlier, *late)
        for worker in list(self.everybody()):
            await self.discard(worker)
        await self.nursery.templates.keep_only(None)
        self.slots.remove()

    async def settle(self) -> None:
        """End what only the births of other generations need."""
        await self.nursery.templates.keep_only(self.generation)

    def adopt(self, worker: Worker, *, is_seated: bool) -> None:
        """Take over a living worker of an earlier supervisor."""
        self.ledger.claim(worker)
        if is_seated:
            self.seats.setdefault(worker.order.seat, Seat(worker.order.seat)).worker = worker
        else:
            self.retiring.add(worker)
        worker.watch(self._on_change)
