"""The settings that are one limit each, beside CherryPy's which set several."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from cherrypy.app.server import Server
from cherrypy.app.server_limits import BOUNDLESS, LIMIT_KEYS
from cherrypy.app.wsgi_server import CPWSGIServer
from cherrypy.httpd.limits import Limits

from .conftest import Client

OWN_TIMES = ("ssl_handshake_timeout", "accepted_queue_timeout", "max_request_body_time")
TIMES = {name: key.field for name, key in LIMIT_KEYS.items() if key.is_time and name not in OWN_TIMES}


@pytest.mark.parametrize("name", LIMIT_KEYS)
def test_each_setting_is_one_limit(server: Server, name: str) -> None:
    """And no other."""
    before = CPWSGIServer(server).limits
    setattr(server, name, 777)
    after = CPWSGIServer(server).limits
    fields = Limits.__dataclass_fields__

    assert [one for one in fields if getattr(before, one) != getattr(after, one)] == [LIMIT_KEYS[name].field]
    assert getattr(after, LIMIT_KEYS[name].field) == 777


@pytest.mark.parametrize("name", [name for name, key in LIMIT_KEYS.items() if key.zero is not None])
def test_zero_is_without_limit(server: Server, name: str) -> None:
    """Where the table says so."""
    setattr(server, name, 0)

    assert getattr(CPWSGIServer(server).limits, LIMIT_KEYS[name].field) == BOUNDLESS


@pytest.mark.parametrize("name", TIMES)
def test_times_are_those_of_socket_timeout_unless_set(server: Server, name: str) -> None:
    """Before the start and while it serves; None gives them back."""
    server.socket_timeout = 3
    made = server.httpserver = CPWSGIServer(server)
    seen = [getattr(made.limits, TIMES[name])]
    setattr(server, name, "1.5")
    seen.append(getattr(made.limits, TIMES[name]))
    server.socket_timeout = 4
    seen.append(getattr(made.limits, TIMES[name]))
    setattr(server, name, None)
    seen.append(getattr(made.limits, TIMES[name]))

    assert seen == [3, 1.5, 1.5, 4]


def test_the_request_line_has_a_limit_of_its_own(server: Server) -> None:
    """None: what max_request_header_size allows, up to 16 KiB."""
    server.max_request_header_size = 5000
    made = server.httpserver = CPWSGIServer(server)
    seen = [made.limits.request_line_bytes]
    for size in (30_000, None):
        server.max_request_line_size = size
        seen.append(made.limits.request_line_bytes)

    assert seen == [5000, 30_000, 5000]
    assert made.limits.head_bytes == 5000


@pytest.mark.parametrize(
    ("key", "value", "path", "fields", "status"),
    [
        ("max_request_headers", 3, "/", "X: 1\r\nY: 2\r\n", "431"),
        ("max_request_line_size", 256, "/" + "x" * 250, "", "414"),
    ],
)
def test_what_is_beyond_has_its_status(
    server: Server, client: Client, key: str, value: int, path: str, fields: str, status: str
) -> None:
    """Also when the setting changes while the server serves."""
    server.start()
    before = client.ask(path, fields=fields)[0]
    setattr(server, key, value)

    assert before == "HTTP/1.1 200 OK"
    assert client.ask(path, fields=fields)[0].split()[1] == status


def test_max_connections_is_503_with_retry_after(server: Server, client: Client) -> None:
    """If none of them is idle after a request."""
    server.max_connections = 1
    server.retry_after = 7
    server.start()
    with client.connect() as busy:
        busy.sendall(b"GET / HT")
        while not server.httpserver.native_stats().connections:
            pass
        with client.connect() as refused:
            answer = b"".join(iter(lambda: refused.recv(1000), b""))

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 7\r\n" in answer


def read_all(sock: Any) -> bytes:
    """Read until the server closes."""
    return b"".join(iter(lambda: sock.recv(1000), b""))


def test_timeouts_of_their_own(server: Server, client: Client) -> None:
    """A short one for heads and idle connections beside a long socket_timeout."""
    server.socket_timeout = 3600
    server.request_header_timeout = server.keep_alive_timeout = server.request_body_timeout = 0.2
    server.min_request_body_rate = 0
    server.start()
    with client.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHo")
        head = read_all(slow)
    with client.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        kept = read_all(idle)

    assert head.startswith(b"HTTP/1.1 408 ")
    assert kept.endswith(b"hello")


def test_a_slow_body_is_408(server: Server, client: Client) -> None:
    """After the time that it may be waited for."""
    server.request_body_timeout = 0.2
    server.min_request_body_rate = 1_000_000
    server.start()
    with client.connect() as slow:
        slow.sendall(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")

        assert read_all(slow).startswith(b"HTTP/1.1 408 ")


def test_max_requests_per_connection(server: Server, client: Client) -> None:
    """The last answer says that it closes."""
    server.max_requests_per_connection = 2
    server.start()
    with client.connect() as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
        answer = read_all(one)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"Connection: close") == 1


def test_long_bodies_that_nobody_waits_for_have_limits(server: Server, client: Client, tmp_path: Path) -> None:
    """In memory, altogether, and a directory; and so have the threads that stand in for those that wait."""
    server.body_memory = 0
    server.body_spool_memory = 1000
    server.body_spool_size = 100_000
    server.body_spool_dir = str(tmp_path)
    server.waiting_threads = 0
    server.thread_pool = 1
    server.start()
    with client.connect() as long:
        long.sendall(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"a" * 250_000)
        refused = read_all(long)
    with client.connect() as short:
        short.sendall(b"POST /size HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 90000\r\n\r\n")
        short.sendall(b"a" * 90000)
        answered = read_all(short)

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert answered.endswith(b"90000")


@pytest.mark.parametrize("size", [0, 2])
def test_accepted_queue_size_bounds_those_who_wait_for_a_thread(server: Server, client: Client, size: int) -> None:
    """503 with Retry-After beyond; those within get their answer when a thread is free."""
    server.thread_pool = 1
    server.accepted_queue_size = size
    server.accepted_queue_timeout = 0.1
    server.retry_after = 7
    server.start()
    kept: list[Any] = []
    asking = threading.Thread(target=client.ask, args=("/slow",))
    asking.start()
    assert client.entered.wait(5)
    for _ in range(size):
        waiting = client.connect()
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        kept.append(waiting)
        while server.httpserver.requests.qsize < len(kept):
            assert asking.is_alive()
    refused = client.ask()
    client.release.set()
    asking.join(5)
    answered = [read_all(one) for one in kept]
    for one in kept:
        one.close()

    assert refused == ("HTTP/1.1 503 Service Unavailable", b"All threads are busy.")
    assert len(answered) == size
    assert all(answer.endswith(b"hello") for answer in answered)
    assert client.ask()[0] == "HTTP/1.1 200 OK"


def test_the_queue_has_no_limit_by_default(server: Server, client: Client) -> None:
    """As in CherryPy."""
    server.thread_pool = 1
    server.start()
    asking = threading.Thread(target=client.ask, args=("/slow",))
    asking.start()
    assert client.entered.wait(5)
    waiting = [client.connect() for _ in range(20)]
    for one in waiting:
        one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    client.entered.clear()
    assert not client.entered.wait(0.2)  # none of them runs
    client.release.set()
    asking.join(5)
    answered = [read_all(one) for one in waiting]
    for one in waiting:
        one.close()

    assert all(answer.endswith(b"hello") for answer in answered)
