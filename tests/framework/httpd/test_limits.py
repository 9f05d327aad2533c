"""Limits and deadlines: what is beyond has its status, and costs nobody else anything."""

from __future__ import annotations

import os
import resource
import select
import socket
import time

import pytest

from cherrypy.httpd.message import Answer, Message

from .conftest import Serve, eventually


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
