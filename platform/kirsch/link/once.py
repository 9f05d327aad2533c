"""What only one process of many does: leases, and functions that are called under them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kirsch.link import wire
from kirsch.link.keeper import TTL_S, Keeper, Lease
from kirsch.link.schedule import Schedule, name_of, read_schedule, wants_lease

Job = TypeVar("Job", bound=Callable[..., Any])


class OnceOnly:
    """The part of ``engine.cluster`` that has to do with leases."""

    keeper: Keeper
    """The leases that this process has."""

    def take(
        self,
        name: str,
        *,
        scope: wire.Scope = "cluster",
        ttl_s: float = TTL_S,
        every_s: float = 0.0,
        slot: float | None = None,
    ) -> Lease | None:
        """Take the lease *name* if nobody has it: renewed until it is released, or this process ends.

        Args:
            name: of what only one may do.
            scope: among the workers of this host, or all.
            ttl_s: how long it stays taken if this process is stopped or its host is gone.
            every_s: refuse it until so many seconds after it was given last.
            slot: a rising number, each of which it is given for once (the time of a cron job).
        """
        return self.keeper.take(name, scope, ttl_s, every_s, slot)

    def run_once(
        self,
        function: Callable[[], Any],
        name: str,
        *,
        scope: wire.Scope = "cluster",
        ttl_s: float = TTL_S,
        every_s: float = 0.0,
        slot: float | None = None,
    ) -> bool:
        """Call *function* if nobody else does, or has done so in this period; True if it ran here.

        A function with a parameter gets the lease, whose ``token`` rises from holder to holder.
        """
        lease = self.take(name, scope=scope, ttl_s=ttl_s, every_s=every_s, slot=slot)
        if lease is None:
            return False
        with lease:
            function(lease) if wants_lease(function) else function()  # type: ignore[call-arg]
        return True

    def once(
        self,
        *,
        every: float | None = None,
        cron: str | None = None,
        timezone: str | None = None,
        name: str = "",
        scope: wire.Scope = "cluster",
        ttl_s: float = TTL_S,
    ) -> Callable[[Job], Job]:
        """Decorate a function that one process in the stack calls, *every* so many seconds or by a *cron* expression.

        Args:
            every: seconds between two calls, whoever makes them.
            cron: five fields, ``"30 3 * * mon-fri"``, in *timezone* (default: the machine's).
            timezone: an IANA name, ``"Europe/Berlin"``.
            name: of the lease; default the function's module and name.
            scope: ``host`` for one process on each machine.
            ttl_s: as ``take``.

        Raises:
            BusError: kind ``bad_schedule``: not exactly one of *every* and *cron*, or a wrong one.
        """
        schedule = read_schedule(every, cron, timezone)

        def decorate(function: Job) -> Job:
            Schedule(self, function, schedule, name or name_of(function), scope, ttl_s).subscribe()
            return function

        return decorate
