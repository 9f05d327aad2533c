"""Hundreds of clients that send or read octet by octet, while normal requests are answered as ever."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from cherrypy.httpd.limits import Limits

from .conftest import IS_FULL, Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

THREADS = 10
ATTACKERS = 500 if IS_FULL else 150
ANSWERED_S = 0.1

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "
SMALL_BODY = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
CHUNKS = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"
LARGE_BODY = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n"


@contextmanager
def trickling(served: Served, clients: ExitStack, start: bytes) -> Iterator[None]:
    """Attackers that have sent *start* and go on with an octet each, again and again."""
    attackers = [clients.enter_context(served.connect(number)) for number in range(ATTACKERS)]
    for attacker in attackers:
        attacker.sendall(start)
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.1):
            for attacker in attackers:
                with suppress(OSError):
                    attacker.send(b"a")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def reluctant(served: Served, clients: ExitStack, path: str) -> Iterator[None]:
    """Attackers that ask for a megabyte and take a few octets of it."""
    attackers = [clients.enter_context(served.connect(number, receive_bytes=4096)) for number in range(ATTACKERS)]
    for attacker in attackers:
        attacker.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert attacker.recv(1) == b"H"
    yield


def expect_normal(served: Served, left: int = ATTACKERS) -> None:
    """Normal requests get through, most of them at once and every one of them soon, with *left* attackers there."""
    taken = served.latencies_s(30)
    counters = served.stats()
    print(f"\n{statistics.median(taken) * 1000:.2f} ms a request, at most {taken[-1] * 1000:.2f} ms; {counters}")

    assert statistics.median(taken) < ANSWERED_S
    assert taken[-1] < 2
    assert counters["connections"] >= left
    assert counters["threads"] <= THREADS + Limits().waiting_threads


@pytest.mark.parametrize("start", [HEAD, SMALL_BODY, CHUNKS], ids=["head", "small body", "chunks"])
def test_slow_senders_cost_no_thread(served: Served, clients: ExitStack, start: bytes) -> None:
    """Heads and bodies of up to 64 KiB are received by the poll set."""
    with trickling(served, clients, start):
        expect_normal(served)


@pytest.mark.parametrize("path", ["/whole", "/file"])
def test_slow_readers_cost_no_thread(served: Served, clients: ExitStack, path: str) -> None:
    """Answers in memory and files are sent by the poll set."""
    with reluctant(served, clients, path):
        expect_normal(served)


def test_slow_senders_of_long_bodies_cost_few_threads(served: Served, clients: ExitStack) -> None:
    """Half of the pool's threads wait for bodies, the poll set receives all others."""
    with trickling(served, clients, LARGE_BODY):
        expect_normal(served)

        assert served.stats()["threads_waiting"] == THREADS // 2


def test_slow_readers_of_streams_are_cut_off_beyond_a_bound(served: Served, clients: ExitStack) -> None:
    """Answers that are made while they are sent need a thread each: those that wait longest make room."""
    with reluctant(served, clients, "/stream"):
        expect_normal(served, left=Limits().waiting_threads)
