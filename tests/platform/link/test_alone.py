"""An application without a supervisor: a cluster of one, in which everything works alike."""

from __future__ import annotations

import threading

import pytest

import kirsch.link
from cherrypy.process.wspbus import Bus
from kirsch.link.cluster import Cluster


@pytest.fixture
def cluster() -> Cluster:
    """The only member."""
    return kirsch.link.join(Bus())


def test_who_is_alone_is_all(cluster: Cluster) -> None:
    """The only member, and so the leader; asked twice it is the same."""
    assert [member.name for member in cluster.members] == ["alone"]
    assert cluster.is_leader
    assert kirsch.link.join(cluster.bus) is cluster


def test_messages_come_back(cluster: Cluster) -> None:
    """With receipts, replies and failures."""
    cluster.subscribe_to("double", lambda number: number * 2)
    cluster.subscribe_to("fail", lambda: 1 / 0)

    assert str(cluster.publish("double", 4)) == "1 of 1"
    assert cluster.call("double", 4).replies == {cluster.me.id: [8]}
    assert "ZeroDivisionError" in cluster.publish("fail").failed[cluster.me.id]
    assert str(cluster.publish("closed")) == "0 of 0"


def test_time_is_kept(cluster: Cluster) -> None:
    """A listener that does not end is told as one, without a clock of anybody's."""
    go = threading.Event()
    cluster.subscribe_to("slow", lambda: go.wait(20))
    receipt = cluster.publish("slow", timeout_s=0.05)
    timed_out = receipt.timed_out
    go.set()

    assert timed_out == (cluster.me.id,)


def test_leases_are_always_had(cluster: Cluster) -> None:
    """Though only once at a time; tokens rise."""
    first = cluster.take("job")
    second = cluster.take("job")
    assert first is not None
    first.release()
    third = cluster.take("job")

    assert second is None
    assert third is not None
    assert third.token > first.token
    assert (first.is_held, third.is_held) == (False, True)


def test_it_costs_no_thread_before_it_is_used() -> None:
    """Having joined is no work."""
    before = set(threading.enumerate())
    cluster = kirsch.link.join(Bus())
    during = set(threading.enumerate())
    cluster.subscribe_to("x", lambda: None)
    cluster.publish("x").wait()

    assert during == before
    assert {thread.name for thread in set(threading.enumerate()) - before} == {"kirsch-bus"}


def test_after_the_end_nothing_is_delivered(cluster: Cluster) -> None:
    """The exit of the engine is the end."""
    heard: list[int] = []
    cluster.subscribe_to("x", heard.append)
    cluster.bus.publish("exit")
    receipt = cluster.publish("x", 1, timeout_s=0.01)
    receipt.settle(receipt._found, "over")

    assert heard == []
