"""Threads that wait for slow clients: how many may, who comes in their place, and whose wait ends."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from cherrypy.httpd import crew as crew_module
from cherrypy.httpd import waits as waits_module
from cherrypy.httpd.baton import Baton, Seat
from cherrypy.httpd.bell import Bell
from cherrypy.httpd.connection import Connection
from cherrypy.httpd.crew import Crew
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.spool import Spools
from cherrypy.httpd.waits import CutOff, Waits

from .conftest import Client, Running, Serve, eventually

LONG = 100_000
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % LONG
PIECE = b"p" * 65536
PIECES = 200  # more than sockets hold


@pytest.fixture(autouse=True)
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory is set aside for long bodies, or no thread would ever wait for one."""
    monkeypatch.setattr(Spools, "find_room", lambda spools, size: None)


def pieces() -> Iterator[bytes]:
    """A long answer that is made while it is sent."""
    for _ in range(PIECES):
        yield PIECE


def respond(message: Message) -> Answer:
    """``/stream`` is a long answer; bodies are sent back."""
    message.entering(message.path)
    if message.path == "/stream":
        return b"200 OK", [], pieces(), None
    return b"200 OK", [], [message.body.read()], None


def reluctant(running: Running, target: str = "/stream") -> Client:
    """A client that asks for a long answer, and takes none of it."""
    client = running.connect()
    client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
    return client


def is_reset(client: Client) -> bool:
    """Read what there is; True when it ends in a reset."""
    try:
        while client.sock.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Closes the clients that are put into it."""
    opened: list[Client] = []
    yield opened
    for client in opened:
        client.sock.close()


def waiting(running: Running) -> Callable[[int], bool]:
    """Ask whether so many threads come to wait for a client."""
    return lambda count: eventually(lambda: running.server.stats().threads_waiting == count)


# Bodies


def test_half_of_the_pool_streams_bodies(serve: Serve, clients: list[Client]) -> None:
    """All further ones are received without a thread, and all of them arrive whole."""
    running = serve(respond, threads=4)
    for _ in range(8):
        clients.append(running.connect())
        clients[-1].send(HEAD + bytes(70_000))

    def counts() -> tuple[int, int, bool]:
        stats = running.server.stats()
        return stats.threads, stats.threads_waiting, stats.spooled_bytes > 0

    # all at once: a thread does not wait in the moment in which more of its body comes
    assert eventually(lambda: counts() == (4, 2, True))
    with running.connect() as other:
        assert other.get().status == 200
    for client in clients:
        client.send(bytes(LONG - 70_000))
    bodies = {client.reply().body for client in clients}

    assert bodies == {bytes(LONG)}
    assert running.server.stats().spooled_bytes == 0


def test_a_share_that_is_free_again_is_anothers(serve: Serve, clients: list[Client]) -> None:
    """As soon as a body is there, or its client has gone."""
    running = serve(respond, threads=4)
    for turn in range(3):
        first, second = running.connect(), running.connect()
        clients += [first, second]
        first.send(HEAD + bytes(70_000))
        second.send(HEAD + bytes(70_000))
        assert waiting(running)(2), turn
        assert running.server.stats().spooled_bytes == 0
        first.send(bytes(LONG - 70_000))
        assert first.reply().status == 200
        second.sock.close()
        assert waiting(running)(0), turn


def test_a_handler_that_has_its_body_has_no_share(serve: Serve, clients: list[Client]) -> None:
    """Only those count that may still wait for their client."""
    over = threading.Event()

    def work(message: Message) -> Answer:
        data = message.body.read()
        over.wait(10)
        return b"200 OK", [], [data], None

    running = serve(work, threads=3)
    for _ in range(2):
        clients.append(running.connect())
        clients[-1].send(HEAD + bytes(LONG))
    eventually(lambda: running.server.stats().threads_busy == 2)
    clients.append(running.connect())
    clients[-1].send(HEAD + bytes(70_000))
    has_begun = waiting(running)(1)
    clients[-1].send(bytes(LONG - 70_000))
    over.set()

    assert has_begun
    assert {client.reply().body for client in clients} == {bytes(LONG)}


@pytest.mark.parametrize(
    ("threads", "extra", "most"), [(1, 0, 0), (1, 1, 1), (2, 0, 1), (3, 0, 1), (4, 64, 2), (5, 64, 2)]
)
def test_half_of_the_pool_may_wait_for_bodies(threads: int, extra: int, most: int) -> None:
    """And there is always a thread left, or to come, that polls."""
    waits = Waits(Crew(Baton(), lambda seat, patience_s: None), Limits(waiting_threads=extra), threads)

    allowed = [waits.may_stream() for _ in range(6)]

    assert allowed == [True] * most + [False] * (6 - most)


# Answers


def test_who_waits_for_a_reader_is_replaced(serve: Serve, clients: list[Client]) -> None:
    """A pool of two sends six streams to clients that do not read, and answers others."""
    running = serve(respond, threads=2)
    clients += [reluctant(running) for _ in range(6)]
    assert waiting(running)(6)
    with running.connect() as other:
        assert other.get().status == 200
    stats = running.server.stats()

    assert stats.threads == 7
    for client in clients:
        assert client.reply().body == PIECE * PIECES


def test_the_longest_wait_ends_when_nobody_more_may_come(
    serve: Serve, clients: list[Client], caplog: pytest.LogCaptureFixture
) -> None:
    """With a reset, and a line in the log; the others get all of their answers."""
    caplog.set_level("INFO", waits_module.__name__)
    running = serve(respond, threads=1, waiting_threads=2)
    for number in range(4):
        clients.append(reluctant(running))
        assert waiting(running)(min(number + 1, 2))
        assert eventually(lambda number=number: caplog.text.count("client cut off") == max(number - 1, 0))  # type: ignore[misc]
    with running.connect() as other:
        assert other.get().status == 200

    assert running.server.stats().threads == 3
    for client in clients[:2]:
        assert f"client cut off peer={client.sock.getsockname()} waited for=it to take its answer" in caplog.text
        assert is_reset(client)
    for client in clients[2:]:
        assert client.reply().body == PIECE * PIECES


def test_a_body_that_is_waited_for_longest_is_408(serve: Serve, clients: list[Client]) -> None:
    """The refusal can be read, and the thread sends the next stream."""
    running = serve(respond, threads=2, waiting_threads=1)
    clients.append(running.connect())
    clients[0].send(HEAD + bytes(70_000))
    assert waiting(running)(1)
    clients.append(reluctant(running))
    assert waiting(running)(2)
    clients.append(reluctant(running))
    reply = clients[0].reply()

    assert (reply.status, reply.headers["connection"]) == (408, "close")
    assert waiting(running)(2)
    for client in clients[1:]:
        assert client.reply().body == PIECE * PIECES


def test_the_reserve_comes_back_after_a_while(
    serve: Serve, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that came at the same moment are given some time, but not for ever the threads of others."""
    running = serve(respond, threads=4, waiting_threads=1)
    clients += [reluctant(running) for _ in range(4)]
    assert waiting(running)(4)
    threads = running.server.stats().threads

    assert waiting(running)(3)
    assert threads == 5


def test_those_who_came_leave_when_the_waits_are_over(
    serve: Serve, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before: the pool is never short of threads that do something else."""
    monkeypatch.setattr(crew_module, "SPARE_S", 0.05)
    running = serve(respond, threads=2)
    clients += [reluctant(running) for _ in range(6)]
    assert waiting(running)(6)
    with running.connect() as other:
        for _ in range(20):
            threading.Event().wait(0.01)
            other.get()
    threads = running.server.stats().threads
    for client in clients:
        client.sock.close()

    assert threads == 7
    assert eventually(lambda: running.server.stats().threads <= 3)


def test_a_slow_stream_costs_no_descriptors_in_the_end(serve: Serve) -> None:
    """Neither while the server goes on nor after its end."""
    before = len(os.listdir("/proc/self/fd"))
    running = serve(respond, threads=2)
    for _ in range(3):
        slow = [reluctant(running) for _ in range(3)]
        assert waiting(running)(3)
        for client in slow:
            client.sock.close()
        assert waiting(running)(0)
    running.server.stop(5)
    running.thread.join(5)

    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    "limits",
    [
        {"write_grace_s": 2.0**40, "body_grace_s": 2.0**40},
        {"write_rate_bytes_per_s": 0, "body_rate_bytes_per_s": 0},
    ],
    ids=["time", "rate"],
)
def test_without_a_limit_it_takes_as_long_as_it_takes(serve: Serve, clients: list[Client], limits: Any) -> None:
    """No number of seconds is too large."""
    running = serve(respond, **limits)
    clients += [running.connect(), reluctant(running)]
    clients[0].send(HEAD + bytes(70_000))
    assert waiting(running)(2)
    clients[0].send(bytes(LONG - 70_000))

    assert clients[0].reply().body == bytes(LONG)
    assert clients[1].reply().body == PIECE * PIECES


def test_a_generator_stays_in_its_thread(serve: Serve, clients: list[Client]) -> None:
    """From its first piece to its end, however many threads come and go."""
    seen: list[set[int]] = []

    def stream() -> Iterable[bytes]:
        threads: set[int] = set()
        seen.append(threads)
        for _ in range(PIECES):
            threads.add(threading.get_ident())
            yield PIECE

    running = serve(lambda message: (b"200 OK", [], stream(), None), threads=1)
    clients += [reluctant(running) for _ in range(4)]
    assert waiting(running)(4)
    for client in clients:
        client.reply()

    assert [len(threads) for threads in seen] == [1] * 4


# Without a server


class Rig:
    """Waits of a pool of idle threads, on a socket that never becomes readable."""

    def __init__(self, threads: int, extra: int) -> None:
        self.over = threading.Event()
        self.crew = Crew(Baton(), self._idle)
        self.waits = Waits(self.crew, Limits(waiting_threads=extra), threads)
        self.crew.hire(threads)
        self.sock, self.peer = socket.socketpair()
        self.connection = Connection(self.sock, ("peer", 1), Listener(("127.0.0.1", 0)), Limits())

    def _idle(self, seat: Seat, patience_s: float) -> None:
        self.over.wait(10)

    def wait(self, timeout_s: float = 10) -> Any:
        """Wait in this thread: what comes of it, or ``"cut off"``."""
        try:
            return self.waits.wait(self.connection, select.POLLIN, timeout_s)
        except CutOff:
            return "cut off"


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    """Make rigs that end with the test."""
    made: list[Rig] = []

    def make(threads: int, extra: int) -> Rig:
        made.append(Rig(threads, extra))
        return made[-1]

    yield make
    for one in made:
        one.over.set()
        one.connection.close()
        one.peer.close()


@pytest.mark.parametrize(("timeout_s", "sends", "result"), [(0, True, False), (0.01, False, False), (10, True, True)])
def test_a_wait_ends(rig: Callable[..., Rig], timeout_s: float, sends: bool, result: bool) -> None:
    """With the time, or with what it is for."""
    one = rig(3, 0)
    if sends:
        one.peer.send(b"x")

    assert one.wait(timeout_s) is result
    assert one.waits.count() == 0


def test_without_anybody_else_to_poll_the_wait_is_over_at_once(rig: Callable[..., Rig]) -> None:
    """It is the longest, since it is the only one."""
    assert rig(1, 0).wait() == "cut off"


def test_without_a_descriptor_left_it_waits_all_the_same(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else can end it, but if it is the last thread it does not even begin."""

    def refuse(bell: Bell) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Bell, "__init__", refuse)
    several, single = rig(3, 0), rig(1, 0)
    several.peer.send(b"x")

    assert several.wait() is True
    assert single.wait() == "cut off"


def test_a_system_without_further_threads_cuts_off(rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the bound had been reached."""
    one = rig(1, 64)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert one.wait() == "cut off"


def test_the_next_wait_hears_nothing_of_the_last(rig: Callable[..., Rig]) -> None:
    """A wait that was cut off leaves nothing behind, no descriptor either."""
    one = rig(1, 0)
    before = len(os.listdir("/proc/self/fd"))
    assert one.wait() == "cut off"
    one.crew.hire(2)

    assert one.wait(0.01) is False
    assert len(os.listdir("/proc/self/fd")) <= before
