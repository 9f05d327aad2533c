"""``engine.cluster``: the bus between processes, as a plugin of the bus inside one.

    cluster = kirsch.link.join(cherrypy.engine)          # in a worker of kirsch it is there already
    cluster.subscribe_to("prices", reload_prices)        # the channel is open: others may publish here
    receipt = cluster.publish("prices", "EUR")           # every worker's engine publishes it
    print(receipt)                                       # "4 of 4"
    cluster.call("queue_length").replies                 # {"web.1@alpha:4242": [17], ...}

Without a hub (a development server, a test) it is a cluster of one, and everything works alike.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import msgspec

from kirsch.errors import BusError
from kirsch.link import wire
from kirsch.link.inbox import Inbox
from kirsch.link.keeper import Keeper
from kirsch.link.lines import Alone, Line, SocketLine
from kirsch.link.once import OnceOnly
from kirsch.link.receipt import Receipt
from kirsch.link.setting import SETTING
from kirsch.link.shared import Shared

log = logging.getLogger(__name__)

#: Nobody from outside ends a process by a message; there are verbs for that.
NEVER_OPEN = frozenset({"start", "stop", "exit", "main", "before_request", "after_request"})
#: Messages on their way from here beyond which senders wait, though never longer than the patience.
CREDIT = 256
PATIENCE_S = 1.0
#: The longest wait for an answer about a lease.
ANSWER_S = 5.0

Answer = TypeVar("Answer", bound=wire.Frame)


class Cluster(OnceOnly, Shared):
    """The processes of a stack, as one of them sees them.

    Args:
        bus: ``cherrypy.engine``.
        member: who this process is.
        line: the way to the hub; None makes a cluster of one.
    """

    def __init__(self, bus: Any, member: wire.Member | None = None, line: Line | None = None) -> None:
        self.bus = bus
        self.me = member or wire.Member(name="alone", pool="alone", pid=os.getpid(), state="ready")
        self.degraded = ""
        """Why other hosts cannot be reached; empty when they can."""
        self.settings = {}
        """What the operator has set for all workers, by section and key."""
        self.on_setting: list[Callable[[str, str, Any], object]] = []
        """Called with section, key and value (None: taken back) of each setting that changes."""
        self.inbox = Inbox(bus.publish, self._say)
        self.keeper = Keeper(self.ask, self.next_id)
        self._members: dict[str, wire.Member] = {}
        self._leader = ""
        self._line = line or Alone()
        self._open = False
        self._lock = threading.Lock()
        self._welcomed = threading.Event()
        self._credit = threading.Condition(self._lock)
        self._receipts: dict[str, Receipt] = {}
        self._asked: dict[str, tuple[wire.Frame, list[Any], threading.Event]] = {}
        self._prefix = secrets.token_hex(4)
        self._number = 0
        self.subscribe_to(SETTING, self._take_setting)

    # A plugin

    def subscribe(self) -> None:
        """Join the others, and leave them when the process ends."""
        self.bus.subscribe("exit", self.leave, 90)
        self.join()

    def become(self, member: wire.Member) -> None:
        """Be another process, forked from the one that this was made in; it must not have joined yet."""
        self.me = member
        self._prefix = secrets.token_hex(4)

    def unsubscribe(self) -> None:
        """Leave the others."""
        self.bus.unsubscribe("exit", self.leave)
        self.leave()

    def join(self, timeout_s: float = 0.0) -> bool:
        """Join the others; True once they know us, which is waited for as long as *timeout_s*."""
        with self._lock:
            is_first, self._open = not self._open, True
        if is_first:
            self._line.open(self._hello, self._hear)
        return self._welcomed.wait(timeout_s)

    def leave(self) -> None:
        """Leave them for good."""
        with self._lock:
            was_open, self._open = self._open, False
        if was_open:
            self.keeper.close()
            self.inbox.close()
            self._say(wire.Bye())
            self._line.close()

    # Who is there

    @property
    def members(self) -> tuple[wire.Member, ...]:
        """Everybody, as far as is known here, in the order of their names."""
        with self._lock:
            return tuple(sorted(self._members.values(), key=lambda member: (member.host, member.name, member.pid)))

    @property
    def leader(self) -> str:
        """The id of the oldest member that serves; a hint: what must not happen twice takes a lease."""
        return self._leader

    @property
    def is_leader(self) -> bool:
        """True in the process that leads."""
        return self._leader == self.me.id

    @property
    def is_joined(self) -> bool:
        """True while there is a hub."""
        return self._welcomed.is_set()

    def say_state(self, state: str) -> None:
        """Tell everybody that this process is in another state (``ready``, ``draining``)."""
        self.me = msgspec.structs.replace(self.me, state=state)
        self._say(wire.State(state=state))

    # Messages

    def open(self, *channels: str) -> None:
        """Let messages for *channels* of the engine in from other processes; all others are dropped.

        Raises:
            BusError: kind ``bad_channel``: no name, or one that nobody from outside may publish to.
        """
        for channel in channels:
            if wire.check_channel(channel) in NEVER_OPEN:
                raise BusError(f"channel {channel!r} cannot be opened: it is the process's own", kind="bad_channel")
        fresh = tuple(channel for channel in channels if channel not in self.inbox.opened)
        self.inbox.opened.update(fresh)
        if fresh and self._open:
            self._say(wire.Open(channels=fresh))

    def subscribe_to(self, channel: str, callback: Callable[..., Any], priority: int | None = None) -> None:
        """Have the engine call *callback* at messages for *channel*, those of other processes included."""
        self.bus.subscribe(channel, callback, priority)
        self.open(channel)

    def publish(
        self,
        channel: str,
        *args: Any,
        to: Iterable[str] | None = None,
        scope: wire.Scope = "cluster",
        timeout_s: float = 5.0,
    ) -> Receipt:
        """Publish to *channel* of every engine in the stack that has opened it, this one included.

        Args:
            channel: of the engines.
            *args: JSON values.
            to: only these: ids ("web.1@alpha:4242"), names ("web.1") or pools ("web").
            scope: ``host`` for this machine only.
            timeout_s: how long answers are waited for.

        Returns:
            The receipt; whatever is asked of it waits, nothing else does.

        Raises:
            BusError: an argument is no JSON value, or all are too large.
        """
        return self._post(channel, args, to, scope, timeout_s, gathers=False)

    def call(
        self,
        channel: str,
        *args: Any,
        to: Iterable[str] | None = None,
        scope: wire.Scope = "cluster",
        timeout_s: float = 5.0,
    ) -> Receipt:
        """Publish, and wait for what the listeners return: ``receipt.replies`` has a list for each member.

        Raises:
            BusError: as ``publish``.
        """
        return self._post(channel, args, to, scope, timeout_s, gathers=True).wait()

    @property
    def message(self) -> wire.Deliver | None:
        """In a listener: the message that it is called for, with its ``sender``, ``at`` and ``id``."""
        return self.inbox.current if threading.current_thread() is self.inbox.thread else None

    def _post(
        self,
        channel: str,
        args: tuple[Any, ...],
        to: Iterable[str] | None,
        scope: wire.Scope,
        timeout_s: float,
        *,
        gathers: bool,
    ) -> Receipt:
        frame = wire.Send(
            id=self.next_id(),
            channel=wire.check_channel(channel),
            args=wire.pack(args),
            scope=scope,
            to=tuple(to) if to is not None else None,
            timeout_s=timeout_s,
            gathers=gathers,
        )
        receipt = Receipt(frame, self._line.poke)
        with self._credit:
            if len(self._receipts) >= CREDIT and threading.current_thread() is not self.inbox.thread:
                self._credit.wait_for(lambda: len(self._receipts) < CREDIT, PATIENCE_S)
            self._receipts[frame.id] = receipt
            if len(self._receipts) > 4 * CREDIT:
                self._forget_old()
        # without a hub it goes out with the next welcome
        self._say(frame)
        return receipt

    def _forget_old(self) -> None:
        for message, receipt in list(self._receipts.items())[:CREDIT]:
            receipt.settle(wire.Receipted(id=message), "no hub has answered")
            del self._receipts[message]

    # Settings

    def _take_setting(self, section: str, key: str, value: Any) -> None:
        found = self.settings.setdefault(section, {})
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value
        for listener in self.on_setting:
            listener(section, key, value)

    # The line

    def ask(self, frame: Any, kind: type[Answer], timeout_s: float = ANSWER_S) -> Answer | None:
        """Ask the hub, again when it was replaced meanwhile; None if there is none."""
        answer: list[Answer] = []
        come = threading.Event()
        with self._lock:
            self._asked[frame.id] = (frame, answer, come)
        self._say(frame)
        come.wait(timeout_s)
        with self._lock:
            self._asked.pop(frame.id, None)
        return answer[0] if answer and isinstance(answer[0], kind) else None

    def next_id(self) -> str:
        """Return an id that nothing had before."""
        with self._lock:
            self._number += 1
            return f"{self._prefix}.{self._number}"

    def _say(self, frame: wire.Frame) -> bool:
        return self._line.send(frame)

    def _hello(self) -> wire.Hello:
        return wire.Hello(member=self.me, opened=tuple(self.inbox.opened))

    def _hear(self, line: bytes) -> None:
        try:
            frame = wire.read_from_hub(line)
        except msgspec.MsgspecError as error:
            # a hub of a later version knows words that this one does not
            self.inbox.wrong["bad_frame"] += 1
            log.warning("bus: dropped what the hub said: %s", error)
            return
        if isinstance(frame, wire.Deliver):
            self.inbox.put(frame)
        elif isinstance(frame, wire.Receipted):
            with self._credit:
                receipt = self._receipts.pop(frame.id, None)
                self._credit.notify()
            if receipt is not None:
                receipt.settle(frame)
        elif isinstance(frame, wire.Granted | wire.Counted):
            with self._lock:
                _, answer, come = self._asked.get(frame.id, (None, [], threading.Event()))
            answer.append(frame)
            come.set()
        elif isinstance(frame, wire.Changed):
            self._change(frame)
        else:
            self._enter(frame)

    def _enter(self, frame: wire.Welcome) -> None:
        """Begin at a hub: what it did not answer yet it is told again, with the same ids."""
        self.me = frame.member
        with self._lock:
            gone = [member for member in self._members if member not in {one.id for one in frame.members}]
            self._members = {member.id: member for member in frame.members}
            self._leader = frame.leader
            self.degraded = frame.degraded
            again = [receipt.frame for receipt in self._receipts.values()]
            again += [asked for asked, _, _ in self._asked.values()]  # type: ignore[misc]
        for section in {*self.settings, *frame.settings}:
            before, after = self.settings.get(section, {}), frame.settings.get(section, {})
            for key in {*before, *after}:
                if before.get(key) != after.get(key):
                    self.inbox.do(partial(self._take_setting, section, key, after.get(key)))
        self._welcomed.set()
        for one in again:
            self._say(one)
        for member in gone:
            self._tell("cluster_leave", member)

    def _change(self, frame: wire.Changed) -> None:
        with self._lock:
            fresh = [member for member in frame.joined if member.id not in self._members]
            self._members |= {member.id: member for member in frame.joined}
            left = [member for member in frame.left if self._members.pop(member, None) is not None]
            is_other, self._leader = self._leader != frame.leader, frame.leader
            is_worse, self.degraded = self.degraded != frame.degraded, frame.degraded
        for member in fresh:
            self._tell("cluster_join", member.id)
        for member_id in left:
            self._tell("cluster_leave", member_id)
        if is_other:
            self._tell("cluster_leader", frame.leader)
        if is_worse:
            self._tell("cluster_degraded", frame.degraded)

    def _tell(self, channel: str, value: str) -> None:
        if self.bus.listeners.get(channel):
            self.inbox.do(partial(self.bus.publish, channel, value))


def join(bus: Any) -> Cluster:
    """Return ``bus.cluster``; where nobody has made one, a cluster of one."""
    found = getattr(bus, "cluster", None)
    if found is None:
        found = bus.cluster = Cluster(bus)
        found.subscribe()
    return found


def join_hub(bus: Any, member: wire.Member, path: str) -> Cluster:
    """Make ``bus.cluster`` a member of the hub that listens at *path*."""
    cluster = bus.cluster = Cluster(bus, member, SocketLine(path))
    cluster.subscribe()
    return cluster
