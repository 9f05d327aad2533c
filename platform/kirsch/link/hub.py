"""The hub: the place on a host where every message passes, in one order. It has no sockets: lines in, lines out.

Law: a member is who the kernel says that it is; what it says is checked before it counts, and what is wrong with it is
counted and said with its name.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from kirsch.errors import BusError
from kirsch.link import wire
from kirsch.link.leases import Grant, LeaseTable
from kirsch.link.post import GONE, Limits, Post
from kirsch.link.seat import Seat
from kirsch.link.timers import Timers
from kirsch.link.uplink import Uplink
from kirsch.link.windows import Windows

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""How long a member may be away (the hub was replaced, its line broke) before it counts as gone."""
REMEMBERED = 4096
"""Receipts that are kept for senders whose line broke before they got theirs."""
RESERVED = "kirsch."
"""Channels that only supervisors send to."""

Send = Callable[[bytes], object]


class Hub:
    """The hub of one host, or of one process that is alone.

    Args:
        host: its name.
        now: a clock that never goes back.
        wall: Unix time.
        leases: those of this host; of the cluster, too, as long as there is no uplink.
        on_change: called when something has changed that has to outlive this hub.
    """

    def __init__(
        self,
        host: str,
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
        leases: LeaseTable | None = None,
        limits: Limits | None = None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self.host = host
        self.limits = limits or Limits()
        self.leases = leases or LeaseTable(now, wall)
        self.settings: dict[str, dict[str, Any]] = {}
        self.seats: dict[str, Seat] = {}
        self.uplink: Uplink | None = None
        self.leader = ""
        self.wrong: Counter[str] = Counter()
        """What was dropped, by kind."""
        self.timers = Timers(now)
        self.post = Post(self.seats, self.limits, self.timers, wall, lambda: self.uplink, self.refuse)
        self._now = now
        self._wall = wall
        self._on_change = on_change
        self._windows = Windows(now)
        self._finished: OrderedDict[str, wire.Receipted] = OrderedDict()
        self._acts: dict[type, Callable[[Seat, Any], None]] = {
            wire.Open: self._open,
            wire.State: self._state,
            wire.Send: self._send,
            wire.Done: self.post.done,
            wire.Failed: self.post.failed,
            wire.Reply: self.post.reply,
            wire.Take: self._lease,
            wire.Renew: self._lease,
            wire.Release: self._lease,
            wire.Count: self._count,
            wire.Bye: self._bye,
        }

    # Who is there

    def join(self, member: wire.Member, opened: Iterable[str], send: Send) -> Seat:
        """Have a member in, or back on another line."""
        opened = set(list(opened)[: self.limits.opened])
        seat = self.seats.get(member.id)
        if seat is None:
            seat = self.seats[member.id] = Seat(member)
        member = msgspec.structs.replace(member, since=seat.member.since or self._wall())
        seat.member, seat.opened = member, opened
        send(
            wire.encode(
                wire.Welcome(
                    member=member,
                    members=self.members,
                    leader=self.leader,
                    settings=self.settings,
                    degraded=self.degraded,
                )
            )
        )
        seat.come_back(send)
        if member.pool:
            self.announce(joined=(member,))
        return seat

    def expect(self, member: wire.Member, opened: Iterable[str]) -> None:
        """Count on a member that an earlier hub had: what is sent meanwhile waits for it."""
        self.seats[member.id] = seat = Seat(member, set(opened), away_since=self._now())
        self.timers.after(GRACE_S, lambda: self._give_up(seat))

    def away(self, seat: Seat, send: Send) -> None:
        """Its line broke; it may come back."""
        if seat.send is send and self.seats.get(seat.id) is seat:
            seat.send, seat.away_since = None, self._now()
            self.timers.after(GRACE_S, lambda: self._give_up(seat))

    def _give_up(self, seat: Seat) -> None:
        if seat.away_since is not None and self._now() >= seat.away_since + GRACE_S * 0.99:
            self.gone(seat.id, is_dead=False)

    def gone(self, member: str, *, is_dead: bool = True) -> None:
        """It has left, or its process has ended: nothing of it is waited for, and its leases are free.

        Of a process that only is not heard of (*is_dead* false) the leases run out by themselves.
        """
        seat = self.seats.pop(member, None)
        if is_dead:
            self.leases.release_all(member)
            if self.uplink is not None:
                self.uplink.release_all(member)
        if seat is None:
            return
        seat.send = None
        for key in [*seat.flying, *(message for message, _ in seat.waiting)]:
            self.post.fail(key, member, GONE)
        self.announce(left=(member,))

    def _bye(self, seat: Seat, frame: wire.Bye) -> None:
        self.gone(seat.id)

    def _state(self, seat: Seat, frame: wire.State) -> None:
        seat.member = msgspec.structs.replace(seat.member, state=frame.state[: wire.NAME_LIMIT])
        self.announce(joined=(seat.member,))

    def _open(self, seat: Seat, frame: wire.Open) -> None:
        if len(seat.opened) + len(frame.channels) > self.limits.opened:
            self.refuse(seat, "too_many_channels", f"more than {self.limits.opened} channels")
            return
        seat.opened.update(frame.channels)
        self._on_change()

    @property
    def local(self) -> tuple[wire.Member, ...]:
        """Members of this host; its supervisor, which has no pool, is none."""
        return tuple(seat.member for seat in self.seats.values() if seat.member.pool)

    @property
    def members(self) -> tuple[wire.Member, ...]:
        """Members of all hosts that can be reached."""
        return (*self.local, *(self.uplink.remote if self.uplink is not None else ()))

    @property
    def degraded(self) -> str:
        """Why other hosts are not asked."""
        return self.uplink.degraded if self.uplink is not None else ""

    def announce(
        self, joined: tuple[wire.Member, ...] = (), left: tuple[str, ...] = (), *, remote: bool = False
    ) -> None:
        """Tell every member of this host who has come or gone, and who leads now: the oldest one that serves."""
        ready = [member for member in self.members if member.state == "ready" and member.pool]
        self.leader = min(ready, key=lambda member: (member.since, member.id)).id if ready else ""
        line = wire.encode(wire.Changed(joined=joined, left=left, leader=self.leader, degraded=self.degraded))
        for seat in list(self.seats.values()):
            if seat.send is not None:
                seat.send(line)
        if not remote:
            if self.uplink is not None:
                self.uplink.local_changed()
            self._on_change()

    # Messages

    def set(self, section: str, key: str, value: Any) -> None:
        """Keep a setting for those who join from now on; None takes it back."""
        found = self.settings.setdefault(section, {})
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value
        self._on_change()

    def receive(self, seat: Seat, line: bytes) -> None:
        """Take a line of a member; what is wrong with it is counted and said, and goes no further."""
        if len(line) > self.limits.message_bytes:
            self.refuse(seat, "too_large", f"{len(line)} octets")
            return
        try:
            frame = wire.read_from_peer(line)
        except msgspec.MsgspecError as error:
            self.refuse(seat, "bad_frame", str(error))
            return
        act = self._acts.get(type(frame))
        if act is None:
            self.refuse(seat, "bad_frame", f"{type(frame).__name__} again")
            return
        act(seat, frame)

    def refuse(self, seat: Seat, kind: str, why: str) -> None:
        """Count what may not be said, and name who said it; at most once a second in the log."""
        self.wrong[kind] += 1
        seat.wrong += 1
        if self._now() >= seat.complains_at:
            seat.complains_at = self._now() + 1.0
            log.warning("bus: dropped what %s said (%s; %d by now): %s", seat.id, kind, seat.wrong, why[:300])

    def _send(self, seat: Seat, frame: wire.Send) -> None:
        try:
            wire.check_channel(frame.channel)
        except BusError as error:
            self.refuse(seat, "bad_channel", str(error))
            return
        key = f"{seat.id}/{frame.id}"
        if frame.channel.startswith(RESERVED) and seat.member.pool:
            # SECURITY: settings and purges are the operator's; a worker of one pool does not command those of another
            self.refuse(seat, "reserved", frame.channel)
            self._keep(key, seat.id, frame.id, wire.Receipted(id=key, failed={seat.id: f"{RESERVED}* is reserved"}))
            return
        if key in self._finished:
            self._give(seat.id, self._finished[key])
            return
        if key in self.post.pending:
            return
        self.post.spread(key, seat.id, frame, partial(self._keep, key, seat.id, frame.id))

    def _keep(self, key: str, member: str, message: str, receipt: wire.Receipted) -> None:
        """Give a sender its receipt, now and whenever it asks again."""
        receipt = msgspec.structs.replace(receipt, id=message)
        self._finished[key] = receipt
        if len(self._finished) > REMEMBERED:
            self._finished.popitem(last=False)
        self._give(member, receipt)

    def _give(self, member: str, frame: wire.Frame) -> None:
        seat = self.seats.get(member)
        if seat is not None and seat.send is not None:
            seat.send(wire.encode(frame))

    # Leases, counters

    def _lease(self, seat: Seat, frame: wire.Take | wire.Renew | wire.Release) -> None:
        def answer(grant: Grant, member: str = seat.id) -> None:
            self._give(
                member,
                wire.Granted(id=frame.id, granted=grant.granted, token=grant.token, holder=grant.holder, why=grant.why),
            )

        if frame.scope == "cluster" and self.uplink is not None:
            self.uplink.lease(frame, seat.id, answer)
            return
        grant = apply_lease(self.leases, frame, seat.id)
        if grant.granted and not isinstance(frame, wire.Renew):
            self._on_change()  # before the answer: a token that somebody has seen is never given again
        answer(grant)

    def _count(self, seat: Seat, frame: wire.Count) -> None:
        if self.uplink is not None and not self.uplink.degraded:
            self.uplink.count(frame, partial(self._give, seat.id))
            return
        count, left_s = self._windows.count(frame.key, frame.window_s, frame.by)
        self._give(seat.id, wire.Counted(id=frame.id, count=count, left_s=left_s))


def apply_lease(table: LeaseTable, frame: wire.Take | wire.Renew | wire.Release, holder: str) -> Grant:
    """Do with a table what a frame asks for."""
    if isinstance(frame, wire.Take):
        return table.take(frame.lease, holder, frame.ttl_s, frame.every_s, frame.slot, ask=frame.id)
    if isinstance(frame, wire.Renew):
        return table.renew(frame.lease, holder, frame.token, frame.ttl_s)
    return table.release(frame.lease, holder, frame.token)
