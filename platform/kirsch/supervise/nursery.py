"""Births of one pool: a worker is spawned, watched through its boot, asked once, and only then anybody's to use.

Whoever does not come through leaves nothing behind but its report.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from kirsch.errors import BootFailed, SuperviseError
from kirsch.link.order import LAST_WORDS_S, Limits, Order
from kirsch.link.state import State
from kirsch.observe.captures import CAPTURED_BODY_BYTES, prune_captures
from kirsch.supervise.bounds import bind
from kirsch.supervise.ledger import Ledger
from kirsch.supervise.probe import ask
from kirsch.supervise.report import describe_checks, describe_ending, describe_failure, environment_difference
from kirsch.supervise.site import Site
from kirsch.supervise.template import Templates
from kirsch.supervise.worker import Launch, Worker

GATE_TIMEOUT_S = 5.0
GATE_EVERY_S = 0.1


class Nursery:
    """Boots the workers of one pool.

    Args:
        site: the host.
        pool: its name.
        ledger: gives each worker its record.
        on_change: told of every change of a worker born here, also long after its boot.
    """

    def __init__(self, site: Site, pool: str, ledger: Ledger, on_change: Callable[[Worker], None]) -> None:
        self.site = site
        self.pool = pool
        self.ledger = ledger
        self.on_change = on_change
        self.templates = Templates(site, pool)
        self.booting: set[Worker] = set()
        self._good_environ: Mapping[str, str] | None = None
        """What the last worker that became ready was given."""
        self._proved = -1
        """The generation of the last worker that passed its readiness probe."""

    async def boot(self, number: int, state: State, generation: int) -> Worker:
        """Start a worker for a seat and wait until it answers; it gets no slot before it is installed.

        Raises:
            BootFailed: it did not; its report is in the error, and nothing of it is left.
        """
        worker = await self._spawn(number, state, generation)
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
        self._good_environ = worker.environ
        self.site.events.say("ready", worker=worker.name, pid=worker.pid, state="ready", duration_s=round(took, 3))
        return worker

    async def discard(self, worker: Worker) -> None:
        """Kill a worker that has no requests, or had its time."""
        await worker.end()
        self.booting.discard(worker)

    def order_path(self, order: Order) -> str:
        """The file that a worker's order is written to."""
        return f"{self.site.paths.workers}/{order.name}.r{order.record}.json"

    def _order(self, number: int, state: State, generation: int) -> Order:
        spec = state.stack.pools[self.pool]
        bodies = [vhost.max_body for vhost in state.stack.vhosts.values()]
        routes = [route for app in state.stack.apps_of(self.pool) for route in app.routes.values()]
        bodies += [route.max_body for route in routes if route.max_body is not None]
        return Order(
            stack=state.stack.name,
            pool=self.pool,
            seat=number,
            record=self.ledger.take(),
            generation=generation,
            release=state.release,
            release_dir=state.release_dir,
            shared_dir=self.site.paths.shared,
            socket_dir=self.site.paths.workers,
            scoreboard=self.ledger.path,
            apps=state.stack.apps_of(self.pool),
            engine=spec.engine,
            protocol=spec.protocol,
            engine_options=spec.engine_options,
            threads=spec.threads,
            log=spec.log,
            access_log=spec.access_log,
            capture=spec.capture,
            capture_body_bytes=min(int(spec.capture_body or 0), CAPTURED_BODY_BYTES),
            public_host=_public_host(state),
            bus_socket=self.site.paths.bus_socket,
            limits=Limits(
                body_bytes=max(map(int, bodies), default=0),
                request_deadline_s=spec.request_deadline_s,
                drain_s=spec.drain_s + spec.quarantine_s,
            ),
        )

    async def _spawn(self, number: int, state: State, generation: int) -> Worker:
        try:
            order = self._order(number, state, generation)
        except SuperviseError as error:
            raise BootFailed(str(error), worker=f"{self.pool}.{number}", report={"message": str(error)}) from error
        spec = state.stack.pools[self.pool]
        try:
            worker = await self._bear(order, state, self.site.launch(state, self.pool))
            worker.watch(self.on_change)
        except (OSError, KeyError, SuperviseError) as error:
            self.ledger.release(order.record)
            who = f" as user {spec.user}" if spec.user else f" as group {spec.group}" if spec.group else ""
            message = f"cannot be started{who}: {error}"
            report = {"worker": order.name, "step": "spawn", "message": message, "output": "", "traceback": None}
            self.site.events.say("failed", worker=order.name, level=logging.ERROR, state="failed", message=message)
            raise BootFailed(f"{order.name} {message}", worker=order.name, report=report) from error
        except BaseException:
            self.ledger.release(order.record)
            raise
        self.booting.add(worker)
        prune_captures(self.site.paths.workers, order.name)
        for problem in bind(worker.pid, spec, number):
            self.site.events.say("unbound", worker=worker.name, level=logging.WARNING, message=problem)
        worker.may_begin()
        return worker

    async def _bear(self, order: Order, state: State, launch: Launch) -> Worker:
        """Have a process forked where the pool has a template, else started."""
        template = await self.templates.find(order, state, launch)
        if template is not None:
            try:
                return await Worker.fork(template, order, launch, self.ledger.board, self.order_path(order))
            except OSError as error:
                await self.templates.give_up(order.generation, f"{order.name} is started by itself: {error}")
        return Worker.spawn(order, launch, self.ledger.board, self.order_path(order))

    async def _wait_until_ready(self, worker: Worker, state: State) -> None:
        spec = state.stack.pools[self.pool]
        deadline = time.monotonic() + spec.boot_timeout_s
        while worker.state in {"booting", "warming"} and not worker.is_gone:
            left = deadline - time.monotonic()
            if left <= 0 or not await worker.wait_for_change(left):
                worker.message = f"not ready after {spec.boot_timeout_s:g} s; it was at: {worker.step}"
                break
        problem = await self._problem_of(worker, state)
        if problem is None:
            return
        if worker.state == "failed":  # it is leaving: its own exit status tells more than our signal
            await worker.wait_until_gone(LAST_WORDS_S + 1.0)
        report = describe_failure(worker)  # before its socket is taken away
        await self.discard(worker)
        report |= describe_failure(worker) | {
            "listening": report["listening"],
            "message": worker.message or problem,
            "environment": environment_difference(self._good_environ, worker.environ),
        }
        self.site.events.say(
            "failed", worker=worker.name, state="failed", level=logging.ERROR, step=worker.step, message=problem
        )
        raise BootFailed(f"{worker.name} did not become ready: {problem}", worker=worker.name, report=report)

    async def _problem_of(self, worker: Worker, state: State) -> str | None:
        """Say why a worker that ended its boot cannot serve; None if it can: it says ready, and answers."""
        if worker.state != "ready" or worker.is_gone or worker.socket is None:
            why = worker.message or (describe_ending(worker) if worker.ending else worker.state)
            return f"{worker.step}: {why}" if worker.step else why
        self.site.rundir.admit_nginx(worker.socket)
        path = state.stack.health.ready.path
        deadline = time.monotonic() + state.stack.pools[self.pool].boot_timeout_s
        while True:
            status = await ask(worker.socket, path, GATE_TIMEOUT_S, worker.order.protocol)
            if status is not None and 200 <= status < 300:
                self._proved = worker.order.generation
                return None
            if status == 503 and self._proved == worker.order.generation and worker.is_unwell:
                # others of this generation have passed: what fails is not its own, and a pool must not shrink by that
                return None
            if worker.is_gone or time.monotonic() > deadline:
                said = "does not answer" if status is None else f"answers {status}"
                said += "".join(f"; {words}" for words in describe_checks(worker))
                return f"GET {path} {said}" if not worker.is_gone else describe_ending(worker)
            await asyncio.sleep(GATE_EVERY_S)


def _public_host(state: State) -> str:
    """A name that the stack answers to; wildcards are none."""
    names = [name for vhost in state.stack.vhosts.values() for name in vhost.names if name[:1] not in "*~."]
    return names[0] if names else "localhost"
