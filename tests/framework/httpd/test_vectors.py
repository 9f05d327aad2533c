"""Every vector in tests/vectors/httpd three ways: whole, octet by octet, and with another request behind it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cherrypy.httpd.listener import Listener
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.server import Server
from cherrypy.httpd.tls import TLS, make_context

from .conftest import Running
from .vectors import LIMITS, Vector, describe, describe_more, load

VECTORS = load()
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SOURCE = re.compile(
    r"RFC \d{3,4}, \d+(\.\d+)*|PROXY protocol, 2\.[12]|(CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}) \([A-Za-z.0-9 -]+\)"
)
FIELDS_OF_FIRST = {"query", "target", "version", "host", "headers", "trailers", "peer"}

every_vector = pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in VECTORS])

SEEN: list[list[str]] = []
FACTS: list[dict[str, Any]] = []


def record(message: Message) -> Answer:
    """Note what reached the application."""
    SEEN.append(describe(message))
    FACTS.append(describe_more(message))
    return b"200 OK", [], [b"seen"], None


@pytest.fixture(scope="module")
def servers(certificate: Path) -> Iterator[Callable[[str], Running]]:
    """One server of each kind for all vectors."""
    tls = TLS(make_context(str(certificate)))
    listeners = {
        "plain": Listener(("127.0.0.1", 0)),
        "small": Listener(("127.0.0.1", 0)),
        "proxy": Listener(("127.0.0.1", 0), proxy_protocol=True),
        "tls": Listener(("127.0.0.1", 0), tls=tls),
    }
    running: dict[str, Running] = {}
    with ExitStack() as stack:
        for name, listener in listeners.items():
            server = Server([listener], record, limits=LIMITS[name], threads=2)
            server.prepare()
            thread = threading.Thread(target=server.serve, daemon=True)
            thread.start()
            running[name] = Running(server, thread)
            stack.callback(thread.join, 5)
            stack.callback(partial(server.stop, 5))
        yield running.__getitem__


def statuses(answer: bytes) -> list[int]:
    """The status codes of all answers in *answer*; bodies here contain no status line."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answer)]


def expect(case: Vector, answer: bytes, *, tail: bool) -> None:
    """Compare what was answered and what reached the application with the vector."""
    last = [["GET", "/last", ""]] if tail and case.open else []
    assert statuses(answer) in [allowed + [200] * len(last) for allowed in case.allowed]
    assert [*case.seen, *last] == SEEN
    for fact, value in case.first.items():
        found = FACTS[0][fact]
        if fact == "peer" and value[1] is None:
            found, value = found[:1], value[:1]
        assert found == value


@pytest.fixture
def running(servers: Callable[[str], Running], case: Vector) -> Running:
    """The server that the vector is for, with nothing seen yet."""
    SEEN.clear()
    FACTS.clear()
    return servers(case.server)


@every_vector
def test_vector_whole(running: Running, case: Vector) -> None:
    """The vector in one send, then the end of input."""
    answer = running.exchange(case.send, shut=True)

    expect(case, answer, tail=False)


@every_vector
def test_vector_octet_by_octet(running: Running, case: Vector) -> None:
    """The vector cut into single octets."""
    with running.connect() as client:
        for start in range(len(case.send)):
            client.send(case.send[start : start + 1])
        client.finish()
        answer = client.read_all()

    expect(case, answer, tail=False)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in VECTORS if case.tail])
def test_vector_with_a_tail(running: Running, case: Vector) -> None:
    """Another request behind it is answered only if the vector leaves the connection open."""
    answer = running.exchange(case.send + LAST)

    expect(case, answer, tail=True)


def test_every_vector_names_its_source() -> None:
    """An RFC with its section, the PROXY specification, or the weakness of a named server."""
    assert [case.id for case in VECTORS if not SOURCE.fullmatch(case.source)] == []


def test_no_vector_is_there_twice() -> None:
    """Neither by name within its file, nor by what is sent to the same server."""
    names = [case.id for case in VECTORS]
    sends = [(case.server, case.send) for case in VECTORS]

    assert [name for name in set(names) if names.count(name) > 1] == []
    assert [send for send in set(sends) if sends.count(send) > 1] == []


def test_every_vector_can_be_missed() -> None:
    """What a vector allows is said in full, and without contradiction."""
    for case in VECTORS:
        answers = case.allowed[0]

        assert case.allowed, case.id
        assert [status for status in answers if status == 200] == [200] * len(case.seen), case.id
        assert not (case.open and any(status >= 400 for status in answers)), case.id
        assert case.first.keys() <= FIELDS_OF_FIRST, case.id
        assert case.seen or not case.first, case.id
