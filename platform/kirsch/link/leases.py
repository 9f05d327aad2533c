"""Leases: who may do something alone, for how long, and with which fencing token. Pure: the clock is given.

Law: a lease has one holder at most; each grant has a higher token than every one before, also across restarts, so that
whoever checks tokens (a database, a store) can refuse the work of a holder that was stopped and does not know its end.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

#: What a periodic grant may come before its period is over, as a share: timers of different processes are never exact.
EARLY_SHARE = 0.01
#: A slot so far ahead of the clock was given while the clock was wrong; it does not keep later ones from being granted.
FUTURE_S = 90.0


class Entry(msgspec.Struct, kw_only=True):
    """One lease. Times are of the table's clock."""

    holder: str = ""
    token: int = 0
    until: float = 0.0
    begun: float | None = None
    """When it was granted last."""
    slot: float | None = None
    """The last slot that it was granted for."""
    ask: str = ""
    """Which question the grant answered: the same one, asked again since the answer was lost, gets the same."""


class Grant(msgspec.Struct, kw_only=True, frozen=True):
    """The answer: granted with a token, or refused with who holds it or why not."""

    granted: bool
    token: int = 0
    holder: str = ""
    why: str = ""


class LeaseTable:
    """All leases of a host.

    Args:
        now: a clock that never goes back and does not stop while the machine sleeps.
        wall: Unix time, for slots.
        last_token: the highest that was ever given.
    """

    def __init__(self, now: Callable[[], float], wall: Callable[[], float], last_token: int = 0) -> None:
        self._now = now
        self._wall = wall
        self.last_token = last_token
        self.entries: dict[str, Entry] = {}

    def take(
        self, name: str, holder: str, ttl_s: float, every_s: float = 0.0, slot: float | None = None, *, ask: str = ""
    ) -> Grant:
        """Give lease *name* to *holder* if nobody has it, and it is time for it.

        The holder of a lease gets it again only as a new grant: there is no way to hold it twice.
        """
        now = self._now()
        entry = self.entries.setdefault(name, Entry())
        if entry.holder and entry.until > now:
            if ask and (entry.holder, entry.ask) == (holder, ask):
                return Grant(granted=True, token=entry.token, holder=holder)
            return Grant(granted=False, holder=entry.holder, token=entry.token, why="held")
        if every_s and entry.begun is not None and now < entry.begun + every_s * (1 - EARLY_SHARE):
            return Grant(granted=False, why="not yet")
        if slot is not None:
            done = entry.slot if entry.slot is not None and entry.slot <= self._wall() + FUTURE_S else None
            if done is not None and slot <= done:
                return Grant(granted=False, why="done")
            entry.slot = slot
        self.last_token += 1
        entry.holder, entry.token, entry.until, entry.begun = holder, self.last_token, now + ttl_s, now
        entry.ask = ask
        return Grant(granted=True, token=entry.token, holder=holder)

    def renew(self, name: str, holder: str, token: int, ttl_s: float) -> Grant:
        """Prolong it, for who holds it with that token. What has run out is lost, even if nobody else has it yet."""
        entry = self.entries.get(name)
        if entry is None or (entry.holder, entry.token) != (holder, token):
            return Grant(granted=False, holder=entry.holder if entry else "", why="lost")
        if entry.until <= self._now():
            return Grant(granted=False, why="ran out")
        entry.until = self._now() + ttl_s
        return Grant(granted=True, token=token, holder=holder)

    def release(self, name: str, holder: str, token: int) -> Grant:
        """Give it back."""
        entry = self.entries.get(name)
        if entry is None or (entry.holder, entry.token) != (holder, token):
            return Grant(granted=False, why="lost")
        entry.holder, entry.until = "", 0.0
        return Grant(granted=True, token=token)

    def release_all(self, holder: str) -> list[str]:
        """Free what a holder that is gone for good has; return the names."""
        freed = [name for name, entry in self.entries.items() if entry.holder == holder]
        for name in freed:
            self.entries[name].holder = ""
        return freed

    def held(self) -> dict[str, Entry]:
        """Return the leases that somebody holds."""
        now = self._now()
        return {name: entry for name, entry in self.entries.items() if entry.holder and entry.until > now}
