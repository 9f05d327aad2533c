"""From one generation to the next: boot all, prove nginx, move every link, then drain the old ones. Or nothing at all.

No link moves before every new worker answers and nginx has taken the configuration; until then a failure costs the new
workers and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kirsch.errors import BootFailed
from kirsch.link.state import State
from kirsch.supervise.fleet import Fleet, Site
from kirsch.supervise.worker import Worker


@dataclass(frozen=True)
class Move:
    """One worker to be born: the fleet it belongs to and its seat there."""

    fleet: Fleet
    seat: int


class Roll:
    """One replacement of everything that runs.

    Args:
        site: the host.
        fleets: the pools that run now, by name; changed in place when the roll succeeds.
        state: what is to run.
        generation: its number.
        configure_nginx: takes the new state up in nginx, or raises and leaves nginx as it was.
    """

    def __init__(
        self,
        site: Site,
        fleets: dict[str, Fleet],
        state: State,
        generation: int,
        configure_nginx: Callable[[State], Awaitable[None]],
    ) -> None:
        self.site = site
        self.fleets = fleets
        self.state = state
        self.generation = generation
        self.configure_nginx = configure_nginx
        self.draining: list[asyncio.Task[None]] = []
        """The retirements of the old workers, which go on after the roll."""
        self._newcomers: list[tuple[Fleet, Worker]] = []
        self._parallel = asyncio.Semaphore(max(1, os.cpu_count() or 1))

    async def run(self) -> None:
        """Replace.

        Raises:
            BootFailed: a new worker did not become ready; nothing was changed.
            NginxError: nginx refused the new configuration; nothing was changed.
        """
        self.site.events.say("roll", release=self.state.release, generation=self.generation, state="booting")
        later = {
            name: self.fleets.get(name) or Fleet(self.site, self.state, name, self.generation)
            for name in self.state.stack.pools
        }
        try:
            await self._boot_all(later)
            for name, fleet in later.items():
                if name not in self.fleets:
                    self._install(fleet)  # nginx is going to ask for its slots
            await self.configure_nginx(self.state)
        except BaseException as error:
            await self._take_back(later)
            self.site.events.say(
                "roll_failed", release=self.state.release, level=logging.ERROR, message=str(error).partition("\n")[0]
            )
            raise
        self._take_over(later)

    async def _boot_all(self, later: dict[str, Fleet]) -> None:
        moves = [
            Move(fleet, seat)
            for name, fleet in later.items()
            for seat in range(1, self.state.stack.pools[name].workers.min + 1)
        ]
        for fleet in later.values():
            fleet.ledger.fit(self.state.stack.pools[fleet.pool])
        # The first of each pool goes ahead: broken code costs one boot, not a machine full of them.
        heads = [move for move in moves if move.seat == 1]
        for group in (heads, [move for move in moves if move.seat != 1]):
            await self._boot(group)
        for _, worker in self._newcomers:
            if worker.is_gone:
                report = worker.describe_failure()
                raise BootFailed(f"{worker.name} ended before its turn came", worker=worker.name, report=report)

    async def _boot(self, moves: list[Move]) -> None:
        tasks = [asyncio.create_task(self._boot_one(move)) for move in moves]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _boot_one(self, move: Move) -> None:
        async with self._parallel:
            worker = await move.fleet.boot(move.seat, self.state, self.generation)
            self._newcomers.append((move.fleet, worker))

    def _install(self, fleet: Fleet) -> list[Worker]:
        return fleet.install({worker.order.seat: worker for owner, worker in self._newcomers if owner is fleet})

    def _take_over(self, later: dict[str, Fleet]) -> None:
        for name, fleet in later.items():
            if name in self.fleets:
                fleet.adopt_state(self.state, self.generation)
                fleet.forgive()
                self._retire(fleet, self._install(fleet))
                self._retire(fleet, fleet.drop_seats_beyond())
            self.fleets[name] = fleet
        for name in [name for name in self.fleets if name not in later]:
            fleet = self.fleets.pop(name)
            self.draining.append(asyncio.create_task(fleet.close(fleet.spec.drain_s)))
        self.site.events.say("rolled", release=self.state.release, generation=self.generation, state="ready")

    def _retire(self, fleet: Fleet, workers: list[Worker]) -> None:
        self.draining += [asyncio.create_task(fleet.retire(worker, fleet.spec.drain_s)) for worker in workers]

    async def _take_back(self, later: dict[str, Fleet]) -> None:
        await asyncio.gather(*[fleet.discard(worker) for fleet, worker in self._newcomers])
        for name, fleet in later.items():
            if name not in self.fleets:
                await fleet.close(0.0)
