"""What the bus does at least, also on a busy machine: in processor time where the clock cannot be trusted."""

from __future__ import annotations

import threading
import time
from typing import Any

from cherrypy.process.wspbus import Bus
from kirsch.link import wire
from kirsch.link.cluster import join
from kirsch.link.hub import Hub

BROADCAST_CPU_S = 0.005
MESSAGES_PER_CPU_S = 2000


def make_hub(count: int) -> tuple[Hub, list[Any]]:
    """A hub with so many members that never read."""
    hub = Hub("alpha", now=time.monotonic, wall=time.time)
    members = [
        wire.Member(name=f"web.{number}", host="alpha", pool="web", pid=number, state="ready")
        for number in range(1, count + 1)
    ]
    return hub, [hub.join(member, ["x"], lambda line: None) for member in members]


def test_a_broadcast_to_fifty_costs_little() -> None:
    """A quarter of the 20 ms that a broadcast with all its receipts may take; 0.4 ms where it was measured."""
    hub, seats = make_hub(50)
    began = time.process_time()
    for number in range(100):
        hub.receive(seats[0], wire.encode(wire.Send(id=str(number), channel="x")))
        done = wire.encode(wire.Done(ids=(f"{seats[0].id}/{number}",)))
        for seat in seats:
            hub.receive(seat, done)
    took = (time.process_time() - began) / 100

    assert hub.post.counted["deliveries"] == 5000
    assert took < BROADCAST_CPU_S


def test_thousands_of_messages_a_second() -> None:
    """From one member to another among fifty, each with its receipt, and none is lost."""
    hub, seats = make_hub(50)
    began = time.process_time()
    for number in range(2000):
        hub.receive(seats[0], wire.encode(wire.Send(id=str(number), channel="x", to=("web.2",))))
        hub.receive(seats[1], wire.encode(wire.Done(ids=(f"{seats[0].id}/{number}",))))
    took = time.process_time() - began

    assert hub.post.counted["deliveries"] == 2000
    assert not hub.post.pending
    assert 2000 / took > MESSAGES_PER_CPU_S


def test_nothing_is_lost_over_sockets(local: Any) -> None:
    """Two thousand messages as fast as one can send; senders wait for receivers."""
    first, second = local.join_many(2)
    heard: list[int] = []
    second.subscribe_to("x", heard.append)
    local.settle()
    receipts = [first.publish("x", number, timeout_s=60) for number in range(2000)]
    whole = sum(receipt.ok and receipt.total == 1 for receipt in receipts)

    assert whole == 2000
    assert heard == list(range(2000))


def test_who_does_not_use_it_does_not_pay() -> None:
    """Nothing of it listens where requests publish, and no thread of it wakes."""
    bus = Bus()
    before = set(threading.enumerate())
    join(bus)
    channels = {channel for channel, listeners in bus.listeners.items() if listeners}

    assert channels == {"exit", "kirsch.setting"}
    assert set(threading.enumerate()) == before
