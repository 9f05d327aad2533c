"""Life of a server, limits and deadlines, seen from a client's socket."""

from __future__ import annotations

import os
import resource
import select
import socket
import threading
import time
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


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * 3000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 3000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 50 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 200, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\nExpect: 100-continue\r\n\r\n", 413),
    ],
)
def test_what_is_too_large_is_refused(serve: Serve, data: bytes, status: int) -> None:
    """One answer with the right status, then the close."""
    running = serve(request_line_bytes=2000, field_bytes=2000, head_bytes=4000, fields=20, body_bytes=5000)
    answer = running.exchange(data)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_the_status_of_a_large_head_can_be_the_documented_one(serve: Serve) -> None:
    """CherryPy's documents say 413 where RFC 6585 has 431."""
    running = serve(head_bytes=500, head_status=413)

    assert running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nFrom: " + b"x" * 500 + b"\r\n\r\n").startswith(
        b"HTTP/1.1 413"
    )


@pytest.mark.parametrize("first", [b"\x16\x03\x01\x02\x00", b"\x16", b"\x00", b"G\x7f", b" GET", b"(GET /"])
def test_what_cannot_be_a_method_is_answered_at_once(serve: Serve, first: bytes) -> None:
    """A TLS greeting, for example: nobody waits for the deadline of a head."""
    running = serve(head_s=3600)
    with running.connect() as client:
        client.send(first)
        answer = client.read_all()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert (b"TLS" in answer) is (first[:1] == b"\x16")


def test_limits_can_be_changed_while_serving(serve: Serve) -> None:
    """They are read when they matter."""
    running = serve()
    data = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n0123456789"
    before = running.exchange(data)
    running.server.limits.body_bytes = 5
    after = running.exchange(data)

    assert before.startswith(b"HTTP/1.1 200")
    assert after.startswith(b"HTTP/1.1 413")


def test_a_silent_client_gets_408(serve: Serve) -> None:
    """Before its first request."""
    assert serve(head_s=0.1).exchange(b"").startswith(b"HTTP/1.1 408")


def test_a_trickling_head_has_one_deadline(serve: Serve) -> None:
    """Octets that keep coming do not move it."""
    running = serve(head_s=0.3)
    with running.connect() as client:
        start = time.monotonic()
        for octet in b"GET / HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            client.send(bytes([octet]))
            time.sleep(0.02)
            if time.monotonic() - start > 0.8:
                break
        answer = client.read_all()

    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - start < 2


def test_an_idle_connection_is_closed_without_a_word(serve: Serve) -> None:
    """After at least one request."""
    running = serve(idle_s=0.1)
    with running.connect() as client:
        client.get()

        assert client.read_all() == b""


def test_a_trickling_body_gets_408(serve: Serve) -> None:
    """A small body has a deadline by rate."""
    running = serve(body_grace_s=0.2)

    answer = running.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("size", [30_000, 300_000])
def test_a_body_has_a_total_time_whatever_its_rate(serve: Serve, size: int) -> None:
    """A small one that the poll set receives, and a long one that a thread waits for."""

    def respond(message: Message) -> Answer:
        return b"200 OK", [], [b"%d" % len(message.body.read())], None

    running = serve(respond, body_s=0.3, body_grace_s=30, body_rate_bytes_per_s=1)
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0
        while sent + 1000 < size and not select.select([client.sock], [], [], 0.01)[0]:
            client.send(b"x" * 100)
            sent += 100
        refused = client.reply()
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        answered = client.reply()

    assert refused.status == 408
    assert sent > 300
    assert (answered.status, answered.body) == (200, b"%d" % size)


def test_stalled_clients_cost_no_thread(serve: Serve) -> None:
    """Hundreds of half-sent requests, and another client is answered at once."""
    running = serve(threads=1)
    stalled = [running.connect() for _ in range(200)]
    for number, client in enumerate(stalled):
        client.send((b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")[number % 2])
    with running.connect() as client:
        start = time.monotonic()
        assert client.get().body == b"hello"
        assert time.monotonic() - start < 1
    for client in stalled:
        client.sock.close()


def test_a_slow_reader_costs_no_thread(serve: Serve) -> None:
    """An answer larger than every buffer waits in the poll set, and comes whole in the end."""
    large = os.urandom(8_000_000)

    def respond(message: Message) -> Answer:
        return b"200 OK", [], [large if message.path == "/large" else b"small"], None

    running = serve(respond, threads=1)
    with running.connect() as slow, running.connect() as other:
        slow.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.get("/small").body == b"small"
        assert slow.reply().body == large
        assert slow.reply().body == b"small"


def test_a_client_that_never_reads_is_dropped(serve: Serve) -> None:
    """It has to keep up the least rate."""
    large = bytes(8_000_000)
    running = serve(lambda message: (b"200 OK", [], [large], None), write_grace_s=0.2, write_rate_bytes_per_s=1e9)
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: running.server.stats().requests == 1)
        assert eventually(lambda: running.server.stats().connections == 0)


def test_a_full_server_drops_the_idlest_first_and_answers_503_then(serve: Serve) -> None:
    """The cap on connections."""
    running = serve(connections=2)
    idle = running.connect()
    idle.get()
    busy = [running.connect(), running.connect()]
    busy[0].send(b"GET / ")
    busy[1].send(b"GET / ")
    assert idle.is_closed()
    time.sleep(0.05)
    answer = running.exchange(b"")

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in answer
    for client in (idle, *busy):
        client.sock.close()


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("is_pipelined", [False, True])
def test_a_connection_carries_so_many_requests_and_no_more(serve: Serve, most: int, is_pipelined: bool) -> None:
    """The last answer says that it closes, and nothing behind it is answered."""
    running = serve(requests=most)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with running.connect() as client:
        if is_pipelined:
            client.send(request * (most + 3))
            replies = [client.reply() for _ in range(most)]
        else:
            replies = [client.get() for _ in range(most)]

        assert client.is_closed()
    assert [reply.headers.get("connection") for reply in replies] == [None] * (most - 1) + ["close"]


def test_requests_with_bodies_and_slow_ones_count_as_well(serve: Serve) -> None:
    """Whatever way they are run."""

    def respond(message: Message) -> Answer:
        message.entering(message.path)
        message.body.read()
        return b"200 OK", [], iter([b"streamed"]), None

    running = serve(respond, requests=3)
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    with running.connect() as client:
        closing = []
        for _ in range(3):
            client.send(post)
            closing.append("connection" in client.reply().headers)

    assert closing == [False, False, True]


def test_accept_survives_without_descriptors(serve: Serve) -> None:
    """It neither dies nor spins, and recovers by itself."""
    running = serve()
    with running.connect() as client:
        client.get()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = [socket.socket() for _ in range(3)]
    used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    filler = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        try:
            while True:
                filler.append(os.dup(0))
        except OSError:
            pass
        for sock in waiting:
            sock.settimeout(10)
            sock.connect(running.server.bind_addr)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        before = time.process_time()
        time.sleep(0.3)
        burnt = time.process_time() - before
    finally:
        for fd in filler:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    statuses = [sock.recv(12) for sock in waiting]

    assert set(statuses) <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    assert b"HTTP/1.1 200" in statuses
    assert burnt < 0.2
    for sock in waiting:
        sock.close()


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
