"""The workers of one pool: seats that are kept filled, slots that always point at somebody who answers.

Everything here runs in the supervisor's loop; nothing blocks but a spawn (a few milliseconds).
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kirsch.errors import BootFailed, SuperviseError
from kirsch.link.order import LAST_WORDS_S, SHED_SIGNAL, Limits, Order
from kirsch.link.state import State
from kirsch.scoreboard import Counters
from kirsch.spec import HostPaths
from kirsch.supervise.events import Events
from kirsch.supervise.ledger import Ledger
from kirsch.supervise.probe import ask
from kirsch.supervise.rundir import RunDir
from kirsch.supervise.seat import Seat
from kirsch.supervise.slots import Slots, spread
from kirsch.supervise.worker import Launch, Worker

#: A worker has this much longer than its drain time before it is killed: its own deadline should come first.
KILL_MARGIN_S = 5.0
GATE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Site:
    """What all fleets of a host share."""

    paths: HostPaths
    rundir: RunDir
    events: Events
    launch: Callable[[State, str], Launch]
    """How the workers of a state's pool are started."""
    on_change: Callable[[], None]
    """Called when workers came, went or changed."""


class Fleet:
    """One pool, running the release of *state* as *generation*."""

    def __init__(self, site: Site, state: State, pool: str, generation: int) -> None:
        self.site = site
        self.pool = pool
        self.seats: dict[int, Seat] = {}
        self.retiring: set[Worker] = set()
        self.booting: set[Worker] = set()
        self.restarts: dict[str, int] = {}
        """Ends of workers that nobody had asked for, by cause."""
        self.lost_requests = 0
        self._closing = False
        self.adopt_state(state, generation)
        self.ledger = Ledger(site.paths.scoreboard(pool), self.spec)

    def adopt_state(self, state: State, generation: int) -> None:
        """Take the pool's description from another state; the seats follow it."""
        self.state = state
        self.generation = generation
        self.spec = state.stack.pools[self.pool]
        self.slots = Slots(self.site.paths, self.pool, self.spec.workers.max)
        for number in range(1, self.spec.workers.min + 1):
            self.seats.setdefault(number, Seat(number))

    @property
    def holding_socket(self) -> str:
        """Where the supervisor itself listens for this pool."""
        return self.site.paths.holding_socket(self.pool)

    @property
    def numbers(self) -> range:
        """The seats that the pool's description asks for."""
        return range(1, self.spec.workers.min + 1)

    def everybody(self) -> Iterable[Worker]:
        """Every worker process of the pool that is alive."""
        seated = [seat.worker for seat in self.seats.values() if seat.worker is not None]
        return [*seated, *self.booting - set(seated), *self.retiring]

    def serving(self) -> list[Worker]:
        """The workers that requests may go to: ready ones, without the ill ones as long as others are well."""
        ready = [
            seat.worker
            for _, seat in sorted(self.seats.items())
            if seat.worker is not None and seat.worker.state == "ready" and not seat.worker.is_gone
        ]
        return [worker for worker in ready if not worker.is_ill] or ready

    def counters(self) -> Counters:
        """What the pool has done since its board was made, by living and by ended workers."""
        return self.ledger.totals(self.everybody())

    # Birth

    async def boot(self, number: int, state: State, generation: int) -> Worker:
        """Start a worker for a seat and wait until it answers; it gets no slot before it is installed.

        Raises:
            BootFailed: it did not; its report is in the error, and nothing of it is left.
        """
        worker = self._spawn(number, state, generation)
        self.booting.add(worker)
        self.site.on_change()
        self.site.events.say("booting", worker=worker.name, pid=worker.pid, release=state.release, state="booting")
        try:
            await self._wait_until_ready(worker, state)
        except BootFailed:
            raise
        except BaseException:
            await self.discard(worker)
            raise
        took = time.time() - worker.started
        self.site.events.say("ready", worker=worker.name, pid=worker.pid, state="ready", duration_s=round(took, 3))
        return worker

    def _spawn(self, number: int, state: State, generation: int) -> Worker:
        spec = state.stack.pools[self.pool]
        bodies = [vhost.max_body for vhost in state.stack.vhosts.values()]
        record = self.ledger.take()
        order = Order(
            stack=state.stack.name,
            pool=self.pool,
            seat=number,
            record=record,
            generation=generation,
            release=state.release,
            release_dir=state.release_dir,
            shared_dir=self.site.paths.shared,
            socket_dir=self.site.paths.workers,
            scoreboard=self.ledger.path,
            apps=state.stack.apps_of(self.pool),
            engine=spec.engine,
            threads=spec.threads,
            limits=Limits(
                body_bytes=max(map(int, bodies), default=0),
                request_deadline_s=spec.request_deadline_s,
                drain_s=spec.drain_s,
            ),
        )
        try:
            worker = Worker.spawn(order, self.site.launch(state, self.pool), self.ledger.board, self._order_path(order))
        except (OSError, KeyError) as error:
            self.ledger.release(record)
            message = f"cannot be started{f' as user {spec.user}' if spec.user else ''}: {error}"
            report = {"worker": order.name, "step": "spawn", "message": message, "output": "", "traceback": None}
            self.site.events.say("failed", worker=order.name, level=logging.ERROR, state="failed", message=message)
            raise BootFailed(f"{order.name} {message}", worker=order.name, report=report) from error
        worker.watch(self._on_change)
        return worker

    async def _wait_until_ready(self, worker: Worker, state: State) -> None:
        spec = state.stack.pools[self.pool]
        deadline = time.monotonic() + spec.boot_timeout_s
        while worker.state == "booting" and not worker.is_gone:
            left = deadline - time.monotonic()
            if left <= 0 or not await worker.wait_for_change(left):
                worker.message = f"not ready after {spec.boot_timeout_s:g} s; it was at: {worker.step}"
                break
        problem = await self._problem_of(worker, state)
        if problem is None:
            return
        if worker.state == "failed":  # it is leaving: its own exit status tells more than our signal
            await worker.wait_until_gone(LAST_WORDS_S + 1.0)
        await self.discard(worker)
        report = worker.describe_failure() | {"message": worker.message or problem}
        self.site.events.say(
            "failed", worker=worker.name, state="failed", level=logging.ERROR, step=worker.step, message=problem
        )
        raise BootFailed(f"{worker.name} did not become ready: {problem}", worker=worker.name, report=report)

    async def _problem_of(self, worker: Worker, state: State) -> str | None:
        """Say why a worker that ended its boot cannot serve; None if it can: it says ready, and answers."""
        if worker.state != "ready" or worker.is_gone or worker.socket is None:
            why = worker.message or (str(worker.ending) if worker.ending else worker.state)
            return f"{worker.step}: {why}" if worker.step else why
        self.site.rundir.admit_nginx(worker.socket)
        path = state.stack.health.ready.path
        deadline = time.monotonic() + state.stack.pools[self.pool].boot_timeout_s
        while True:
            status = await ask(worker.socket, path, GATE_TIMEOUT_S)
            if status is not None and 200 <= status < 300:
                return None
            if worker.is_gone or time.monotonic() > deadline:
                said = "does not answer" if status is None else f"answers {status}"
                return f"GET {path} {said}" if not worker.is_gone else str(worker.ending)
            await asyncio.sleep(0.1)

    # Slots

    def install(self, newcomers: Mapping[int, Worker]) -> list[Worker]:
        """Seat booted workers and move the slots to them; return the workers that lost their seats."""
        replaced = []
        returned: dict[int, str | None] = {}
        for number, worker in newcomers.items():
            seat = self.seats.setdefault(number, Seat(number))
            if seat.replacing is not None:
                seat.replacing.cancel()
                seat.replacing = None
            if seat.worker is not None:
                replaced.append(seat.worker)
            seat.worker = worker
            seat.last_failure = None
            returned |= dict.fromkeys(seat.lent, worker.socket)
            seat.lent = ()
            self.booting.discard(worker)
        self.relink({old.socket: newcomers[old.order.seat].socket for old in replaced}, returned)
        return replaced

    def drop_seats_beyond(self) -> list[Worker]:
        """Take away the seats that the description no longer asks for; return their workers."""
        gone = [self.seats.pop(number) for number in list(self.seats) if number not in self.numbers]
        for seat in gone:
            if seat.replacing is not None:
                seat.replacing.cancel()
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
        workers = {worker.socket: worker for worker in self.serving() if worker.socket}
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
        lost = tuple(f"{running.line} ({running.for_s:.2f} s)" for running in record.running)
        self.lost_requests += record.counters.in_flight
        worker.clean_up(self._order_path(worker.order))
        was_retiring = worker in self.retiring
        was_booting = worker in self.booting
        self.booting.discard(worker)
        self.retiring.discard(worker)
        details: dict[str, Any] = {"worker": worker.name, "pid": worker.pid, "message": str(worker.ending)}
        if was_retiring or was_booting or self._closing:
            self.site.events.say("stopped", state="stopped", **details)
        elif seat is not None and was_seated:
            report = worker.describe_failure(lost)
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
        seat.replacing = asyncio.get_running_loop().create_task(self._replace(seat, delay_s))

    async def _replace(self, seat: Seat, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            worker = await self.boot(seat.number, self.state, self.generation)
        except SuperviseError as error:
            seat.last_failure = dict(error.report)
            self._replace_later(seat, 0.0)
            self.site.on_change()
            return
        if worker.is_gone:
            self._replace_later(seat, 0.0)
            return
        seat.replacing = None
        self.install({seat.number: worker})

    async def recycle(self, worker: Worker) -> None:
        """Put a fresh worker into the seat of *worker*, then let the old one finish.

        Raises:
            BootFailed: the fresh one did not come up; the old one stays.
        """
        fresh = await self.boot(worker.order.seat, self.state, self.generation)
        if worker.is_gone or self._closing:
            await self.discard(fresh)  # its seat is being filled already
            return
        self.install({worker.order.seat: fresh})
        await self.retire(worker, self.spec.drain_s)

    def keep_filled(self) -> None:
        """Start a worker for every seat that has none and waits for none."""
        for number in self.numbers:
            seat = self.seats.setdefault(number, Seat(number))
            if seat.worker is None and (seat.replacing is None or seat.replacing.done()):
                seat.replacing = asyncio.get_running_loop().create_task(self._replace(seat, 0.0))

    def forgive(self) -> None:
        """Forget crash loops: other code is coming."""
        for seat in self.seats.values():
            seat.backoff.forgive()

    # End

    async def retire(self, worker: Worker, drain_s: float) -> None:
        """Let a worker finish what it has, and end it; after *drain_s* and a margin it is killed."""
        self.retiring.add(worker)
        if worker.state in {"ready", "booting"}:
            worker.state, worker.since = "draining", time.time()
        self.site.events.say("draining", worker=worker.name, pid=worker.pid, state="draining")
        worker.signal(signal.SIGTERM)
        if await worker.wait_until_gone(drain_s + KILL_MARGIN_S):
            return
        running = worker.board.read(worker.order.record).running
        self.site.events.say(
            "killed", worker=worker.name, level=logging.WARNING, message=f"did not drain in {drain_s:g} s",
            inside=[f"{request.line} ({request.for_s:.0f} s)" for request in running],
        )  # fmt: skip
        await self.discard(worker)

    async def discard(self, worker: Worker) -> None:
        """Kill a worker that has no requests, or had its time."""
        worker.signal(signal.SIGKILL)
        await worker.wait_until_gone(10.0)
        self.booting.discard(worker)

    async def close(self, drain_s: float) -> None:
        """End every worker, the busy ones within *drain_s*."""
        self._closing = True
        for seat in self.seats.values():
            if seat.replacing is not None:
                seat.replacing.cancel()
        doomed = [seat.worker for seat in self.seats.values() if seat.worker is not None]
        booting = [self.discard(worker) for worker in tuple(self.booting)]
        earlier = [worker.wait_until_gone(drain_s + KILL_MARGIN_S) for worker in self.retiring]
        await asyncio.gather(*booting, *earlier, *[self.retire(worker, drain_s) for worker in doomed])
        for worker in list(self.everybody()):
            await self.discard(worker)
        self.slots.remove()

    def adopt(self, worker: Worker, *, is_seated: bool) -> None:
        """Take over a living worker of an earlier supervisor."""
        self.ledger.claim(worker)
        if is_seated:
            self.seats.setdefault(worker.order.seat, Seat(worker.order.seat)).worker = worker
        else:
            self.retiring.add(worker)
        worker.watch(self._on_change)

    def _order_path(self, order: Order) -> str:
        return f"{self.site.paths.workers}/{order.name}.r{order.record}.json"
