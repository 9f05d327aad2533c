"""Blocking handlers hold nobody up."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from cherrypy.httpd import baton as baton_module
from cherrypy.httpd.baton import BLOCKS_S, Baton, Seat
from cherrypy.httpd.message import Answer, Message

from .conftest import Serve


def test_a_blocked_handler_does_not_delay_others(serve: Serve) -> None:
    """Another request is answered while a handler that was never seen before hangs."""
    release = threading.Event()

    def respond(message: Message) -> Answer:
        message.entering(message.path)
        if message.path == "/hang":
            release.wait(10)
        return b"200 OK", [], [message.path.encode()], None

    running = serve(respond)
    with running.connect() as hanging, running.connect() as other:
        hanging.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        bodies = [other.get("/quick").body for _ in range(50)]
        in_flight = running.server.stats().in_flight
        release.set()
        late = hanging.reply().body

    assert bodies == [b"/quick"] * 50
    assert in_flight >= 1
    assert late == b"/hang"


def test_blocking_handlers_use_all_threads_at_once(serve: Serve) -> None:
    """As many requests as there are threads are inside their handlers together."""
    together = threading.Barrier(6, timeout=10)

    def respond(message: Message) -> Answer:
        message.entering("meet")
        together.wait()
        return b"200 OK", [], [b"met"], None

    running = serve(respond, threads=6)
    for _ in range(2):
        clients = [running.connect() for _ in range(6)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        bodies = [client.reply().body for client in clients]
        for client in clients:
            client.sock.close()

        assert bodies == [b"met"] * 6


def test_requests_wait_when_every_thread_is_blocked(serve: Serve) -> None:
    """With all threads inside handlers a new request waits, and is answered as soon as one comes back."""
    release = threading.Event()
    inside = threading.Semaphore(0)

    def respond(message: Message) -> Answer:
        message.entering(message.path)
        if message.path == "/hang":
            inside.release()
            release.wait(10)
        return b"200 OK", [], [b"ok"], None

    running = serve(respond, threads=2)
    hanging = [running.connect() for _ in range(2)]
    for client in hanging:
        client.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        assert inside.acquire(timeout=5)
    with running.connect() as waiting:
        waiting.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        release.set()
        assert waiting.reply().body == b"ok"
    assert [client.reply().body for client in hanging] == [b"ok", b"ok"]
    for client in hanging:
        client.sock.close()


class Clocks:
    """The three clocks by which the baton tells waiting from work, moved by hand."""

    def __init__(self) -> None:
        self.wall_s = self.processor_s = 100.0
        self.switches = 7

    def run(self, seat: Seat, *, waits_s: float = 0.0, works_s: float = 0.0, preempted_s: float = 0.0) -> None:
        """Run the page once: it lets go of the processor to wait, computes, or has the processor taken away."""
        seat.entering("page")
        self.wall_s += waits_s + works_s + preempted_s
        self.processor_s += works_s
        self.switches += bool(waits_s)
        seat.learn()


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Clocks in the baton's module; other threads of this process cannot disturb them."""
    made = Clocks()
    monkeypatch.setattr(baton_module, "monotonic", lambda: made.wall_s)
    monkeypatch.setattr(baton_module, "thread_time", lambda: made.processor_s)
    monkeypatch.setattr(baton_module, "getrusage", lambda who: SimpleNamespace(ru_nvcsw=made.switches))
    return made


def test_a_handler_that_blocks_is_remembered_and_forgotten(clocks: Clocks) -> None:
    """Its average rises with slow runs, falls with quick ones, and vanishes at last."""
    baton = Baton()
    seat = Seat(baton)
    clocks.run(seat, waits_s=0.01)
    risen = baton.memory["page"]
    runs = 0
    while "page" in baton.memory:
        clocks.run(seat, works_s=0.00001)
        runs += 1

    assert risen > BLOCKS_S
    assert runs < 20


@pytest.mark.parametrize("cost", [{"works_s": 0.02}, {"preempted_s": 0.02}, {"works_s": 0.02, "preempted_s": 0.01}])
def test_work_is_not_blocking(clocks: Clocks, cost: dict[str, float]) -> None:
    """A handler that computes, or whose processor is taken by others, is not taken for one that waits."""
    baton = Baton()
    clocks.run(Seat(baton), **cost)

    assert baton.memory.get("page", 0.0) < BLOCKS_S


def test_a_known_blocker_gives_the_baton_away_before_it_runs(serve: Serve) -> None:
    """Inside its second run the handler's thread is not the holder any more."""
    held: list[bool] = []

    def respond(message: Message) -> Answer:
        message.entering("page")
        held.append(bool(running.server._baton.holder and running.server._baton.holder.slot))
        time.sleep(0.03)
        return b"200 OK", [], [b"ok"], None

    running = serve(respond)
    with running.connect() as client:
        for _ in range(3):
            client.get()

    assert held[0] is True
    assert held[2] is False


def test_the_connection_of_a_blocked_handler_is_not_served_twice(serve: Serve) -> None:
    """Requests pipelined behind a blocked one run after it, in order, once each."""
    seen: list[str] = []

    def respond(message: Message) -> Answer:
        message.entering(message.path)
        seen.append(message.path)
        if message.path in ("/1", "/3"):
            time.sleep(0.03)
        return b"200 OK", [], [message.path.encode()], None

    running = serve(respond)
    for _ in range(3):
        seen.clear()
        with running.connect() as client:
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in (1, 2, 3)))
            time.sleep(0.01)
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in (4, 5)))
            bodies = [client.reply().body for _ in range(5)]

        assert bodies == [b"/1", b"/2", b"/3", b"/4", b"/5"]
        assert seen == ["/1", "/2", "/3", "/4", "/5"]


def test_many_clients_and_mixed_handlers_lose_nothing(serve: Serve) -> None:
    """Quick, blocking and streaming handlers from 16 clients at once: each gets exactly its own answers."""

    def respond(message: Message) -> Answer:
        message.entering(message.path.rpartition("/")[0])
        echo = message.path.encode()
        if message.path.startswith("/slow"):
            time.sleep(0.004)
        if message.path.startswith("/stream"):
            return b"200 OK", [], iter([echo[:3], echo[3:]]), None
        return b"200 OK", [], [echo], None

    running = serve(respond, threads=5)
    wrong: list[Any] = []

    def visit(number: int) -> None:
        with running.connect() as client:
            for turn in range(60):
                kind = ("quick", "slow", "stream")[(number + turn) % 3]
                path = f"/{kind}/{number}-{turn}"
                reply = client.get(path)
                if reply.body != path.encode():
                    wrong.append((path, reply))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not wrong
    assert running.server.stats().requests == 16 * 60


def test_the_watcher_sleeps_while_nothing_happens(serve: Serve) -> None:
    """An idle server burns next to no processor time, also with idle connections."""
    running = serve()
    with running.connect() as client:
        client.get()
        end = time.monotonic() + 5
        while not running.server._baton.asleep and time.monotonic() < end:
            time.sleep(0.01)
        assert running.server._baton.asleep
        before = time.process_time()
        time.sleep(0.5)
        burnt = time.process_time() - before
        assert client.get().body == b"hello"

    assert burnt < 0.05


def test_a_finished_answer_does_not_wait_for_a_handler_that_blocks(serve: Serve) -> None:
    """Answers of one turn go out together; when a handler hangs, those before it do, although no thread is free."""
    gate, end = threading.Event(), threading.Event()
    entered: list[str] = []

    def respond(message: Message) -> Answer:
        message.entering(message.path)
        entered.append(message.path)
        if message.path == "/gate":
            gate.wait(10)
        elif message.path == "/hang":
            end.wait(10)
        return b"200 OK", [], [message.path.encode()], None

    running = serve(respond, threads=1)
    with running.connect() as first, running.connect() as quick, running.connect() as hanging:
        first.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        for path, client in ((b"/quick", quick), (b"/hang", hanging)):
            client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        gate.set()
        try:
            assert first.reply().body == b"/gate"
            assert quick.reply().body == b"/quick"
            assert not end.is_set()
        finally:
            end.set()
        assert hanging.reply().body == b"/hang"
    assert entered == ["/gate", "/quick", "/hang"]
