"""What the operator can ask of the bus over the control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kirsch.errors import BusError, ControlError
from kirsch.link.setting import ASK, MAINTENANCE, PURGE_SESSIONS, SECTIONS, SESSION_STORES, parse_app_key
from kirsch.nginx.caching import cache_folder
from kirsch.nginx.purge import purge

if TYPE_CHECKING:
    from kirsch.supervise.supervisor import Supervisor

LONGEST_S = 600.0
#: What one supervisor may have another do.
AFAR = ("drain", "undrain", "status")

Verb = Callable[[Mapping[str, Any]], Awaitable[Any]]


class BusVerbs:
    """The verbs of the bus of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def table(self) -> Mapping[str, Verb]:
        """Return the verbs by name."""
        return {
            "bus": self.bus,
            "call": self.call,
            "set": self.set,
            "purge_sessions": self.purge_sessions,
            "afar": self.afar,
        }

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
        """Set ``values`` of ``section`` (or one ``key``, ``value``) on all workers, now and later; null takes back."""
        section, values = args.get("section"), args.get("values") or {args.get("key"): args.get("value")}
        if section not in SECTIONS or not isinstance(values, dict) or not all(_is_key(key) for key in values):
            raise ControlError(
                f'set wants {{"section": one of {", ".join(SECTIONS)}, "values": {{key: value}}}}', kind="bad_argument"
            )
        try:
            to = self._pools_of(values) if section == "app_config" else None
            return await self.supervisor.bus.set(section, values, to=to, timeout_s=_timeout(args))
        except BusError as error:
            raise ControlError(str(error), kind=error.kind) from error
        except ValueError as error:
            raise ControlError(str(error), kind="bad_argument") from error

    async def purge_sessions(self, args: Mapping[str, Any]) -> Any:
        """Remove sessions from every store: the one ``id``, those that hold all of ``where``, or all.

        A store that the workers of a host share is purged by one of them.
        """
        session_id, where = args.get("id") or "", args.get("where")
        if not isinstance(session_id, str) or not isinstance(where, dict | None):
            raise ControlError('purge_sessions wants {"id": text} or {"where": {key: value}}', kind="bad_argument")
        bus, timeout_s = self.supervisor.bus, _timeout(args)
        asked = await bus.post(SESSION_STORES, [], timeout_s=timeout_s)
        chosen: dict[str, dict[str, str]] = {}
        for member, (names,) in sorted(asked["replies"].items()):
            for name in (name for name, is_shared in names.items() if is_shared):
                chosen.setdefault(_host_of(member), {}).setdefault(name, member)
        return await bus.post(PURGE_SESSIONS, [session_id, where, chosen], timeout_s=timeout_s)

    async def afar(self, args: Mapping[str, Any]) -> Any:
        """Have the supervisor of ``host`` do ``act``, a verb, with ``args``."""
        host, verb, rest = args.get("host"), args.get("act"), args.get("args") or {}
        bus = self.supervisor.bus
        if verb not in AFAR or not isinstance(rest, dict):
            raise ControlError(f"afar: allowed verbs: {', '.join(AFAR)}", kind="bad_argument")
        if host not in bus.hosts:
            raise ControlError(
                f"there is no host {host} on the bus; there are: {', '.join(bus.hosts)}", kind="unknown_host"
            )
        result = await bus.post(ASK, [verb, rest], to=[f"supervisor@{host}:0"], timeout_s=_timeout(args))
        for (reply,) in result["replies"].values():
            return reply
        why = " ".join(result["failed"].values()) or result["degraded"] or "it did not answer in time"
        raise ControlError(f"{host}: {why}", kind="partial")

    def _pools_of(self, names: Iterable[str]) -> list[str]:
        """Return the pools whose workers run the apps that are meant."""
        known = self.supervisor.state.stack.apps if self.supervisor.state is not None else {}
        apps = {parse_app_key(name).app for name in names}
        for app in apps - known.keys():
            raise ControlError(f"there is no app {app}; there are: {', '.join(known)}", kind="unknown_app")
        return sorted({known[app].pool for app in apps})


def acts_of(supervisor: Supervisor, verbs: Mapping[str, Verb]) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Return what supervisors do for each other, by channel; *verbs* are those of the control socket."""

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

    async def ask(verb: str, args: dict[str, Any]) -> Any:
        """Do what the operator of another host says."""
        if verb not in AFAR:
            raise ControlError(f"afar: allowed verbs: {', '.join(AFAR)}", kind="bad_argument")
        found = await verbs[verb](args)
        return _part_of(found, args.get("workers") or ()) if verb == "status" else found

    return {MAINTENANCE: maintain, ASK: ask, "kirsch.purge_answers": purge_answers}


def _part_of(status: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return what the status says of some workers: the whole may be too large for a message."""
    wanted = set(names)
    pools = [
        {"workers": [worker for worker in pool["workers"] if worker["name"] in wanted]} for pool in status["pools"]
    ]
    return {"pools": pools}


def _host_of(member: str) -> str:
    """``web.1@alpha:4242``: ``alpha``."""
    return member.partition("@")[2].rpartition(":")[0]


def _is_key(key: object) -> bool:
    return isinstance(key, str) and bool(key) and key.isprintable()


def _timeout(args: Mapping[str, Any]) -> float:
    found = args.get("timeout_s", 5.0)
    if not isinstance(found, int | float) or not 0 < found <= LONGEST_S:
        raise ControlError(f"timeout_s={found!r}: allowed: up to {LONGEST_S:g} seconds", kind="bad_argument")
    return float(found)
