"""Thousands of idle connections: what they cost, and that they are in nobody's way."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack

import pytest

from .conftest import IS_FULL, Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WANTED = 10_000 if IS_FULL else 1_000
MEBIBYTE = 1048576
#: Of docs/design.md: 60 MiB for 10,000; what does not depend on their number is granted besides.
ALLOWED_BYTES = 60 * MEBIBYTE * WANTED // 10_000 + 4 * MEBIBYTE
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_idle_connections_are_cheap(served: Served, clients: ExitStack, many_descriptors: int) -> None:
    """Each has made a request; memory stays low, and a request among them is answered within 10 ms."""
    count = min(WANTED, many_descriptors - 200)
    base = served.rss_bytes()
    idle = []
    for number in range(count):
        client = clients.enter_context(served.connect(number))
        client.sendall(REQUEST)
        idle.append(client)
        if number % 100 == 99:
            for waiting in idle[-100:]:
                assert waiting.recv(4096).endswith(b"hello")
    grown = served.rss_bytes() - base
    taken = []
    for client in idle[:: count // 50]:
        start = time.perf_counter()
        client.sendall(REQUEST)
        client.recv(4096)
        taken.append(time.perf_counter() - start)
    print(
        f"\n{count} idle: {grown / MEBIBYTE:.1f} MiB over the base, {statistics.median(taken) * 1000:.2f} ms a request"
    )

    assert count == WANTED, "too few descriptors for this test: raise the hard limit (ulimit -Hn)"
    assert served.stats()["idle_connections"] >= count
    assert grown <= ALLOWED_BYTES
    assert statistics.median(taken) < 0.01
