"""The parent of a stack on one host: it starts or adopts, keeps, rolls and stops everything; one loop, no locks.

Its own death harms nobody: workers, links, sockets and nginx go on, and the next supervisor finds them by the roster.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from kirsch.errors import ControlError, KirschError, NginxError, SuperviseError
from kirsch.link.order import Order
from kirsch.link.state import State, load_state
from kirsch.observe.view import StackView
from kirsch.scoreboard import Scoreboard
from kirsch.spec import HostPaths
from kirsch.supervise.control import ControlServer
from kirsch.supervise.events import Events
from kirsch.supervise.fleet import Fleet, Site
from kirsch.supervise.front import Front
from kirsch.supervise.holding import HoldingServer
from kirsch.supervise.launch import launch_for
from kirsch.supervise.lock import SupervisorLock
from kirsch.supervise.portrait import find_faults, portray_pool
from kirsch.supervise.process import find_workers, is_same, send_signal
from kirsch.supervise.roll import Roll
from kirsch.supervise.roster import Entry, Roster, load_roster, remove_roster, write_roster
from kirsch.supervise.rundir import RunDir
from kirsch.supervise.watch import Watch
from kirsch.supervise.worker import Worker

log = logging.getLogger(__name__)

NGINX_RETRY_S = 10.0


class Supervisor:
    """Owns a run directory.

    Args:
        paths: of the host.
        front: the host's nginx; None runs the workers without one (tests, and hosts that have their own).
        nginx_user: ``user:group`` of nginx's workers, None when they are who we are.
    """

    def __init__(self, paths: HostPaths, front: Front | None, nginx_user: str | None, events: Events) -> None:
        self.paths = paths
        self.front = front
        self.events = events
        self.fleets: dict[str, Fleet] = {}
        self.state: State | None = None
        self.generation = 0
        self.started = time.time()
        self.rolls = {"done": 0, "failed": 0}
        self.admin_url: str | None = None
        self.admin_problem: str | None = None
        self._roll_problem: str | None = None
        self._rundir = RunDir(paths, nginx_user)
        self._site = Site(paths, self._rundir, events, launch_for(paths), self._on_change)
        self._lock = SupervisorLock(paths.supervisor_pid)
        self._holdings: dict[str, HoldingServer] = {}
        self._rolling = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()
        self._leaves_everything = False
        self._stop_drain_s: float | None = None
        self._roster_is_due = False
        self._control = ControlServer(
            paths.control_socket,
            {
                "ping": self._ping,
                "status": self._status,
                "roll": self._roll,
                "apply": self._apply,
                "stop": self._stop,
                "leave": self._leave,
            },
            events,
            quiet=frozenset({"ping", "status"}),
        )

    # Life

    async def start(self) -> None:
        """Take the run directory, adopt who lives there, start who is missing; returns before they are ready.

        Raises:
            SuperviseError: another supervisor runs, or the directory is not ours.
            OSError, msgspec.MsgspecError: the state file cannot be read.
        """
        os.makedirs(self.paths.run, exist_ok=True)
        self._rundir.prepare()
        self._lock.take()
        roster = load_roster(self.paths.run)
        living = [entry for entry in roster.workers if is_same(entry.pid, entry.ticks)] if roster else []
        wanted = load_state(self.paths.state_file)
        self.state = roster.state if roster and living else wanted
        self.generation = roster.generation if roster and living else (roster.generation if roster else 0) + 1
        self._rundir.prepare(has_pool_users=any(pool.user for pool in self.state.stack.pools.values()))
        for name in self.state.stack.pools:
            self.fleets[name] = Fleet(self._site, self.state, name, self.generation)
            await self._hold(name)
        for entry in living:
            self._adopt(entry)
        self._end_orphans()
        for fleet in self.fleets.values():
            fleet.relink()
            fleet.keep_filled()
        await self._control.start()
        self._keep(self._keep_nginx())
        self._keep(Watch(lambda: self.fleets.values()).run())
        if wanted != self.state:
            self._keep(self._catch_up(wanted))
        self.events.say(
            "started", pid=os.getpid(), release=self.state.release, message=f"{len(living)} workers adopted"
        )

    async def wait(self) -> None:
        """Wait until somebody asks for the end, then end everything; or, asked to leave, nothing."""
        await self._over.wait()
        for task in tuple(self._tasks):
            task.cancel()
        if self._leaves_everything:
            self._write_roster()
            self.events.say("left", message="workers and nginx go on")
            await self._control.stop()
            self._lock.drop()
            return
        await self._end_everything()

    def stop(self, drain_s: float | None = None) -> None:
        """Ask for the end of everything; *drain_s* instead of what the pools say."""
        self._stop_drain_s = drain_s
        self._over.set()

    async def _end_everything(self) -> None:
        self.events.say("stopping")
        drains = {
            name: fleet.spec.drain_s if self._stop_drain_s is None else self._stop_drain_s
            for name, fleet in self.fleets.items()
        }
        if self.front is not None:
            try:
                # first the front: it finishes the requests that it has, and lets no more in
                await self.front.stop(max(drains.values(), default=0.0) + 1.0)
            except NginxError as error:
                self.events.say("nginx", level=logging.ERROR, message=str(error))
        await asyncio.gather(*[fleet.close(drains[name]) for name, fleet in self.fleets.items()])
        for holding in self._holdings.values():
            await holding.stop()
        remove_roster(self.paths.run)
        self._rundir.remove()
        self.events.say("stopped", message="everything")
        await self._control.stop()
        self._lock.drop()

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the supervisor failed", exc_info=task.exception())

    async def _hold(self, pool: str) -> None:
        if pool in self._holdings:
            return
        path = self.paths.worker_socket(pool, 0, 0)
        holding = HoldingServer(path, lambda: self._find_worker(pool))
        await holding.start()
        self._rundir.admit_nginx(path)
        self._holdings[pool] = holding

    def _find_worker(self, pool: str) -> str | None:
        fleet = self.fleets.get(pool)
        serving = fleet.serving() if fleet is not None else []
        return serving[0].socket if serving else None

    async def _keep_nginx(self) -> None:
        """Configure nginx at the start; tried again as long as it fails (a port in use, a missing certificate)."""
        if self.front is None:
            return
        while self.state is not None:
            try:
                async with self._rolling:
                    await self.front.configure(self.state)
                return
            except KirschError as error:
                self.front.problem = str(error)
                self.events.say("nginx", level=logging.ERROR, message=str(error))
            await asyncio.sleep(NGINX_RETRY_S)

    # Adoption

    def _adopt(self, entry: Entry) -> None:
        order: Order = entry.order
        fleet = self.fleets.get(order.pool)
        try:
            board = Scoreboard.open(order.scoreboard)
        except (OSError, ValueError):
            board = None
        if fleet is None or board is None:
            return  # nothing to adopt it into: it counts as an orphan
        if (board.records, board.rows) == (fleet.ledger.board.records, fleet.ledger.board.rows):
            board = fleet.ledger.board
        worker = Worker.adopt(order, entry.pid, entry.ticks, board, entry.log_path, order.socket_path(entry.pid))
        is_seated = entry.is_seated and worker.state == "ready"
        fleet.adopt(worker, is_seated=is_seated)
        if not is_seated:
            # it boots for a parent that is gone, or drains: in either case its way leads out
            self._keep(fleet.retire(worker, fleet.spec.drain_s))

    async def _catch_up(self, wanted: State) -> None:
        """Roll to what the state file asks for: it was written while no supervisor ran. What was adopted serves on."""
        try:
            await self._roll_to(wanted)
        except KirschError as error:
            log.error("the release that the state file asks for did not come up: %s", error)

    def _end_orphans(self) -> None:
        """End workers that no roster knows: their supervisor was killed in the moment after it had started them."""
        known = {worker.pid for fleet in self.fleets.values() for worker in fleet.everybody()}
        for pid in find_workers(self.paths.workers).keys() - known:
            self.events.say("orphan", pid=pid, level=logging.WARNING, message="told to go")
            send_signal(pid, signal.SIGTERM)

    def _on_change(self) -> None:
        if not self._roster_is_due:
            self._roster_is_due = True
            asyncio.get_running_loop().call_soon(self._write_roster)

    def _write_roster(self) -> None:
        self._roster_is_due = False
        if self.state is None or (self._over.is_set() and not self._leaves_everything):
            return
        entries = [
            Entry(order=worker.order, pid=worker.pid, ticks=worker.ticks, log_path=worker.log_path, is_seated=is_seated)
            for fleet in self.fleets.values()
            for workers, is_seated in (
                ([seat.worker for seat in fleet.seats.values() if seat.worker is not None], True),
                ([*fleet.retiring, *fleet.booting], False),
            )
            for worker in workers
            if not worker.is_gone
        ]
        try:
            write_roster(self.paths.run, Roster(state=self.state, generation=self.generation, workers=tuple(entries)))
        except OSError as error:
            self.events.say("roster", level=logging.ERROR, message=f"cannot be written: {error}")

    # What is seen

    def view(self) -> StackView:
        """Return the stack as it is now."""
        assert self.state is not None
        pools = tuple(portray_pool(fleet, self._holdings.get(name)) for name, fleet in self.fleets.items())
        view = StackView(
            stack=self.state.stack.name,
            release=self.state.release,
            generation=self.generation,
            pid=os.getpid(),
            started=self.started,
            pools=pools,
            nginx=self.front.describe() if self.front is not None else None,
            nginx_restarts=self.front.restarts if self.front is not None else 0,
            admin=self.admin_url,
            log_dir=self.paths.log_dir,
            rolls=dict(self.rolls),
            is_rolling=self._rolling.locked(),
            events=tuple(self.events.recent),
        )
        faults = list(find_faults(view))
        if self.front is not None and self.front.problem is not None:
            faults.append(f"nginx: {self.front.problem}")
        if self._roll_problem is not None:
            faults.append(self._roll_problem)
        if self.admin_problem is not None:
            faults.append(f"admin endpoint: {self.admin_problem}")
        return replace(view, degraded=tuple(faults))

    # Verbs

    async def _ping(self, args: Mapping[str, Any]) -> Any:
        return {"pid": os.getpid()}

    async def _status(self, args: Mapping[str, Any]) -> Any:
        return self.view().to_status()

    async def _roll(self, args: Mapping[str, Any]) -> Any:
        state = self._read_state()
        release = args.get("release")
        if isinstance(release, str) and release != state.release:
            folder = f"{self.paths.releases}/{release}"
            if not os.path.isdir(folder):
                raise ControlError(f"there is no release {release} in {self.paths.releases}", kind="unknown_release")
            state = msgspec.structs.replace(state, release=release, release_dir=folder)
        return await self._roll_to(state)

    async def _apply(self, args: Mapping[str, Any]) -> Any:
        return await self._roll_to(self._read_state())

    async def _stop(self, args: Mapping[str, Any]) -> Any:
        drain_s = args.get("drain_s")
        self.stop(float(drain_s) if isinstance(drain_s, int | float) else None)
        return {"stopping": True}

    async def _leave(self, args: Mapping[str, Any]) -> Any:
        self._leaves_everything = True
        self._over.set()
        return {"leaving": True}

    def _read_state(self) -> State:
        try:
            return load_state(self.paths.state_file)
        except (OSError, msgspec.MsgspecError) as error:
            raise ControlError(f"{self.paths.state_file}: {error}", kind="bad_state") from error

    async def _roll_to(self, state: State) -> Any:
        if self._over.is_set():
            raise SuperviseError("the stack is stopping")
        async with self._rolling:
            for pool in state.stack.pools:
                await self._hold(pool)
            configure = self._no_front if self.front is None else self.front.configure
            roll = Roll(self._site, self.fleets, state, self.generation + 1, configure)
            try:
                await roll.run()
            except BaseException as error:
                self.rolls["failed"] += 1
                self._roll_problem = f"release {state.release} did not come up: {error}".partition("\n")[0]
                raise
            finally:
                for task in roll.draining:
                    self._tasks.add(task)
                    task.add_done_callback(self._on_task_done)
            self.state = state
            for pool in [pool for pool in self._holdings if pool not in self.fleets]:
                await self._holdings.pop(pool).stop()
            self.generation += 1
            self.rolls["done"] += 1
            self._roll_problem = None
            self._on_change()
        return {"release": state.release, "generation": self.generation}

    async def _no_front(self, state: State) -> None:
        return None
