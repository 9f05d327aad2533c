"""The queue in front of busy threads: who waits, who is sent away, and that nobody is forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cherrypy.httpd.message import Answer, Message

from .conftest import Client, Running, Serve

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Busy:
    """A server all of whose threads are inside handlers until ``release`` is set."""

    def __init__(self, serve: Serve, threads: int = 2, **limits: Any) -> None:
        self.release = threading.Event()
        self.inside = threading.Semaphore(0)
        self.running: Running = serve(self.respond, threads=threads, **limits)
        self.holders = [self.running.connect() for _ in range(threads)]
        for holder in self.holders:
            holder.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(threads):
            assert self.inside.acquire(timeout=5)

    def respond(self, message: Message) -> Answer:
        """Hold the thread for /hold, until the release."""
        message.entering(message.path)
        if message.path == "/hold":
            self.inside.release()
            self.release.wait(10)
        return b"200 OK", [], [b"hello"], None

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Until the watcher has seen to it."""
        end = time.monotonic() + 5
        while not is_so():
            assert time.monotonic() < end
            time.sleep(0.002)

    def waiter(self, client: Client | None = None) -> Client:
        """A client with a request that waits, on its way to the threads before the next one comes."""
        before = self.running.server.waiting()
        client = client or self.running.connect()
        client.send(REQUEST)
        self.wait_for(lambda: self.running.server.waiting() > before)
        return client

    def end(self) -> None:
        """Let the handlers go."""
        self.release.set()
        for holder in self.holders:
            assert holder.reply().status == 200
            holder.sock.close()


def test_those_beyond_get_503_and_those_within_their_answer(serve: Serve) -> None:
    """Whoever came first stays."""
    busy = Busy(serve, queued=2, queue_s=0.0, retry_after_s=3)
    with busy.waiter() as first, busy.waiter() as second, busy.running.connect() as third:
        third.send(REQUEST)
        refused = third.reply()

        assert third.is_closed()
        assert (refused.status, refused.headers["retry-after"]) == (503, "3")
        assert refused.headers["connection"] == "close"
        assert busy.running.server.stats().refused == 1
        busy.end()
        assert (first.reply().status, second.reply().status) == (200, 200)


def test_kept_connections_wait_in_the_same_queue(serve: Serve) -> None:
    """An idle one is not in it before it asks."""
    busy = Busy(serve, queued=0, queue_s=0.0)
    with busy.running.connect() as idle:
        busy.wait_for(lambda: len(busy.running.server._loop.connections) == 3)  # type: ignore[union-attr]
        idle.send(REQUEST)

        assert idle.reply().status == 503
    busy.end()


def test_they_wait_for_a_while_first(serve: Serve) -> None:
    """A thread that comes free in time answers them."""
    busy = Busy(serve, queued=0, queue_s=30.0)
    with busy.waiter() as client:
        busy.end()

        assert client.reply().status == 200
    assert busy.running.server.stats().refused == 0


def test_the_limit_may_come_while_the_server_serves(serve: Serve) -> None:
    """Without it they wait for ever; the next request finds it."""
    busy = Busy(serve)
    with busy.waiter() as first:
        busy.running.server.limits.queued = 0
        busy.running.server.limits.queue_s = 0.0
        busy.end()

        assert first.reply().status == 200


def test_who_has_left_is_not_counted(serve: Serve) -> None:
    """Nor does it stay open."""
    busy = Busy(serve, queued=1, queue_s=0.0)
    connections = busy.running.server._loop.connections  # type: ignore[union-attr]
    for _ in range(5):
        with busy.running.connect():
            busy.wait_for(lambda: len(connections) == 3)
        busy.wait_for(lambda: len(connections) == 2)
    with busy.waiter() as client:
        busy.end()

        assert client.reply().status == 200
    assert busy.running.server.stats().refused == 0


@pytest.mark.parametrize("count", [300])
def test_many_at_once(serve: Serve, count: int) -> None:
    """Each gets an answer, one or the other."""
    busy = Busy(serve, queued=10, queue_s=0.05)
    clients = [busy.running.connect() for _ in range(count)]
    for client in clients:
        client.send(REQUEST)
    busy.wait_for(lambda: busy.running.server.stats().refused == count - 10)
    busy.end()
    statuses = [client.reply().status for client in clients]
    for client in clients:
        client.sock.close()

    assert (statuses.count(200), statuses.count(503)) == (10, count - 10)


def test_a_failure_does_not_end_the_watcher(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the server goes on."""
    busy = Busy(serve, queued=0, queue_s=0.0)

    def fail(*_: object) -> None:
        raise RuntimeError("broken refusal")

    busy.running.server._loop.receiver.refuse = fail  # type: ignore[method-assign, union-attr]
    with busy.running.connect() as client:
        client.send(REQUEST)
        busy.wait_for(lambda: "broken refusal" in caplog.text)
        busy.end()

        assert client.reply().status == 200


@pytest.mark.parametrize("is_served", [True, False])
def test_whoever_waited_longer_than_a_deadline_is_answered(serve: Serve, is_served: bool) -> None:
    """The client was in time, the server was not: more of them than one poll reports."""
    threads = 1
    limits = {"idle_s": 0.2} if is_served else {"head_s": 0.2, "queued": 1000}
    busy = Busy(serve, threads=threads, **limits)
    clients: list[Client] = []
    connections = busy.running.server._loop.connections  # type: ignore[union-attr]
    if is_served:
        busy.end()
        busy.running.server.limits.idle_s = 30
        clients = [busy.running.connect() for _ in range(400)]
        for client in clients:
            assert client.get().status == 200
        busy.running.server.limits.idle_s = 0.2
        for connection in connections.values():
            connection.deadline = time.monotonic() + 0.2
        busy.release.clear()
        busy.holders = [busy.running.connect()]
        busy.holders[0].send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert busy.inside.acquire(timeout=5)
    else:
        clients = [busy.running.connect() for _ in range(400)]
    for client in clients:
        client.send(REQUEST)
    busy.wait_for(lambda: len(connections) == 400 + threads)
    end = time.monotonic() + 0.3
    busy.wait_for(lambda: time.monotonic() > end)
    busy.end()

    assert [client.reply().status for client in clients] == [200] * 400
    for client in clients:
        client.sock.close()
