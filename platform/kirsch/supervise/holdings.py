"""The holding servers of a host, one a pool: opened before nginx asks for them, handed on at an upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from kirsch.spec import HostPaths
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.handover import Handover
from kirsch.supervise.holding import HoldingServer
from kirsch.supervise.process import is_dying
from kirsch.supervise.rundir import RunDir


class Holdings:
    """Where the requests of each pool wait.

    Args:
        fleets: the pools that there are, by name.
        handover: has the sockets on which an earlier version in this process listened.
    """

    def __init__(
        self, paths: HostPaths, rundir: RunDir, fleets: Mapping[str, Fleet], handover: Handover | None = None
    ) -> None:
        self._paths = paths
        self._rundir = rundir
        self._fleets = fleets
        self._handover = handover or Handover()
        self._servers: dict[str, HoldingServer] = {}
        self._turns: dict[str, int] = {}
        """How many requests of a pool were shown to a worker: each goes to the next one."""

    def get(self, pool: str) -> HoldingServer | None:
        """Return the server of a pool."""
        return self._servers.get(pool)

    def servers(self) -> tuple[HoldingServer, ...]:
        """Return those of all pools."""
        return tuple(self._servers.values())

    async def open(self, pools: Iterable[str]) -> None:
        """Listen for *pools*, as far as nobody does yet."""
        for pool in pools:
            if pool in self._servers:
                continue
            server = HoldingServer(self._paths.holding_socket(pool), lambda pool=pool: self._find_worker(pool))  # type: ignore[misc]
            await server.start(self._handover.socket(server.path))
            self._rundir.admit_nginx(server.path)
            self._servers[pool] = server
            self.hold_for(pool, None)

    async def close(self, *, except_for: Iterable[str] = ()) -> None:
        """Close them, those of pools that stay excepted."""
        for pool in self._servers.keys() - set(except_for):
            await self._servers.pop(pool).stop()

    async def hand_over(self) -> dict[str, int]:
        """Let everybody who is here finish; return the listening sockets, by path."""
        servers = list(self._servers.values())
        numbers = await asyncio.gather(*[server.hand_over() for server in servers])
        return {server.path: number for server, number in zip(servers, numbers, strict=True)}

    def hold_for(self, pool: str, hold_s: float | None) -> None:
        """Have requests of *pool* wait so long while nobody serves; None for what the pool says."""
        if pool in self._servers and pool in self._fleets:
            spec = self._fleets[pool].spec
            self._servers[pool].hold_s = spec.hold_s if hold_s is None else hold_s
            self._servers[pool].limit = spec.hold_limit

    def count_waiting(self, pool: str) -> int:
        """Return how many requests of *pool* have no worker."""
        return self._servers[pool].held if pool in self._servers else 0

    def _find_worker(self, pool: str) -> str | None:
        fleet = self._fleets.get(pool)
        serving = fleet.serving() if fleet is not None and not fleet.is_paused else []
        alive = [worker.socket for worker in serving if not is_dying(worker.pid)]
        if not alive:
            return None
        turn = self._turns[pool] = self._turns.get(pool, -1) + 1
        return alive[turn % len(alive)]
