"""The parent of a stack on one host: it starts or adopts, keeps, rolls and stops everything; one loop, no locks.

Its own death harms nobody: workers, links, sockets and nginx go on, and the next supervisor finds them by the roster.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import msgspec

from kirsch.errors import KirschError, NginxError, SuperviseError
from kirsch.link.state import State, keep_state, load_state, restore_state
from kirsch.observe.view import StackView
from kirsch.spec import HostPaths
from kirsch.supervise.adoption import adopt, describe_everybody, end_orphans, take_posture
from kirsch.supervise.bus import BusHub
from kirsch.supervise.busverbs import acts_of
from kirsch.supervise.certificates import Certificates
from kirsch.supervise.chronicle import Chronicle, take_sample
from kirsch.supervise.control import ControlServer
from kirsch.supervise.events import Events
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.front import Front
from kirsch.supervise.handover import Handover
from kirsch.supervise.herald import report_to_systemd
from kirsch.supervise.holdings import Holdings
from kirsch.supervise.identity import Identities
from kirsch.supervise.launch import launch_for
from kirsch.supervise.lock import SupervisorLock
from kirsch.supervise.notify import Notifier
from kirsch.supervise.portrait import describe_briefly, portray
from kirsch.supervise.process import is_same
from kirsch.supervise.roll import Roll
from kirsch.supervise.roster import load_roster, remove_roster, write_roster
from kirsch.supervise.rundir import RunDir
from kirsch.supervise.site import Site
from kirsch.supervise.successor import Successor
from kirsch.supervise.traffic import Traffic
from kirsch.supervise.verbs import QUIET, STEADFAST, Verbs
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
        handover: what an earlier version in this very process has left.
        notifier: the way to systemd.
    """

    def __init__(
        self,
        paths: HostPaths,
        front: Front | None,
        nginx_user: str | None,
        events: Events,
        *,
        handover: Handover | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.paths = paths
        self.front = front
        self.events = events
        self.notifier = notifier or Notifier({}, os.getpid())
        self.successor: Successor | None = None
        """Who takes our place in this process once ``wait`` is over."""
        self._handover = handover or Handover()
        self.fleets: dict[str, Fleet] = {}
        self.state: State | None = None
        self.generation = 0
        self.started = time.time()
        self.chronicle = Chronicle(paths, events, self.started)
        self.traffic = Traffic(paths, events)
        self.rolls = {"done": 0, "failed": 0}
        self.admin_url: str | None = None
        self.admin_problem: str | None = None
        self.roll_problem: str | None = None
        self._rundir = RunDir(paths, nginx_user)
        self._identities = Identities(paths, nginx_user, events.say)
        launch = launch_for(paths, self._identities.of)
        self._site = Site(paths, self._rundir, events, launch, self._on_change, self.keep)
        self._lock = SupervisorLock(paths.supervisor_pid)
        self.certificates = Certificates(paths)
        self.holdings = Holdings(paths, self._rundir, self.fleets, self._handover)
        self._rolling = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()
        self._leaves_everything = False
        self._stop_drain_s: float | None = None
        self._roster_is_due = False
        self._changing: asyncio.Task[Any] | None = None
        """The roll that is under way: the end of everything calls it off first."""
        verbs = Verbs(self).table()
        self.bus = BusHub(paths, self._everybody, acts_of(self, verbs))
        self._control = ControlServer(paths.control_socket, verbs, events, QUIET, STEADFAST)

    # Life

    async def start(self) -> None:
        """Take the run directory, adopt who lives there, start who is missing; returns before they are ready.

        Raises:
            SuperviseError: another supervisor runs, or the directory is not ours.
            OSError, msgspec.MsgspecError: the state file cannot be read.
        """
        os.makedirs(self.paths.run, exist_ok=True)
        self._rundir.prepare()
        if self._handover.lock >= 0:
            self._lock.inherit(self._handover.lock)
        else:
            self._lock.take()
        roster = load_roster(self.paths.run)
        living = [entry for entry in roster.workers if is_same(entry.pid, entry.ticks)] if roster else []
        restore_state(self.paths)
        wanted = load_state(self.paths.state_file)
        self.state = roster.state if roster and living else wanted
        self.generation = roster.generation if roster and living else (roster.generation if roster else 0) + 1
        self._rundir.prepare(has_pool_users=await self._identities.settle(self.state))
        for name in self.state.stack.pools:
            self.fleets[name] = Fleet(self._site, self.state, name, self.generation)
            take_posture(self.fleets[name], roster.pools.get(name) if roster and living else None)
        await self.holdings.open(self.fleets)
        for leaving in filter(None, [adopt(self.fleets, entry) for entry in living]):
            self.keep(leaving[0].retire(leaving[1]))
        end_orphans(self.paths.workers, self._pids(), self.events)
        await self.bus.start(self.state.stack.name, self.state.stack.bus, self._handover)
        for fleet in self.fleets.values():
            fleet.relink()
            fleet.keep_filled()
        await self._control.start(self._handover.socket(self.paths.control_socket))
        self._handover.close_rest()
        keep_state(self.paths, self.state)
        if self.front is not None:
            self.traffic.start(self._rundir.admit_nginx)
        self.keep(self._keep_nginx())
        self.keep(self.chronicle.write(lambda: take_sample(self.fleets.values(), self.holdings.servers())))
        patience_s = max(pool.boot_timeout_s for pool in self.state.stack.pools.values())
        self.keep(report_to_systemd(self.notifier, self.view, patience_s))
        self.keep(Watch(lambda: self.fleets.values(), self._rolling, self.holdings.count_waiting).run())
        if wanted != self.state:
            self.keep(self.roll_aside(wanted))
        self.events.say(
            "started", pid=os.getpid(), release=self.state.release, message=f"{len(living)} workers adopted"
        )

    async def wait(self) -> None:
        """Wait until somebody asks for the end, then end everything; or, asked to leave, nothing."""
        await self._over.wait()
        if self._changing is not None and not self._changing.done():
            self._changing.cancel()
            await asyncio.wait([self._changing])
        if self.successor is not None:
            self.successor = await self._hand_over(self.successor)
            return
        for task in tuple(self._tasks):
            task.cancel()
        if self._leaves_everything:
            self._write_roster()
            self.chronicle.keep()
            self.events.say("left", message="workers and nginx go on")
            await asyncio.gather(self._control.stop(), self.bus.stop())
            self._lock.drop()
            return
        await self._end_everything()

    def stop(self, drain_s: float | None = None) -> None:
        """Ask for the end of everything; *drain_s* instead of what the pools say."""
        self._stop_drain_s = drain_s
        self._over.set()

    def leave(self) -> None:
        """Ask for the end of the supervisor alone."""
        self._leaves_everything = True
        self._over.set()

    async def _end_everything(self) -> None:
        self.notifier.stopping()
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
        await self.holdings.close()
        self.traffic.stop()
        await self.bus.stop()
        remove_roster(self.paths.run)
        self._rundir.remove()
        self.events.say("stopped", message="everything")
        await self._control.stop()
        self._lock.drop()

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with *work* beside everything else, until its end or ours."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the supervisor failed", exc_info=task.exception())

    async def _keep_nginx(self) -> None:
        """Configure nginx, tried again as long as it fails; then again whenever a certificate is another one."""
        if self.front is None:
            return
        while self.state is not None:
            try:
                if await self.front.is_stale(self.state):
                    async with self._rolling:
                        await self.front.renew(self.state)
            except KirschError as error:
                self.front.problem = str(error)
                self.events.say("nginx", level=logging.ERROR, message=str(error))
            await asyncio.sleep(NGINX_RETRY_S)

    # Who is here

    def _everybody(self) -> list[Worker]:
        return [worker for fleet in self.fleets.values() for worker in fleet.everybody()]

    def _pids(self) -> set[int]:
        return {worker.pid for worker in self._everybody()}

    def _on_change(self) -> None:
        if not self._roster_is_due:
            self._roster_is_due = True
            asyncio.get_running_loop().call_soon(self._write_roster)

    def _write_roster(self) -> None:
        self._roster_is_due = False
        if self.state is None or (self._over.is_set() and not self._leaves_everything):
            return
        try:
            write_roster(self.paths.run, describe_everybody(self.fleets, self.state, self.generation))
        except OSError as error:
            self.events.say("roster", level=logging.ERROR, message=f"cannot be written: {error}")

    # What is seen

    def view(self) -> StackView:
        """Return the stack as it is now."""
        return portray(self)

    @property
    def is_rolling(self) -> bool:
        """True while something is being changed."""
        return self._rolling.locked()

    # Changes

    async def roll_to(self, state: State) -> dict[str, Any]:
        """Bring *state*; whoever waits for it may be cancelled, which takes everything back.

        Raises:
            BootFailed, NginxError: it did not come up; what was there before serves.
        """
        if self._over.is_set() or self.state is None:
            raise SuperviseError("the stack is stopping")
        async with self._rolling:
            self._changing = asyncio.current_task()
            self.notifier.reloading(f"rolling to {state.release}")
            await self.holdings.open(state.stack.pools)
            self._rundir.prepare(has_pool_users=await self._identities.settle(state))
            configure = self._no_front if self.front is None else self.front.configure
            roll = Roll(self._site, self.fleets, self.state, state, self.generation + 1, configure)
            try:
                await roll.run()
            except BaseException as error:
                self.rolls["failed"] += 1
                why = "the roll was called off" if isinstance(error, asyncio.CancelledError) else str(error)
                self.roll_problem = f"release {state.release} did not come up: {why}".partition("\n")[0]
                raise
            finally:
                self._changing = None
                await self.holdings.close(except_for=self.fleets)
                self.notifier.ready(describe_briefly(self.view()))
            self.state = state
            keep_state(self.paths, state)
            for pool in self.fleets:
                self.holdings.hold_for(pool, None)
            self.generation += 1
            self.rolls["done"] += 1
            self.roll_problem = None
            self._on_change()
        return {"release": state.release, "generation": self.generation}

    async def exchange_nginx(self, binary: str) -> str:
        """Have the nginx at *binary* take the place of the one that runs; return its version.

        Raises:
            NginxError: it cannot; the one before serves on.
        """
        if self.front is None or self.state is None:
            raise SuperviseError("this supervisor has no nginx")
        async with self._rolling:
            return await self.front.exchange(binary, self.state)

    async def roll_aside(self, state: State) -> None:
        """Roll to *state* while nobody waits for it: what does not come up is told in the status."""
        try:
            await self.roll_to(state)
        except KirschError as error:
            log.error("release %s did not come up: %s", state.release, error)

    def on_hangup(self) -> None:
        """SIGHUP: roll to what the state file says."""
        try:
            self.keep(self.roll_aside(load_state(self.paths.state_file)))
        except (OSError, msgspec.MsgspecError) as error:
            log.error("%s: %s", self.paths.state_file, error)

    def on_upgrade(self) -> None:
        """SIGUSR2: change to the version that is installed now."""
        self.keep(self._upgrade_aside())

    async def _upgrade_aside(self) -> None:
        try:
            await self.upgrade(None)
        except KirschError as error:
            log.error("no upgrade: %s", error)

    async def scale(self, pool: str, count: int | None) -> None:
        """Have *count* workers in a pool; None lets their number follow the load again.

        Raises:
            BootFailed: a new one did not come up; their number stays as it was.
        """
        async with self._rolling:
            fleet = self.fleets[pool]
            fleet.is_fixed = count is not None
            if count is None:
                count = max(fleet.wanted, fleet.spec.workers.min)
            if count != fleet.wanted:
                await fleet.scale(count)
            self._on_change()

    async def upgrade(self, python: str | None) -> dict[str, Any]:
        """Put another version in this one's place, in the same process; it is tried first whether it can be.

        Raises:
            SuperviseError: it cannot; this one goes on.
        """
        assert self.state is not None
        successor = Successor.of(python or self.state.python)
        async with self._rolling:
            version = await successor.rehearse()
            self.events.say("upgrade", message=f"to kirsch {version} ({successor.python})", pid=os.getpid())
            self.notifier.reloading("upgrade of the supervisor")
            self.successor = successor
            self._leaves_everything = True
            self._over.set()
        return {"pid": os.getpid(), "version": version}

    async def _hand_over(self, successor: Successor) -> Successor:
        """Let go of everything that the next version finds again."""
        handed = Handover(lock=self._lock.hand_over())
        # first those who wait for a worker: whoever paused a pool can still resume it
        handed.sockets |= await self.holdings.hand_over()
        handed.sockets |= await self.bus.hand_over()
        handed.sockets[self.paths.control_socket] = await self._control.hand_over()
        for task in tuple(self._tasks):
            task.cancel()
        self._write_roster()
        self.chronicle.keep()
        return replace(successor, handover=handed)

    async def _no_front(self, state: State) -> None:
        return None
