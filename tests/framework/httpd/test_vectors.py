"""Every vector in tests/vectors/httpd three ways: whole, octet by octet, and with another request behind it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.server import Server

from .conftest import Running

VECTORS = Path(__file__).parents[2] / "vectors" / "httpd"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def load() -> list[Any]:
    """All vectors, named by file and case."""
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(VECTORS.glob("*.json"))
        for case in json.loads(path.read_text())
    ]


SEEN: list[list[str]] = []


def record(message: Message) -> Answer:
    """Note what reached the application."""
    SEEN.append([message.method, message.path, message.body.read().decode("latin-1")])
    return b"200 OK", [], [b"seen"], None


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One server for all vectors."""
    server = Server(("127.0.0.1", 0), record, limits=Limits(body_bytes=1_000_000))
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield Running(server, thread)
    server.stop(5)
    thread.join(5)


def statuses(answer: bytes) -> list[int]:
    """The status codes of all answers in *answer*; bodies here contain no status line."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answer)]


def expect(case: dict[str, Any], answer: bytes, *, tail: bool) -> None:
    """Compare what was answered and what reached the application with the vector."""
    last = [["GET", "/last", ""]] if tail and case["open"] else []
    assert statuses(answer) == case["status"] + [200] * len(last)
    assert [*case["seen"], *last] == SEEN


@pytest.mark.parametrize("case", load())
def test_vector_whole(running: Running, case: dict[str, Any]) -> None:
    """The vector in one send, then the end of input."""
    SEEN.clear()
    answer = running.exchange(case["send"].encode("latin-1"), shut=True)

    expect(case, answer, tail=False)


@pytest.mark.parametrize("case", load())
def test_vector_octet_by_octet(running: Running, case: dict[str, Any]) -> None:
    """The vector cut into single octets."""
    SEEN.clear()
    data = case["send"].encode("latin-1")
    with running.connect() as client:
        for start in range(len(data)):
            client.send(data[start : start + 1])
        client.sock.shutdown(1)
        answer = client.read_all()

    expect(case, answer, tail=False)


@pytest.mark.parametrize("case", load())
def test_vector_with_a_tail(running: Running, case: dict[str, Any]) -> None:
    """Another request behind it is answered only if the vector leaves the connection open."""
    SEEN.clear()
    answer = running.exchange(case["send"].encode("latin-1") + LAST)

    expect(case, answer, tail=True)
