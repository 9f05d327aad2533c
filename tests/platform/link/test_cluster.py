"""What applications can rely on, over every transport."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from kirsch.errors import BusError

Wait = Callable[..., None]


def names(ids: Any) -> list[str]:
    return sorted(member.partition("@")[0] for member in ids)


def test_a_message_reaches_every_engine_once(world: Any) -> None:
    """The sender's own one too; the receipt counts who has run its listeners."""
    members = world.join_many(6)
    heard: dict[str, list[Any]] = {member.me.name: [] for member in members}
    for member in members:
        member.subscribe_to("prices", lambda *args, who=member.me.name: heard[who].append(args))
    world.settle()
    receipt = members[0].publish("prices", "EUR", 1.5, None, {"a": [True]})

    assert str(receipt) == "6 of 6"
    assert receipt
    assert names(receipt.delivered) == [f"web.{number}" for number in range(1, 7)]
    assert all(one == [("EUR", 1.5, None, {"a": [True]})] for one in heard.values())


def test_order_is_kept(world: Any) -> None:
    """What one has published reaches another in that order."""
    first, second = world.join_many(2)
    heard: list[int] = []
    second.subscribe_to("count", heard.append)
    world.settle()
    receipts = [first.publish("count", number) for number in range(300)]

    assert all(receipts)
    assert heard == list(range(300))


def test_only_opened_channels_come_in(world: Any) -> None:
    """A channel of the engine that nobody has opened is not reached from outside; those of the process never."""
    first, second = world.join_many(2)
    heard: list[str] = []
    second.bus.subscribe("private", heard.append)
    receipt = first.publish("private", "x")
    with pytest.raises(BusError, match="the process's own"):
        second.open("exit")

    assert str(receipt) == "0 of 0"
    assert heard == []


def test_a_call_gathers_what_the_listeners_return(world: Any) -> None:
    """A list for each member, as ``engine.publish`` returns it."""
    members = world.join_many(3)
    for member in members:
        member.subscribe_to("who", lambda greeting, name=member.me.name: f"{greeting} {name}")
    world.settle()
    receipt = members[1].call("who", "hi")

    assert {name.partition("@")[0]: reply for name, reply in receipt.replies.items()} == {
        f"web.{number}": [f"hi web.{number}"] for number in (1, 2, 3)
    }


def test_a_failing_listener_is_told(world: Any) -> None:
    """As failed with its error, beside those that did it; so is a reply that is no JSON."""
    members = world.join_many(3)

    def fail() -> None:
        raise ZeroDivisionError("no")

    members[0].subscribe_to("work", lambda: object())
    members[1].subscribe_to("work", fail)
    members[2].subscribe_to("work", lambda: 1)
    world.settle()
    published = members[0].publish("work")
    called = members[0].call("work")

    assert names(published.delivered) == ["web.1", "web.3"]
    assert "ZeroDivisionError" in published.failed[members[1].me.id]
    assert not published
    assert names(called.delivered) == ["web.3"]
    assert "JSON does not have" in called.failed[members[0].me.id]


def test_who_is_slow_is_not_waited_for(world: Any) -> None:
    """The receipt says who did not answer in time."""
    first, second = world.join_many(2)
    go = threading.Event()
    first.subscribe_to("slow", lambda: None)
    second.subscribe_to("slow", lambda: go.wait(20))
    world.settle()
    receipt = first.publish("slow", timeout_s=0.3)
    slow = receipt.timed_out
    go.set()

    assert names(slow) == ["web.2"]
    assert names(receipt.delivered) == ["web.1"]


def test_a_message_for_some(world: Any) -> None:
    """By name, by id or by pool; to all of one host."""
    members = world.join_many(3)
    other = world.join("jobs.1", pool="jobs")
    for member in [*members, other]:
        member.subscribe_to("x", lambda: None)
    world.settle()

    assert names(members[0].publish("x", to=["web.2"]).delivered) == ["web.2"]
    assert names(members[0].publish("x", to=[members[2].me.id]).delivered) == ["web.3"]
    assert names(members[0].publish("x", to=["jobs"]).delivered) == ["jobs.1"]
    on_host = {one.me.name for one in [*members, other] if one.me.host == members[0].me.host}
    assert set(names(members[0].publish("x", scope="host").delivered)) == on_host


@pytest.mark.parametrize("wrong", [object(), b"x", float("nan"), {1: 2}, {"a": {3}}, [[object()]]])
def test_only_json_is_sent(world: Any, wrong: Any) -> None:
    """Nothing is turned into something else on the way."""
    member = world.join("web.1")
    with pytest.raises(BusError, match="JSON does not have") as error:
        member.publish("x", wrong)

    assert error.value.kind == "not_json"


def test_large_messages_are_refused_at_once(world: Any) -> None:
    """By the sender, with the bound."""
    member = world.join("web.1")
    with pytest.raises(BusError, match="too large; allowed: 261120") as error:
        member.publish("x", "a" * 300_000)

    assert error.value.kind == "too_large"


def test_members_come_and_go(world: Any, eventually: Wait) -> None:
    """Everybody knows who is there, in which state, and hears of changes on channels of the engine."""
    first, second = world.join_many(2)
    told: list[tuple[str, str]] = []
    for channel in ("cluster_join", "cluster_leave"):
        first.bus.subscribe(channel, lambda member, channel=channel: told.append((channel, member)))
    third = world.join("web.3")
    gone = third.me.id
    eventually(lambda: ("cluster_join", gone) in told)
    third.say_state("draining")
    eventually(lambda: "draining" in {member.state for member in second.members})
    third.leave()
    eventually(lambda: ("cluster_leave", gone) in told)

    assert [one for one in told if one[1] == gone] == [("cluster_join", gone), ("cluster_leave", gone)]
    assert [member.name for member in second.members] == ["web.1", "web.2"]
    assert {member.pool for member in second.members} == {"web"}


def test_the_oldest_that_serves_leads(world: Any, eventually: Wait) -> None:
    """One in all; another when it leaves, which is told on a channel."""
    first, second, third = world.join_many(3)
    told: list[str] = []
    third.bus.subscribe("cluster_leader", told.append)
    eventually(lambda: {member.leader for member in (first, second, third)} == {first.me.id})
    first.say_state("draining")
    eventually(lambda: {member.leader for member in (first, second, third)} == {second.me.id})
    eventually(lambda: told)

    assert (first.is_leader, second.is_leader, third.is_leader) == (False, True, False)
    assert told == [second.me.id]


def test_a_listener_knows_whom_a_message_is_from(world: Any) -> None:
    """And may publish and call itself."""
    first, second = world.join_many(2)
    told: list[Any] = []

    def listen() -> str:
        assert second.message is not None
        told.append(second.message.sender)
        return str(second.call("name").replies[first.me.id][0])

    first.subscribe_to("name", lambda: "first")
    second.subscribe_to("ask", listen)
    world.settle()
    receipt = first.call("ask")

    assert receipt.replies[second.me.id] == ["first"]
    assert told == [first.me.id]
    assert second.message is None


def test_counting_together(world: Any) -> None:
    """One counter for all, new in each window."""
    first, second = world.join_many(2)
    counts = [one.count("login 192.0.2.1", 60) for one in (first, second, first)]

    assert counts == [1, 2, 3]
    assert second.count("login 192.0.2.2", 60, by=5) == 5
