"""What the operator can ask of the bus over the control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from kirsch.errors import BusError, ControlError
from kirsch.nginx.caching import cache_folder
from kirsch.nginx.purge import purge

if TYPE_CHECKING:
    from kirsch.supervise.supervisor import Supervisor

LONGEST_S = 600.0
SECTIONS = ("config", "flags", "log_level")


class BusVerbs:
    """The verbs of the bus of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def table(self) -> Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
        """Return the verbs by name."""
        return {"bus": self.bus, "call": self.call, "set": self.set}

    async def bus(self, args: Mapping[str, Any]) -> Any:
        """Return members, leases, settings and counts."""
        return self.supervisor.bus.describe()

    async def call(self, args: Mapping[str, Any]) -> Any:
        """Call ``channel`` with ``args`` on every worker that has opened it, or on those of ``to``; gather replies."""
        channel, values, to = args.get("channel"), args.get("args") or [], args.get("to")
        if not isinstance(channel, str) or not isinstance(values, list) or not isinstance(to, list | None):
            raise ControlError('call wants {"channel": text, "args": [...], "to": [...]}', kind="bad_argument")
        try:
            return await self.supervisor.bus.post(channel, values, to=to, timeout_s=_timeout(args))
        except BusError as error:
            raise ControlError(str(error), kind=error.kind) from error

    async def set(self, args: Mapping[str, Any]) -> Any:
        """Set ``key`` of ``section`` to ``value`` on all workers, now and later; null takes it back."""
        section, key, value = args.get("section"), args.get("key"), args.get("value")
        if section not in SECTIONS or not isinstance(key, str) or not key:
            raise ControlError(
                f'set wants {{"section": one of {", ".join(SECTIONS)}, "key": text}}', kind="bad_argument"
            )
        try:
            return await self.supervisor.bus.set(section, key, value, timeout_s=_timeout(args))
        except BusError as error:
            raise ControlError(str(error), kind=error.kind) from error


def acts_of(supervisor: Supervisor) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Return what supervisors do for each other, by channel."""

    async def maintain(is_on: bool) -> str:
        """Answer every request of this host with 503 at once, or let them through again."""
        for fleet in supervisor.fleets.values():
            fleet.is_paused = is_on
            supervisor.holdings.hold_for(fleet.pool, 0.0 if is_on else None)
            fleet.relink()
        supervisor.events.say("maintenance", message="begun" if is_on else "over")
        return f"{len(supervisor.fleets)} pools"

    async def purge_answers(what: str) -> str:
        """Forget what nginx keeps here."""
        count = await asyncio.to_thread(purge, cache_folder(supervisor.paths), what)
        supervisor.events.say("purge", message=f"{count} answers of {what}")
        return f"{count} answers"

    return {"kirsch.maintenance": maintain, "kirsch.purge_answers": purge_answers}


def _timeout(args: Mapping[str, Any]) -> float:
    found = args.get("timeout_s", 5.0)
    if not isinstance(found, int | float) or not 0 < found <= LONGEST_S:
        raise ControlError(f"timeout_s={found!r}: allowed: up to {LONGEST_S:g} seconds", kind="bad_argument")
    return float(found)
