"""Life of a server, limits and deadlines, seen from a client's socket."""

from __future__ import annotations

import os
import threading
import time
from asyncio import CancelledError
from collections.abc import Iterator
from pathlib import Path

import pytest

from cherrypy.httpd.errors import ServerStateError
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.server import Server

from .conftest import Serve, eventually, hello


def test_a_request_is_answered_with_date_and_length(serve: Serve) -> None:
    """The server completes what the application left out."""
    running = serve()
    with running.connect() as client:
        reply = client.get()

    assert reply.status == 200
    assert reply.body == b"hello"
    assert reply.headers["content-length"] == "5"
    assert reply.headers["date"].endswith(" GMT")
    assert "connection" not in reply.headers


def test_many_requests_on_one_connection(serve: Serve) -> None:
    """A kept connection is accepted once."""
    running = serve()
    with running.connect() as client:
        bodies = {client.get().body for _ in range(200)}
    stats = running.server.stats()

    assert bodies == {b"hello"}
    assert stats.accepted == 1
    assert stats.requests == 200
    assert stats.bytes_in > 0
    assert stats.bytes_out > 0


def test_http_10_keeps_only_when_asked(serve: Serve) -> None:
    """The answer says ``Keep-Alive`` then."""
    running = serve()
    with running.connect() as client:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        first = client.reply()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        second = client.reply()

        assert client.is_closed()
    assert first.headers["connection"] == "Keep-Alive"
    assert second.headers["connection"] == "close"


def test_stop_closes_idle_connections_and_ends_serve(serve: Serve) -> None:
    """Quickly, without an exception; and the server can be started again on the same object."""
    running = serve()
    with running.connect() as client:
        client.get()
        start = time.monotonic()
        assert running.server.stop(5)
        running.thread.join(5)

        assert not running.thread.is_alive()
        assert client.read_all() == b""
    assert time.monotonic() - start < 2
    assert not running.raised
    assert not running.server.ready

    running.server.prepare()
    thread = threading.Thread(target=running.server.serve)
    thread.start()
    with running.connect() as client:
        assert client.get().body == b"hello"
    running.server.stop(5)
    thread.join(5)
    assert not thread.is_alive()


def test_stop_lets_a_running_request_finish(serve: Serve) -> None:
    """Its answer says that the connection closes."""
    inside, release = threading.Event(), threading.Event()

    def respond(message: Message) -> Answer:
        inside.set()
        release.wait(5)
        return b"200 OK", [], [b"done"], None

    running = serve(respond)
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert inside.wait(5)
        stopper = threading.Thread(target=running.server.stop, args=(5,))
        stopper.start()
        time.sleep(0.05)
        release.set()
        reply = client.reply()
    stopper.join(5)

    assert reply.body == b"done"
    assert reply.headers["connection"] == "close"


def test_stop_cuts_off_what_does_not_finish(serve: Serve) -> None:
    """A hung handler does not hang the server."""
    release = threading.Event()

    def respond(message: Message) -> Answer:
        release.wait(20)
        return b"200 OK", [], [b"late"], None

    running = serve(respond)
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not running.server.stats().in_flight:
            time.sleep(0.01)
        finished = running.server.stop(0.2)
        running.thread.join(5)
        release.set()

        assert finished is False
        assert not running.thread.is_alive()


def test_stop_from_inside_a_request(serve: Serve) -> None:
    """The request that stops the server is answered."""

    def respond(message: Message) -> Answer:
        running.server.stop(5)
        return b"200 OK", [], [b"bye"], None

    running = serve(respond)
    with running.connect() as client:
        assert client.get().body == b"bye"
    running.thread.join(5)

    assert not running.thread.is_alive()


def test_a_server_knows_its_threads(serve: Serve) -> None:
    """Those that run requests, and no other."""
    mine: list[bool] = []

    def respond(message: Message) -> Answer:
        mine.append(running.server.owns_thread())
        return hello(message)

    running = serve(respond)
    running.exchange(b"GET / HTTP/1.0\r\n\r\n")

    assert mine == [True]
    assert not running.server.owns_thread()
    assert not running.server.owns_thread(running.thread)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_handler_ends_the_server(serve: Serve, error: type[BaseException]) -> None:
    """No answer, but a plain end of the connection and no reset; ``serve`` raises it."""

    def respond(message: Message) -> Answer:
        raise error

    running = serve(respond)
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.sock.recv(100)
    running.thread.join(5)

    assert answer == b""
    assert isinstance(running.raised[0], error)


def test_an_interrupt_in_a_stream_cuts_the_answer(serve: Serve) -> None:
    """The last chunk is missing; ``serve`` raises it."""

    def stream() -> Iterator[bytes]:
        yield b"one"
        raise KeyboardInterrupt

    running = serve(lambda message: (b"200 OK", [], stream(), None))
    answer = running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    running.thread.join(5)

    assert answer.endswith(b"3\r\none\r\n")
    assert isinstance(running.raised[0], KeyboardInterrupt)


def test_interrupt_can_be_set_from_outside(serve: Serve) -> None:
    """``serve`` raises it."""
    running = serve()
    with running.connect() as client:
        client.get()
    running.server.interrupt = KeyboardInterrupt()
    running.thread.join(5)

    assert isinstance(running.raised[0], KeyboardInterrupt)


def test_drain_answers_and_waits_for_the_clients_to_leave(serve: Serve) -> None:
    """Idle connections are not closed first; each answer is the last of its connection; True when all have gone."""
    running = serve(idle_s=0.1)
    client = running.connect()
    client.get()
    done: list[bool] = []
    drainer = threading.Thread(target=lambda: done.append(running.server.drain(5)))
    drainer.start()
    time.sleep(0.3)
    still_there = not done
    newcomer = running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    reply = client.get()
    closed = client.is_closed()
    client.sock.close()
    drainer.join(5)

    assert still_there
    assert b"\r\nConnection: close\r\n" in newcomer
    assert reply.headers["connection"] == "close"
    assert closed
    assert done == [True]


def test_shed_ends_the_connections_of_this_moment_with_their_next_answer(serve: Serve) -> None:
    """None is closed before it is answered, and whoever comes later is kept."""
    running = serve()
    with running.connect() as early:
        early.get()
        count = running.server.shed()
        with running.connect() as late:
            kept = [late.get() for _ in range(2)]
        last = early.get()

        assert count == 1
        assert last.status == 200
        assert last.headers["connection"] == "close"
        assert early.is_closed()
        assert [reply.headers.get("connection") for reply in kept] == [None, None]


def test_drain_gives_up_at_its_deadline(serve: Serve) -> None:
    """False while a client stays."""
    running = serve()
    with running.connect() as client:
        client.get()

        assert running.server.drain(0.1) is False


def test_drain_under_load_loses_nothing(serve: Serve) -> None:
    """Clients that reconnect when told to see an answer to every request."""
    running = serve()
    lost: list[object] = []
    quit_now = threading.Event()

    def visit() -> None:
        client = running.connect()
        while not quit_now.is_set():
            try:
                reply = client.get()
            except OSError as error:
                lost.append(error)
                return
            if reply.headers.get("connection") == "close":
                client.sock.close()
                if running.server.draining:
                    return
                client = running.connect()
        client.sock.close()

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    time.sleep(0.2)
    drained = running.server.drain(5)
    quit_now.set()
    for visitor in visitors:
        visitor.join(5)

    assert drained
    assert not lost


def test_the_responder_can_be_replaced_while_serving(serve: Serve) -> None:
    """The next request goes to the new one."""
    running = serve()
    with running.connect() as client:
        assert client.get().body == b"hello"
        running.server.respond = lambda message: (b"200 OK", [], [b"new"], None)

        assert client.get().body == b"new"


def test_an_exception_is_a_plain_500(serve: Serve) -> None:
    """Nothing of it reaches the client; the connection closes."""

    def respond(message: Message) -> Answer:
        raise ValueError("secret")

    answer = serve(respond).exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer


class Odd(BaseException):
    """What is no Exception, and no wish to end the process: pytest's Failed, greenlet's GreenletExit."""


@pytest.mark.parametrize("error", [Odd, CancelledError, GeneratorExit])
@pytest.mark.parametrize(("where", "answer"), [("page", b"500"), ("stream", b"200"), ("close", b"200")])
def test_threads_outlive_every_error(serve: Serve, where: str, answer: bytes, error: type[BaseException]) -> None:
    """With a thread that dies of it goes the right to poll, and the server would be dumb for ever."""

    def fail() -> Iterator[bytes]:
        raise error
        yield b""

    def stream() -> Iterator[bytes]:
        yield b"begun"
        yield from fail()

    def respond(message: Message) -> Answer:
        if message.path == "/":
            return hello(message)
        if where == "page":
            list(fail())
        if where == "close":
            return b"200 OK", [], [b"x"], lambda: list(fail())
        return b"200 OK", [], stream(), None

    running = serve(respond, threads=2)
    answers = [running.exchange(b"GET /odd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") for _ in range(3)]

    assert [one.split()[1] for one in answers] == [answer] * 3
    assert not any(one.endswith(b"0\r\n\r\n") for one in answers)
    with running.connect() as client:
        assert client.get().body == b"hello"
    assert eventually(lambda: sum(thread.is_alive() for thread in running.server._crew.threads) == 2)


def test_serve_needs_prepare() -> None:
    """And a port in use is an error that leaves nothing open."""
    server = Server(("127.0.0.1", 0), hello)
    with pytest.raises(ServerStateError):
        server.serve()
    server.prepare()
    address = server.bind_addr
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:"):
        Server(address, hello).prepare()
    server.stop()


def test_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    """Peer, credentials and the file's end."""
    seen: list[object] = []

    def respond(message: Message) -> Answer:
        seen.append((message.connection.peer, message.connection.local, message.connection.peercreds()))
        return b"200 OK", [], [b"unix"], None

    path = str(tmp_path / "s.sock")
    running = serve(respond, bind=path)
    with running.connect() as client:
        assert client.get().body == b"unix"
    running.server.stop(5)
    running.thread.join(5)

    assert seen == [(("", 0), path, (os.getpid(), os.getuid(), os.getgid()))]
    assert not os.path.exists(path)
