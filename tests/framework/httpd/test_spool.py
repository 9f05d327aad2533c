"""Long bodies that the poll set receives, and the room that they take."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cherrypy.http.bodyerrors import BodyIncomplete
from cherrypy.httpd.connection import Connection
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.spool import NoRoom, Spool, Spools
from cherrypy.httpd.waits import Waits
from cherrypy.httpd.writer import CONTINUE

from .conftest import Client, Serve, eventually

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads that may wait for clients do, and no memory is set aside: every long body is spooled."""
    monkeypatch.setattr(Spools, "find_room", lambda spools, size: None)
    monkeypatch.setattr(Waits, "may_stream", lambda waits: False)


def temporary_files() -> list[str]:
    """What this process has open that no folder names any more."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("/") and target.endswith(" (deleted)"):
            found.append(target)
    return found


def echo(message: Message) -> Answer:
    """Send the body back."""
    message.entering("echo")
    return b"200 OK", [], [message.body.read()], None


def ignore(message: Message) -> Answer:
    """Read nothing."""
    message.entering("ignore")
    return b"200 OK", [], [b"ignored"], None


@pytest.mark.parametrize("memory_bytes", [0, 10, 1000])
def test_octets_come_back_in_order(memory_bytes: int, tmp_path: Path) -> None:
    """From memory or from a file, which has a name nowhere."""
    spools = Spools(Limits(spool_memory_bytes=memory_bytes, spool_directory=str(tmp_path)))
    spool = Spool(spools)
    before = len(temporary_files())
    for start in range(0, 100, 7):
        spool.write(bytes(range(start, min(start + 7, 100))))
    files = len(temporary_files()) - before
    spool.rewind()

    assert spools.held_bytes == 100
    assert files == (memory_bytes < 100)
    assert list(tmp_path.iterdir()) == []
    assert spool.read(60) + spool.read(60) + spool.read(60) == bytes(range(100))
    spool.close()
    spool.close()
    assert spools.held_bytes == 0
    assert spool.read(1) == b""
    assert len(temporary_files()) == before


def test_there_is_room_for_so_much_altogether() -> None:
    """What one gives back, another may have."""
    spools = Spools(Limits(spool_bytes=100))
    first, second = Spool(spools), Spool(spools)
    first.write(bytes(60))
    with pytest.raises(NoRoom, match="spool_bytes=100"):
        second.write(bytes(41))
    second.write(bytes(40))
    first.close()
    second.write(bytes(60))

    assert spools.held_bytes == 100


def test_a_directory_that_cannot_be_written_is_no_room(tmp_path: Path) -> None:
    """Said when memory does not do any more."""
    spool = Spool(Spools(Limits(spool_memory_bytes=10, spool_directory=str(tmp_path / "missing"))))
    spool.write(bytes(10))

    with pytest.raises(NoRoom, match="missing"):
        spool.write(b"x")


@pytest.mark.usefixtures("no_share")
def test_a_handler_runs_when_all_of_its_body_is_there(serve: Serve) -> None:
    """Until then no thread is busy with it."""
    running = serve(echo, threads=1)
    body = os.urandom(600_000)
    with running.connect() as client, running.connect() as other:
        client.send(HEAD % len(body) + body[:500_000])
        eventually(lambda: running.server.stats().spooled_bytes >= 400_000)
        stats = running.server.stats()
        between = other.get().status
        client.send(body[500_000:] + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = client.reply()
        following = client.reply()

    assert (stats.threads_busy, between) == (0, 200)
    assert reply.body == body
    assert following.status == 200
    assert running.server.stats().spooled_bytes == 0


@pytest.mark.usefixtures("no_share")
@pytest.mark.parametrize("size", [5, 100_000])
def test_who_waits_for_a_continue_gets_it_from_the_poll_set(serve: Serve, size: int) -> None:
    """Even for a short body: who reads that off the network would wait as well."""
    running = serve(echo, threads=1)
    with running.connect() as client:
        client.send(HEAD[:-2] % size + b"Expect: 100-continue\r\n\r\n")
        first = client.reply()
        busy = running.server.stats().threads_busy
        client.send(b"x" * size)

        assert (first.status, busy) == (100, 0)
        assert client.reply().body == b"x" * size


@pytest.mark.usefixtures("no_share")
def test_no_room_is_503_and_a_close(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """With Retry-After; the room it had is free again, and the log says why."""
    running = serve(echo, spool_bytes=200_000)
    with running.connect() as client:
        client.send(HEAD % 400_000 + bytes(390_000))
        reply = client.reply()

        assert (reply.status, reply.headers["retry-after"], reply.headers["connection"]) == (503, "1", "close")
    assert "no room for a request body" in caplog.text
    assert running.server.stats().spooled_bytes == 0
    assert running.exchange(HEAD % 100_000 + bytes(100_000) + b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("no_share")
@pytest.mark.parametrize(
    ("respond", "leave"),
    [
        (echo, lambda client: client.sock.close()),
        (echo, lambda client: client.finish()),
        (ignore, lambda client: client.finish()),
        (ignore, lambda client: client.send(bytes(100_000))),
        (echo, lambda client: client.send(bytes(100_000))),
    ],
    ids=["gone", "cut short", "cut short, unread", "unread", "read"],
)
def test_its_file_goes_with_the_request(
    serve: Serve, respond: Callable[[Message], Answer], leave: Callable[[Client], None]
) -> None:
    """However that ends."""
    before = len(temporary_files())
    running = serve(respond, spool_memory_bytes=1)
    with running.connect() as client:
        client.send(HEAD % 200_000 + bytes(100_000))
        eventually(lambda: running.server.stats().spooled_bytes > 0 and len(temporary_files()) > before)
        leave(client)

        assert eventually(lambda: running.server.stats().spooled_bytes == 0)
        assert len(temporary_files()) == before


@pytest.mark.usefixtures("no_share")
def test_its_file_goes_with_the_server(serve: Serve) -> None:
    """A stop cuts off what is on its way."""
    before = len(temporary_files())
    running = serve(echo, spool_memory_bytes=1)
    with running.connect() as client:
        client.send(HEAD % 200_000 + bytes(100_000))
        eventually(lambda: running.server.stats().spooled_bytes > 0 and len(temporary_files()) > before)
        finished = running.server.stop(0.1)
        running.thread.join(5)

    assert finished is False
    assert len(temporary_files()) == before


@pytest.mark.usefixtures("no_share")
def test_who_reads_on_after_the_request_gets_an_error(serve: Serve) -> None:
    """An incomplete body never looks complete, also when it was the application that came late."""
    kept: list[Message] = []

    def respond(message: Message) -> Answer:
        kept.append(message)
        return b"200 OK", [], [message.body.read(10)], None

    running = serve(respond)
    with running.connect() as client:
        client.send(HEAD % 200_000 + bytes(200_000))
        client.reply()
        eventually(lambda: running.server.stats().spooled_bytes == 0)

    with pytest.raises(BodyIncomplete):
        kept[0].body.read()


@pytest.mark.usefixtures("no_share")
def test_a_slow_sender_has_the_same_time(serve: Serve) -> None:
    """The handler is told: 408."""
    running = serve(echo, body_grace_s=0.2, body_rate_bytes_per_s=1e6)
    start = time.monotonic()
    answer = running.exchange(HEAD % 200_000 + bytes(100_000))

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - start < 5


@pytest.mark.usefixtures("no_share")
def test_a_client_that_cannot_take_a_continue_is_a_threads(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not read its last answer: the poll set does not wait for that."""
    refused: list[bytes] = []
    use = Connection.use

    def use_full(connection: Connection, sock: socket.socket) -> None:
        use(connection, sock)
        send = connection.send

        def send_later(data: bytes) -> int:
            if bytes(data) == CONTINUE and not refused:
                refused.append(data)
                raise BlockingIOError
            return send(data)

        connection.send = send_later  # type: ignore[assignment]

    monkeypatch.setattr(Connection, "use", use_full)
    running = serve(echo)
    with running.connect() as client:
        client.send(HEAD[:-2] % 3 + b"Expect: 100-continue\r\n\r\n")
        first = client.reply()
        is_waited_for = eventually(lambda: running.server.stats().threads_waiting == 1)
        client.send(b"abc")

        assert (first.status, is_waited_for, client.reply().body) == (100, True, b"abc")
    assert refused == [CONTINUE]


# Memory for bodies of known length


def test_a_room_gives_out_what_was_written_without_a_copy() -> None:
    """As soon as it is closed; then others may have it."""
    spools = Spools(Limits(bodies_memory_bytes=1000))
    room = spools.find_room(1000)
    assert room is not None
    taken = spools.room_bytes
    room.view[:] = b"ab" * 500
    room.close()
    first = room.file.read()
    room.file.seek(0)

    assert first == b"ab" * 500
    assert room.file.read() is first
    assert (taken, spools.room_bytes) == (1000, 0)


def test_rooms_are_limited_each_and_together() -> None:
    """What one gives back, another may have."""
    spools = Spools(Limits(body_memory_bytes=60, bodies_memory_bytes=100))
    first = spools.find_room(60)

    assert first is not None
    assert spools.find_room(61) is None
    assert spools.find_room(41) is None
    assert spools.find_room(40) is not None
    first.close()
    assert spools.find_room(60) is not None
    assert spools.room_bytes == 100


def test_a_body_in_memory_needs_no_thread_until_it_is_there(serve: Serve) -> None:
    """Nor a file; what comes behind it is the next request."""
    before = len(temporary_files())
    running = serve(echo, threads=1)
    body = os.urandom(600_000)
    with running.connect() as client, running.connect() as other:
        client.send(HEAD % len(body) + body[:500_000])
        is_set_aside = eventually(lambda: running.server.stats().spooled_bytes == 600_000)
        stats = running.server.stats()
        between = other.get().status
        files = len(temporary_files()) - before
        client.send(body[500_000:] + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = client.reply()
        following = client.reply()

    assert is_set_aside
    assert (stats.threads_busy, between, files) == (0, 200, 0)
    assert reply.body == body
    assert following.status == 200
    assert running.server.stats().spooled_bytes == 0


@pytest.mark.parametrize("limits", [{"body_memory_bytes": 99_999}, {"bodies_memory_bytes": 150_000}])
def test_a_body_for_which_no_memory_is_left_arrives_as_well(serve: Serve, limits: dict[str, int]) -> None:
    """By a thread, or by a file."""
    running = serve(echo, threads=2, **limits)
    with running.connect() as first, running.connect() as second:
        first.send(HEAD % 100_000 + bytes(50_000))
        second.send(HEAD % 100_000 + bytes(100_000))
        answered = second.reply().body
        first.send(bytes(50_000))

        assert answered == bytes(100_000)
        assert first.reply().body == bytes(100_000)
    assert running.server.stats().spooled_bytes == 0


@pytest.mark.parametrize("respond", [echo, ignore])
@pytest.mark.parametrize(
    "leave",
    [lambda client: client.sock.close(), lambda client: client.finish(), lambda client: client.send(bytes(100_000))],
    ids=["gone", "cut short", "whole"],
)
def test_its_memory_goes_with_the_request(
    serve: Serve, respond: Callable[[Message], Answer], leave: Callable[[Client], None]
) -> None:
    """However that ends."""
    running = serve(respond)
    with running.connect() as client:
        client.send(HEAD % 200_000 + bytes(100_000))
        is_set_aside = eventually(lambda: running.server.stats().spooled_bytes == 200_000)
        leave(client)

        assert is_set_aside
        assert eventually(lambda: running.server.stats().spooled_bytes == 0)
