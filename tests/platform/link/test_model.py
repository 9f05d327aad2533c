"""Hub and leases against a model: members crash, stall, come back, and the hub itself dies, in any order."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kirsch.link import seat, wire
from kirsch.link.hub import GRACE_S, Hub
from kirsch.link.inbox import Inbox
from kirsch.link.post import Limits

NAMES = ("web.1", "web.2", "web.3")
LEASES = ("a",)
TTL_S = 10.0
WINDOW = seat.WINDOW


class Process:
    """A member that does what a real one does, one step at a time: the same inbox, no threads."""

    def __init__(self, name: str, pid: int) -> None:
        self.member = wire.Member(name=name, host="alpha", pool="web", pid=pid, state="ready")
        self.ran: Counter[str] = Counter()
        self.inbox = Inbox(lambda channel, text: [self.ran.update([text])], self.say)
        self.inbox.opened.add("x")
        self.inbox.thread = object()  # type: ignore[assignment]
        self.seat: Any = None
        self.hub: Hub | None = None
        self.is_stalled = False
        self.unread: list[bytes] = []
        self.line: Any = None
        self.sent: dict[str, wire.Send] = {}
        self.receipts: dict[str, wire.Receipted] = {}
        self.asked: dict[str, tuple[wire.Frame, float]] = {}
        self.held: dict[str, tuple[int, float]] = {}

    def say(self, frame: wire.Frame) -> None:
        if self.seat is not None and self.hub is not None:
            self.hub.receive(self.seat, wire.encode(frame))

    def connect(self, hub: Hub) -> None:
        self.hub, self.unread = hub, []
        self.line = self.unread.append
        self.seat = hub.join(self.member, ["x"], self.line)
        for frame in [*self.sent.values(), *(asked for asked, _ in self.asked.values())]:
            self.say(frame)

    def disconnect(self, reads: int = 0) -> None:
        """Lose the line, after reading some more whose answers get lost."""
        hub, seat, self.hub = self.hub, self.seat, None
        for _ in range(reads):
            self.read()
        if hub is not None:
            hub.away(seat, self.line)
        self.seat, self.unread = None, []

    def read(self) -> None:
        """Read a line, and run the listeners of everything that has come."""
        if self.is_stalled or not self.unread:
            return
        frame = wire.read_from_hub(self.unread.pop(0))
        if isinstance(frame, wire.Deliver):
            self.inbox.put(frame)
            while not self.inbox._queue.empty():
                message: Any = self.inbox._queue.get()
                answer = self.inbox._deliver(message)
                self.inbox._answers[message.id] = answer
                self.say(answer)
        elif isinstance(frame, wire.Receipted):
            self.sent.pop(frame.id, None)
            assert self.receipts.setdefault(frame.id, frame) == frame
        elif isinstance(frame, wire.Granted) and frame.id in self.asked:
            asked, at = self.asked.pop(frame.id)
            if frame.granted and isinstance(asked, wire.Take):
                self.held[asked.lease] = (frame.token, at + TTL_S)


class HubMachine(RuleBasedStateMachine):
    """The laws: nothing twice to one member, receipts true, one holder at most, tokens that rise."""

    def __init__(self) -> None:
        super().__init__()
        seat.WINDOW = 4
        self.now = 1000.0
        self.serial = 0
        self.hub = self.make_hub()
        self.processes: dict[str, Process] = {}
        self.dead: list[Process] = []
        self.tokens: dict[str, tuple[str, float | None, int]] = {}
        """Of each lease the question that was granted last, when that was, and the token that it got."""
        self.doubtful: set[str] = set()
        """Messages that a hub had taken which died before it said what became of them."""

    def teardown(self) -> None:
        """Leave the window as it was."""
        seat.WINDOW = WINDOW

    def make_hub(self) -> Hub:
        return Hub("alpha", now=lambda: self.now, wall=lambda: self.now, limits=Limits(queue=10))

    def next(self) -> int:
        self.serial += 1
        return self.serial

    @initialize()
    def begin(self) -> None:
        """Everybody is there."""
        for name in NAMES:
            self.start(name)

    @rule(name=st.sampled_from(NAMES))
    def start(self, name: str) -> None:
        """A process starts, or connects again."""
        process = self.processes.get(name)
        if process is None:
            process = self.processes[name] = Process(name, self.next())
        if process.seat is None and not process.is_stalled:
            process.connect(self.hub)

    @rule(name=st.sampled_from(NAMES))
    def crash(self, name: str) -> None:
        """A process is killed, which the kernel tells."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.disconnect()
            self.hub.gone(process.member.id)
            process.held.clear()
            self.dead.append(process)

    @rule(name=st.sampled_from(NAMES), stalls=st.booleans())
    def stall(self, name: str, stalls: bool) -> None:
        """A process is stopped, or goes on."""
        if name in self.processes:
            self.processes[name].is_stalled = stalls

    @rule(name=st.sampled_from(NAMES), reads=st.integers(0, 20))
    def cut(self, name: str, reads: int) -> None:
        """A line breaks, in the middle of work."""
        if name in self.processes:
            self.processes[name].disconnect(reads)

    @rule(name=st.sampled_from(NAMES), reads=st.integers(1, 60))
    def come_again(self, name: str, reads: int) -> None:
        """A line breaks in the middle of work, is made anew, and what comes over it is read."""
        self.cut(name, reads)
        self.start(name)
        self.work(name, reads)

    @rule(name=st.sampled_from(NAMES), timeout_s=st.sampled_from([1.0, 5.0]), count=st.sampled_from([1, 1, 30]))
    def publish(self, name: str, timeout_s: float, count: int) -> None:
        """Somebody publishes, connected or not."""
        process = self.processes.get(name)
        for _ in range(count if process is not None and not process.is_stalled else 0):
            assert process is not None
            number = str(self.next())
            args = wire.pack([f"{process.member.id}/{number}"])
            frame = process.sent[number] = wire.Send(id=number, channel="x", args=args, timeout_s=timeout_s)
            process.say(frame)

    @rule(name=st.sampled_from(NAMES), lease=st.sampled_from(LEASES), reads=st.sampled_from([0, 300]))
    def take(self, name: str, lease: str, reads: int) -> None:
        """Somebody wants a lease, and may hear the answer."""
        process = self.processes.get(name)
        if process is not None and not process.is_stalled:
            frame = wire.Take(id=str(self.next()), lease=lease, ttl_s=TTL_S)
            process.asked[frame.id] = (frame, self.now)
            process.say(frame)
            self.work(name, reads)

    @rule(name=st.sampled_from(NAMES), steps=st.integers(1, 60))
    def work(self, name: str, steps: int) -> None:
        """A process reads what has come."""
        for _ in range(steps if name in self.processes else 0):
            self.processes[name].read()

    @rule(seconds=st.sampled_from([0.1, 1.0, GRACE_S, TTL_S]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.hub.timers.tick()

    @precondition(lambda self: self.processes)
    @rule()
    def replace_hub(self) -> None:
        """The hub dies; the next one knows what is written down: members, leases, tokens."""
        before = self.hub
        self.hub = self.make_hub()
        self.hub.leases.last_token = before.leases.last_token
        self.hub.leases.entries = before.leases.entries
        known = [(one.member, tuple(one.opened)) for one in before.seats.values()]
        for process in self.processes.values():
            self.doubtful |= {f"{process.member.id}/{number}" for number in process.sent}
            process.seat, process.hub, process.unread = None, None, []
        for member, opened in known:
            self.hub.expect(member, opened)

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        """To one member, whatever broke on the way."""
        for process in [*self.processes.values(), *self.dead]:
            assert all(count == 1 for count in process.ran.values())

    @invariant()
    def receipts_are_true(self) -> None:
        """Who is said to have it has it; who is said to have been dropped or refused has not, unless it was gone."""
        everybody = {process.member.id: process for process in [*self.processes.values(), *self.dead]}
        for sender in everybody.values():
            for number, receipt in sender.receipts.items():
                text = f"{sender.member.id}/{number}"
                for member in receipt.delivered:
                    assert everybody[member].ran[text] == 1
                for member, why in receipt.failed.items():
                    # LIMIT: sent again, one finds a queue full that it has been through before
                    assert why == "gone" or text in self.doubtful or everybody[member].ran[text] == 0
                parts = [*receipt.delivered, *receipt.failed, *receipt.timed_out]
                assert len(parts) == len(set(parts))

    @invariant()
    def a_lease_has_one_holder(self) -> None:
        """By everybody's own clock; and each of its tokens is higher than those before."""
        for lease in LEASES:
            holders = [
                process.member.id
                for process in self.processes.values()
                if lease in process.held and process.held[lease][1] > self.now
            ]
            assert len(holders) <= 1, holders
            entry = self.hub.leases.entries.get(lease)
            if entry is not None and entry.ask:
                question, begun, token = self.tokens.get(lease, ("", None, 0))
                # asked again after it has run out, a question is granted anew
                is_same = (entry.ask, entry.begun) == (question, begun)
                assert entry.token == token if is_same else entry.token > token
                self.tokens[lease] = (entry.ask, entry.begun, entry.token)

    @invariant()
    def queues_are_bounded(self) -> None:
        """Whoever stalls."""
        assert all(len(one.waiting) <= 10 for one in self.hub.seats.values())
        assert all(seat.waiting_bytes == sum(len(line) for _, line in seat.waiting) for seat in self.hub.seats.values())

    @invariant()
    def everything_can_be_said_in_json(self) -> None:
        """Also what the status shows."""
        json.dumps({"wrong": self.hub.wrong, "counted": self.hub.post.counted})


TestHub = HubMachine.TestCase
TestHub.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
