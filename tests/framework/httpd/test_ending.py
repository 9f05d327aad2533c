"""The end of a server while its threads are still busy: each descriptor is closed once, by who owns it.

The number of a closed descriptor is another file's the next moment: a second close, or a late write, would hit a
connection of the next server in the same process.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from cherrypy.httpd import loop as loop_module
from cherrypy.httpd.baton import Baton, Seat
from cherrypy.httpd.connection import BUSY, HEAD, Connection
from cherrypy.httpd.flush import PendingFile
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.server import Server

from .conftest import Serve, eventually, hello


class _NoSocket:
    """In the place of a socket that nobody uses."""

    def fileno(self) -> int:
        return -1

    recv = send = None


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_hung_handler_keeps_its_socket(serve: Serve, is_stream: bool) -> None:
    """A stop tells both ends that it is over; the close is left to the thread that may be about to write."""
    release = threading.Event()
    held: list[Connection] = []
    threads: list[threading.Thread] = []

    def work(message: Message) -> Answer:
        held.append(message.connection)
        threads.append(threading.current_thread())
        release.wait(10)
        return b"200 OK", [], iter([b"late"]) if is_stream else [b"late"], None

    before = len(os.listdir("/proc/self/fd"))
    running = serve(work)
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: bool(held))
        finished = running.server.stop(0.1)
        running.thread.join(5)
        is_told = client.is_closed()
        number = held[0].sock.fileno()
        release.set()
        threads[0].join(5)

    assert (finished, is_told) == (False, True)
    assert number >= 0
    assert held[0].sock.fileno() == -1
    assert not threads[0].is_alive()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_stop_under_load_leaves_nothing_open(serve: Serve) -> None:
    """Requests in line, blocked ones and kept connections, again and again."""

    def work(message: Message) -> Answer:
        if message.path == "/blocks":
            time.sleep(0.02)
        return b"200 OK", [], [b"x" * 100], None

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        running = serve(work)
        over = threading.Event()

        def ask(path: str, running: object = running, over: threading.Event = over) -> None:
            while not over.is_set():
                try:
                    with running.connect() as client:  # type: ignore[attr-defined]
                        for _ in range(20):
                            client.get(path)
                except (OSError, EOFError):
                    over.wait(0.001)

        askers = [threading.Thread(target=ask, args=(path,)) for path in ("/", "/", "/blocks", "/blocks")]
        for asker in askers:
            asker.start()
        eventually(lambda running=running: running.server.stats().requests > 50)  # type: ignore[misc]
        running.server.stop(0.0)
        running.thread.join(5)
        over.set()
        for asker in askers:
            asker.join(10)

    assert eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_the_baton_is_taken_from_who_is_inside_a_request() -> None:
    """That connection is the thread's from then on; a holder that runs none is waited for."""
    baton = Baton()
    seat = Seat(baton)
    connection = Connection(_NoSocket(), ("", 0), Listener(("127.0.0.1", 0)), Limits())  # type: ignore[arg-type]
    baton.take(seat)
    without_a_request = baton.seize(0.01)
    states = [connection.state]
    seat.slot.append(connection)
    inside_one = baton.seize(5)
    states.append(connection.state)

    assert (without_a_request, inside_one) == (False, True)
    assert states == [HEAD, BUSY]
    assert seat.slot == []
    assert baton.holder is None


def test_a_thread_that_is_stuck_in_the_loop_keeps_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Descriptors that stay open are a lesser evil than those of others closed; the log says so."""
    monkeypatch.setattr(loop_module, "_CLOSE_S", 0.02)
    server = Server(("127.0.0.1", 0), hello)
    server.prepare()
    loop = server._loop
    assert loop is not None
    loop.baton.take(Seat(loop.baton))
    loop.close()
    was_closed = loop.poll_set.closed
    loop.baton.release()
    server.stop()

    assert not was_closed
    assert loop.poll_set.closed
    assert "a thread of the server is stuck" in caplog.text


def test_a_piece_of_a_file_is_closed_once(tmp_path: Path) -> None:
    """Also if that is said twice, and its number is another file's by then."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        pending = PendingFile(file.fileno(), 0, 1)
        pending.keep()
    number = pending.fd
    pending.close()
    other = os.open(path, os.O_RDONLY)
    try:
        os.dup2(other, number)
        pending.close()

        assert os.pread(number, 1, 0) == b"x"
    finally:
        for fd in {other, number}:
            os.close(fd)
