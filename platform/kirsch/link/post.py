"""The post of a hub: messages on their way, their receipts, and the queues that bound them.

Laws: a receipt says what happened, never more: delivered is who has said so. No member gets a message twice, as ids
stay when something is sent again. Every queue is bounded, and who sent what found no place is told so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from kirsch.link import wire
from kirsch.link.seat import Seat
from kirsch.link.timers import Timers
from kirsch.link.uplink import Uplink

LONGEST_S = 3600.0
GONE = "gone"
"""Why a member that has left, or died, did not do something."""
HOST_GONE = "the host cannot be reached"

Answer = Callable[[wire.Receipted], None]


@dataclass(frozen=True)
class Limits:
    """Bounds of a hub."""

    queue: int = 1000
    """Messages that may wait for one member."""
    queue_bytes: int = 8 * 2**20
    when_full: Literal["refuse", "drop_oldest"] = "refuse"
    message_bytes: int = wire.MESSAGE_LIMIT_BYTES
    opened: int = 1000
    """Channels of one member."""


@dataclass(eq=False)
class Pending:
    """A message on its way."""

    key: str
    answer: Answer
    frame: wire.Send
    waiting: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    """Other hosts whose receipts are still to come."""
    delivered: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    timed_out: list[str] = field(default_factory=list)
    replies: dict[str, msgspec.Raw] = field(default_factory=dict)


class Post:
    """All messages of a hub.

    Args:
        seats: members of this host by id.
        wall: Unix time.
        uplink: returns the way to other hosts, None without one.
        refuse: called with who said something that it may not say.
    """

    def __init__(
        self,
        seats: Mapping[str, Seat],
        limits: Limits,
        timers: Timers,
        wall: Callable[[], float],
        uplink: Callable[[], Uplink | None],
        refuse: Callable[[Seat, str, str], None],
    ) -> None:
        self.limits = limits
        self.counted: Counter[str] = Counter()
        """Messages, deliveries, and what became of them."""
        self.pending: dict[str, Pending] = {}
        self._seats = seats
        self._timers = timers
        self._wall = wall
        self._uplink = uplink
        self._refuse = refuse

    def spread(self, key: str, sender: str, frame: wire.Send, answer: Answer, *, from_afar: bool = False) -> None:
        """Deliver a message to everybody whom it is for; *answer* gets the receipt."""
        pending = self.pending[key] = Pending(key, answer, frame)
        self.counted["messages"] += 1
        line = wire.encode(
            wire.Deliver(
                id=key, channel=frame.channel, args=frame.args, sender=sender, at=self._wall(), gathers=frame.gathers
            )
        )
        wanted = set(frame.to) if frame.to is not None else None
        targets = [
            seat
            for seat in self._seats.values()
            if frame.channel in seat.opened and (wanted is None or is_meant(seat, wanted))
        ]
        pending.waiting.update([seat.id for seat in targets])
        if not from_afar and frame.scope == "cluster" and (uplink := self._uplink()) is not None:
            pending.hosts = uplink.spread(key, sender, frame)
        for seat in targets:
            self._queue(seat, key, line)
        if not self._settle(pending):
            self._timers.after(min(frame.timeout_s, LONGEST_S), lambda: self._time_out(key))

    def _queue(self, seat: Seat, key: str, line: bytes) -> None:
        while len(seat.waiting) >= self.limits.queue or seat.waiting_bytes + len(line) > self.limits.queue_bytes:
            self.counted["dropped"] += 1
            if self.limits.when_full == "refuse" or not seat.waiting:
                self.fail(key, seat.id, "its queue is full")
                return
            self.fail(seat.drop_oldest(), seat.id, "dropped for newer ones, as its queue was full")
        seat.put(key, line)

    def _landed(self, seat: Seat, key: str) -> Pending | None:
        """Note that a member has answered; return what it has answered, if anybody waits for that."""
        if seat.flying.pop(key, None) is None:
            self._refuse(seat, "unasked", f"an answer to {key!r}, which it was not sent")
            return None
        self.counted["deliveries"] += 1
        seat.pump()
        pending = self.pending.get(key)
        return pending if pending is not None and seat.id in pending.waiting else None

    def done(self, seat: Seat, frame: wire.Done) -> None:
        """Take the answers of a member to messages that it had."""
        for key in frame.ids:
            if (pending := self._landed(seat, key)) is not None:
                pending.delivered.append(seat.id)
                pending.waiting.discard(seat.id)
                self._settle(pending)

    def reply(self, seat: Seat, frame: wire.Reply) -> None:
        """Take the reply of a member."""
        if (pending := self._landed(seat, frame.id)) is not None:
            pending.replies[seat.id] = frame.value
            pending.delivered.append(seat.id)
            pending.waiting.discard(seat.id)
            self._settle(pending)

    def failed(self, seat: Seat, frame: wire.Failed) -> None:
        """Take a failure of a member."""
        if self._landed(seat, frame.id) is not None:
            self.fail(frame.id, seat.id, frame.why[:1000])

    def fail(self, key: str, member: str, why: str) -> None:
        """Note that a member will not get a message, and why."""
        pending = self.pending.get(key)
        if pending is not None and member in pending.waiting:
            pending.failed[member] = why
            pending.waiting.discard(member)
            self._settle(pending)

    def answered_afar(self, host: str, key: str, receipt: wire.Receipted | None) -> None:
        """Take the receipt of another host; None: it is gone."""
        pending = self.pending.get(key)
        if pending is None or host not in pending.hosts:
            return
        pending.hosts.discard(host)
        if receipt is None:
            pending.failed[f"@{host}"] = HOST_GONE
        else:
            pending.delivered += receipt.delivered
            pending.failed |= receipt.failed
            pending.timed_out += receipt.timed_out
            pending.replies |= receipt.replies
        self._settle(pending)

    def lost_afar(self, host: str) -> None:
        """Wait no longer for anything of another host."""
        for pending in list(self.pending.values()):
            self.answered_afar(host, pending.key, None)

    def _time_out(self, key: str) -> None:
        pending = self.pending.get(key)
        if pending is None:
            return
        for member in pending.waiting:
            if member in self._seats:
                self._seats[member].forget(key)
        pending.timed_out += [*sorted(pending.waiting), *(f"@{host}" for host in sorted(pending.hosts))]
        pending.waiting.clear()
        pending.hosts.clear()
        self._settle(pending)

    def _settle(self, pending: Pending) -> bool:
        if pending.waiting or pending.hosts or self.pending.get(pending.key) is not pending:
            return False
        del self.pending[pending.key]
        self.counted["failed"] += len(pending.failed)
        self.counted["timed_out"] += len(pending.timed_out)
        uplink = self._uplink()
        pending.answer(
            wire.Receipted(
                id=pending.key,
                delivered=tuple(pending.delivered),
                failed=pending.failed,
                timed_out=tuple(pending.timed_out),
                replies=pending.replies,
                degraded=uplink.degraded if uplink is not None and pending.frame.scope == "cluster" else "",
            )
        )
        return True


def is_meant(seat: Seat, wanted: set[str]) -> bool:
    """True for members that a message is for: by id, by name or by pool."""
    return seat.id in wanted or seat.member.name in wanted or seat.member.pool in wanted
