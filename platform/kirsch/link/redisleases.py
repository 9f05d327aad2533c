"""Leases and counters of all hosts, kept by Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from kirsch.link import wire
from kirsch.link.leases import Entry, Grant
from kirsch.link.memory import now
from kirsch.link.redisscripts import COUNT, RELEASE, RENEW, TAKE

log = logging.getLogger(__name__)

UNREACHABLE = Grant(granted=False, why="unreachable")

LeaseFrame = wire.Take | wire.Renew | wire.Release


class RedisLeases:
    """Asks Redis on behalf of the members of a host.

    Args:
        key: makes a key of this stack out of a name.
    """

    def __init__(self, key: Callable[[str], str]) -> None:
        self.client: Any = None
        self._key = key
        self._held: dict[str, dict[str, Entry]] = {}
        """Leases of each member of this host; until when is by our own clock."""

    async def apply(self, frame: LeaseFrame, holder: str, answer: Callable[[Grant], None]) -> None:
        """Do what a frame asks for."""
        try:
            found = await self._eval(frame, holder)
        except Exception as error:  # whatever went wrong on the way, it is not granted
            log.debug("bus: no answer about %s: %s", frame.lease, error)
            answer(UNREACHABLE)
            return
        grant = Grant(granted=bool(found[0]), token=int(found[1]), holder=found[2].decode(), why=found[3].decode())
        self._note(frame, holder, grant)
        answer(grant)

    def held(self) -> dict[str, Entry]:
        """Return the leases of the cluster that members of this host hold."""
        everything = [one for mine in self._held.values() for one in mine.items()]
        return {name: entry for name, entry in everything if entry.until > now()}

    def _note(self, frame: LeaseFrame, holder: str, grant: Grant) -> None:
        mine = self._held.setdefault(holder, {})
        if isinstance(frame, wire.Take):
            if grant.granted:
                mine[frame.lease] = Entry(holder=holder, token=grant.token, until=now() + frame.ttl_s)
        elif frame.lease in mine and mine[frame.lease].token == frame.token:
            if isinstance(frame, wire.Release) or not grant.granted:
                del mine[frame.lease]
            else:
                mine[frame.lease].until = now() + frame.ttl_s

    async def release_all(self, holder: str) -> None:
        """Free everything that a member has."""
        for lease, entry in self._held.pop(holder, {}).items():
            await self.apply(wire.Release(id="", lease=lease, token=entry.token), holder, lambda grant: None)
        self._held.pop(holder, None)

    async def count(self, frame: wire.Count, answer: Callable[[wire.Counted], None]) -> None:
        """Count."""
        key = self._key(f"count:{frame.window_s:g}:{frame.key}")
        try:
            count, left_ms = await self.client.eval(COUNT, 1, key, frame.by, int(frame.window_s * 1000))
        except Exception as error:  # a limit that cannot be counted is none
            log.debug("bus: not counted: %s", error)
            count, left_ms = 0, 0
        answer(wire.Counted(id=frame.id, count=int(count), left_s=int(left_ms) / 1000))

    async def _eval(self, frame: LeaseFrame, holder: str) -> Any:
        key = self._key(f"lease:{frame.lease}")
        if isinstance(frame, wire.Take):
            slot = "" if frame.slot is None else repr(frame.slot)
            wanted = [holder, int(frame.ttl_s * 1000), int(frame.every_s * 1000), slot, frame.id]
            return await self.client.eval(TAKE, 3, key, self._key("token"), self._key("born"), *wanted)
        if isinstance(frame, wire.Renew):
            return await self.client.eval(RENEW, 1, key, holder, frame.token, int(frame.ttl_s * 1000))
        return await self.client.eval(RELEASE, 1, key, holder, frame.token)
