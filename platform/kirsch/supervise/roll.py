"""From one generation to the next: one goes ahead, nginx is proved, the others follow in batches; then they bake.

Until the end of the bake the old workers are there, idle, and whatever goes wrong gives them everything back: a boot
that fails, a readiness that does not come, a new worker that dies or turns ill, an asker who has hung up.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kirsch.errors import BootFailed, SuperviseError
from kirsch.link.state import State
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.report import describe_failure
from kirsch.supervise.site import Site
from kirsch.supervise.worker import Worker

BAKE_LOOK_S = 0.1


class Roll:
    """One replacement of everything that runs.

    Args:
        site: the host.
        fleets: the pools that run now, by name; pools that come and go are put in and taken out when the roll succeeds.
        before: what runs now.
        state: what is to run.
        generation: its number.
        configure_nginx: takes a state up in nginx, or raises and leaves nginx as it was.
    """

    def __init__(
        self,
        site: Site,
        fleets: dict[str, Fleet],
        before: State,
        state: State,
        generation: int,
        configure_nginx: Callable[[State], Awaitable[None]],
    ) -> None:
        self.site = site
        self.fleets = fleets
        self.before = before
        self.state = state
        self.generation = generation
        self.configure_nginx = configure_nginx
        self._later: dict[str, Fleet] = {}
        self._generations = {name: fleet.generation for name, fleet in fleets.items()}
        self._wanted = {name: fleet.wanted for name, fleet in fleets.items()}
        self._newcomers: dict[Fleet, dict[int, Worker]] = {}
        """Every new worker by fleet and seat, installed or not."""
        self._moved: set[Fleet] = set()
        """The fleets that have adopted the new state."""
        self._is_nginx_new = False
        self._boots = asyncio.Semaphore(max(1, os.cpu_count() or 1))

    async def run(self) -> None:
        """Replace.

        Raises:
            BootFailed: a new worker did not become ready, or did not last; the old ones serve again.
            NginxError: nginx refused the new configuration; nothing was changed.
        """
        self.site.events.say("roll", release=self.state.release, generation=self.generation, state="booting")
        self._later = {
            name: self.fleets.get(name) or Fleet(self.site, self.state, name, self.generation)
            for name in self.state.stack.pools
        }
        try:
            await self._send_probes()
            await self._configure()
            for fleet in self._later.values():
                await self._follow(fleet)
            await self._bake()
        except BaseException as error:
            await self._go_back()
            why = str(error) or ("called off" if isinstance(error, asyncio.CancelledError) else type(error).__name__)
            self.site.events.say(
                "roll_failed", release=self.state.release, level=logging.ERROR, message=why.partition("\n")[0]
            )
            raise
        self._finish()

    # Forward

    async def _send_probes(self) -> None:
        """Boot the first worker of each pool: broken code costs one boot, not a machine full of them."""
        for fleet in self._later.values():
            fleet.ledger.fit(self.state.stack.pools[fleet.pool])
        await self._boot((fleet, 1) for fleet in self._later.values())
        for fleet in self._later.values():
            if fleet.pool not in self.fleets:
                self._install(fleet, [1])  # nginx is going to ask for its slots

    async def _configure(self) -> None:
        """Have nginx serve the new state; a roll that is called off meanwhile waits for it, and takes it back."""
        work = asyncio.ensure_future(self.configure_nginx(self.state))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            self._is_nginx_new = work.exception() is None
            raise
        self._is_nginx_new = True

    async def _follow(self, fleet: Fleet) -> None:
        """Bring the rest of a pool, batch by batch, the first worker in the first of them."""
        spec = self.state.stack.pools[fleet.pool]
        wanted = fleet.wanted_under(spec) if fleet.pool in self.fleets else fleet.wanted
        least = min(spec.roll.min_ready or wanted, wanted)
        if fleet.pool in self.fleets:
            self._install(fleet, [1])
        step = spec.roll.parallel or os.cpu_count() or 1
        for first in range(2, wanted + 1, step):
            batch = range(first, min(first + step, wanted + 1))
            await self._make_room(fleet, batch, least)
            await self._boot((fleet, number) for number in batch)
            self._install(fleet, batch)
        fleet.bench(fleet.drop_seats_beyond())
        fleet.relink()

    async def _make_room(self, fleet: Fleet, batch: Iterable[int], least: int) -> None:
        """End old workers before their successors boot, as far as the pool may do with fewer."""
        if self.state.stack.pools[fleet.pool].roll.min_ready is None:
            return
        spare = max(0, len(fleet.serving()) - least)
        seats = [fleet.seats[number] for number in batch if number in fleet.seats][:spare]
        leaving = [seat.worker for seat in seats if seat.worker is not None] + fleet.clear_bench()
        for seat in seats:
            seat.stop_replacing()
            seat.worker = None
        fleet.relink()
        await asyncio.gather(*[fleet.retire(worker) for worker in leaving])

    async def _boot(self, moves: Iterable[tuple[Fleet, int]]) -> None:
        tasks = [asyncio.create_task(self._boot_one(fleet, number)) for fleet, number in moves]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _boot_one(self, fleet: Fleet, number: int) -> None:
        async with self._boots:
            worker = self._from_bench(fleet, number) or await fleet.boot(number, self.state, self.generation)
            self._newcomers.setdefault(fleet, {})[number] = worker

    def _from_bench(self, fleet: Fleet, number: int) -> Worker | None:
        """Return the worker that waits since the last roll, if it is of the release that is asked for."""
        waiting = fleet.benched.get(number)
        return fleet.benched.pop(number) if waiting is not None and self._fits(fleet, waiting) else None

    def _fits(self, fleet: Fleet, waiting: Worker) -> bool:
        if waiting.is_gone or waiting.state != "ready" or self.state.release == self.before.release:
            return False  # who rolls to what runs already wants it started anew
        order, spec = waiting.order, self.state.stack.pools[fleet.pool]
        apps = self.state.stack.apps_of(fleet.pool)
        return (order.release, order.apps, order.threads, order.engine) == (
            self.state.release,
            apps,
            spec.threads,
            spec.engine,
        )

    def _install(self, fleet: Fleet, numbers: Iterable[int]) -> None:
        newcomers = {number: self._newcomers[fleet][number] for number in numbers}
        for worker in newcomers.values():
            self._require_life(worker)
        if fleet not in self._moved:
            for worker in fleet.clear_bench():  # of the roll before the last
                if self._fits(fleet, worker):
                    fleet.bench([worker])  # its turn comes
                else:
                    self.site.keep(fleet.retire(worker))
            if fleet.pool in self.fleets:
                fleet.adopt_state(self.state, self.generation)
            fleet.forgive()
            self._moved.add(fleet)
        fleet.bench(fleet.install(newcomers))

    async def _bake(self) -> None:
        """Look at the new workers for the time of the longest bake; one that dies or is ill ends the roll."""
        bakes = [self.state.stack.pools[fleet.pool].roll.bake_s for fleet in self._later.values()]
        bake_s = max(bakes, default=0.0)
        if bake_s:
            self.site.events.say("bake", release=self.state.release, duration_s=bake_s)
        end = asyncio.get_running_loop().time() + bake_s
        while True:
            for worker in (worker for newcomers in self._newcomers.values() for worker in newcomers.values()):
                self._require_life(worker)
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(min(BAKE_LOOK_S, left))

    def _require_life(self, worker: Worker) -> None:
        if worker.is_gone:
            raise BootFailed(f"{worker.name} did not last: {worker.ending}", worker=worker.name, report=_last(worker))
        if worker.is_ill:
            raise BootFailed(f"{worker.name} turned ill", worker=worker.name, report=_last(worker))

    def _finish(self) -> None:
        for name, fleet in self._later.items():
            if not fleet.spec.roll.standby:
                for worker in fleet.clear_bench():
                    self.site.keep(fleet.retire(worker))
            self.fleets[name] = fleet
            self.site.keep(fleet.settle())
        for name in [name for name in self.fleets if name not in self._later]:
            fleet = self.fleets.pop(name)
            self.site.keep(fleet.close(fleet.spec.drain_s))
        self.site.events.say("rolled", release=self.state.release, generation=self.generation, state="ready")

    # Back

    async def _go_back(self) -> None:
        """Give the old workers everything back, and end the new ones: at once those who never had a request."""
        if self._is_nginx_new:
            try:
                await self.configure_nginx(self.before)
            except Exception as error:  # a wall: the workers have to come back whatever nginx says
                self.site.events.say("nginx", level=logging.ERROR, message=f"not taken back: {error}")
        for name, fleet in self._later.items():
            if name not in self.fleets:
                await fleet.close(0.0)
            elif fleet in self._moved:
                await self._restore(fleet)
            else:
                await asyncio.gather(*[fleet.discard(worker) for worker in self._newcomers.get(fleet, {}).values()])
            self.site.keep(fleet.settle())

    async def _restore(self, fleet: Fleet) -> None:
        newcomers = list(self._newcomers.get(fleet, {}).values())
        fleet.adopt_state(self.before, self._generations[fleet.pool])
        fleet.wanted = self._wanted[fleet.pool]
        fleet.install({worker.order.seat: worker for worker in fleet.clear_bench() if worker.state == "ready"})
        missing = [n for n in fleet.numbers if n not in fleet.seats or _is_empty(fleet, n, newcomers)]
        if missing:
            self.site.events.say("returning", pool=fleet.pool, seats=missing, release=self.before.release)
        for number in missing:
            try:
                fleet.install({number: await fleet.boot(number, self.before, fleet.generation)})
            except SuperviseError as error:
                self.site.events.say("not_returned", worker=f"{fleet.pool}.{number}", message=str(error))
        gone = fleet.drop_seats_beyond()
        fleet.relink()
        seated = {seat.worker for seat in fleet.seats.values()}
        for worker in dict.fromkeys([*newcomers, *gone]):
            if worker not in seated and not worker.is_gone:
                self.site.keep(fleet.retire(worker))
        fleet.keep_filled()
        self.site.events.say("returned", pool=fleet.pool, release=self.before.release)


def _is_empty(fleet: Fleet, number: int, newcomers: list[Worker]) -> bool:
    """True when nobody of before sits there."""
    worker = fleet.seats[number].worker
    return worker is None or worker in newcomers


def _last(worker: Worker) -> dict[str, Any]:
    return worker.obituary or describe_failure(worker)
