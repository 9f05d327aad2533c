"""The leases that a process has: taken, renewed in time, given back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from kirsch.link import wire
from kirsch.link.memory import now

log = logging.getLogger(__name__)

TTL_S = 10.0
#: A lease is believed in for a little less than it was given for.
SAFETY_SHARE = 0.05

Ask = Callable[..., Any]


class Lease:
    """Something that only this process may do right now; a context that gives it back at its end."""

    def __init__(self, keeper: Keeper, name: str, scope: wire.Scope, ttl_s: float, token: int, until: float) -> None:
        self.name = name
        self.scope = scope
        self.ttl_s = ttl_s
        self.token = token
        """The fencing token: higher than that of every holder before. Give it to what checks it (a database: ``UPDATE
        ... WHERE token < %s``), then a holder that was stopped and goes on later does no harm."""
        self._keeper = keeper
        self._until = until

    def __repr__(self) -> str:
        return f"<Lease {self.name} {self.token}{'' if self.is_held else ', lost'}>"

    @property
    def is_held(self) -> bool:
        """True as long as nobody else can have it; looks at the clock, asks nobody."""
        return now() < self._until

    def release(self) -> None:
        """Give it back."""
        self._until = 0.0
        self._keeper.release(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class Keeper:
    """Takes leases for a process and renews them.

    Args:
        ask: asks the hub.
        next_id: names each question.
    """

    def __init__(self, ask: Ask, next_id: Callable[[], str]) -> None:
        self.held: set[Lease] = set()
        self._ask = ask
        self._next_id = next_id
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = False
        self._thread: threading.Thread | None = None

    def take(self, name: str, scope: wire.Scope, ttl_s: float, every_s: float, slot: float | None) -> Lease | None:
        """Take a lease; None if it cannot be had now."""
        asked = now()
        frame = wire.Take(id=self._next_id(), lease=name, scope=scope, ttl_s=ttl_s, every_s=every_s, slot=slot)
        answer = self._ask(frame, wire.Granted, ttl_s / 2)
        if answer is None or not answer.granted:
            return None
        lease = Lease(self, name, scope, ttl_s, answer.token, _until(asked, ttl_s))
        with self._lock:
            self.held.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep, name="kirsch-leases", daemon=True)
                self._thread.start()
        self._wake.set()
        return lease

    def release(self, lease: Lease) -> None:
        """Give one back."""
        with self._lock:
            if lease not in self.held:
                return
            self.held.discard(lease)
        frame = wire.Release(id=self._next_id(), lease=lease.name, token=lease.token, scope=lease.scope)
        self._ask(frame, wire.Granted, 1.0)

    def renew(self, lease: Lease) -> None:
        """Prolong one; what was lost is not held any more."""
        asked = now()
        frame = wire.Renew(
            id=self._next_id(), lease=lease.name, token=lease.token, scope=lease.scope, ttl_s=lease.ttl_s
        )
        answer = self._ask(frame, wire.Granted, lease.ttl_s / 3)
        if answer is None or answer.why == "unreachable":
            return  # nobody answers: it lasts as long as it lasts
        if answer.granted:
            if lease._until:
                lease._until = _until(asked, lease.ttl_s)
            return
        lease._until = 0.0
        with self._lock:
            lost = lease in self.held
            self.held.discard(lease)
        if lost:
            log.warning("bus: the lease %s (token %d) is lost: %s", lease.name, lease.token, answer.why)

    def close(self) -> None:
        """Give all back."""
        self._over = True
        self._wake.set()
        for lease in tuple(self.held):
            lease.release()

    def _keep(self) -> None:
        while not self._over:
            with self._lock:
                held = tuple(self.held)
            if not held:
                self._wake.wait()
                self._wake.clear()
                continue
            self._wake.wait(min(lease.ttl_s for lease in held) / 3)
            self._wake.clear()
            for lease in held:
                if lease in self.held and lease._until - now() < lease.ttl_s * 0.75:
                    self.renew(lease)


def _until(asked: float, ttl_s: float) -> float:
    """When a lease ends for its holder: counted from its question, so before it ends for the hub."""
    return asked + ttl_s * (1 - SAFETY_SHARE)
