"""Heads that come again, to the octet."""

from __future__ import annotations

import pytest

from cherrypy.httpd.heads import HeadMemory, repeat
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.parser import parse_head

from .conftest import Serve

FIELDS = ("method", "target", "path", "query", "version", "headers", "has_body", "content_length", "chunked")
FIELDS += ("keep_alive", "expects_continue", "names_charset")


def parsed(head: bytes) -> Message:
    """Parse until every line that is ever kept is in the parser's tables."""
    for _ in range(2):
        message = parse_head(head.removesuffix(b"\r\n\r\n"), Limits())
    return message


@pytest.mark.parametrize(
    "head",
    [
        b"GET /a%20b?c=d HTTP/1.1\r\nHost: heads.test\r\nUser-Agent: x\r\n\r\n",
        b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: heads.test\r\nAccept-Charset: utf-8\r\nConnection: close\r\nX_Y: 1\r\n\r\n",
        b"DELETE http://other.test/z HTTP/1.1\r\nHost: heads.test\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: heads.test\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_a_known_head_gives_the_same_message(head: bytes) -> None:
    """In every field, with headers of its own."""
    message = parsed(head)
    memory = HeadMemory()
    memory.add(head, message)
    known = memory.get(head)
    assert known is not None
    again = repeat(known)
    again.headers.append((b"X", b"y"))
    third = repeat(known)

    assert message.is_repeatable
    assert [getattr(third, name) for name in FIELDS] == [getattr(message, name) for name in FIELDS]


@pytest.mark.parametrize(
    "lines",
    [
        b"Cookie: session=secret",
        b"Authorization: Basic c2VjcmV0",
        b"X-Request-Id: 17",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"X-Long: " + b"a" * 300,
    ],
)
def test_some_heads_are_never_repeatable(lines: bytes) -> None:
    """Those with secrets, with a body, and those that are long or differ each time."""
    assert not parsed(b"POST /never HTTP/1.1\r\nHost: heads.test\r\n" + lines + b"\r\n\r\n").is_repeatable


def test_a_head_that_is_seen_first_is_not_kept() -> None:
    """Clients that ask for something else each time must not fill the memory."""
    head = b"GET /only/once/in/all/tests HTTP/1.1\r\nHost: heads.test"

    assert [parse_head(head, Limits()).is_repeatable for _ in range(2)] == [False, True]


def test_the_memory_is_bounded() -> None:
    """In heads, and in octets of one."""
    memory = HeadMemory()
    message = parsed(b"GET / HTTP/1.1\r\nHost: heads.test\r\n\r\n")
    for number in range(2000):
        memory.add(b"%d" % number, message)
    memory.add(b"a" * 2000, message)

    assert len(memory) <= 512
    assert memory.get(b"a" * 2000) is None
    assert memory.get(b"1999") is not None


def test_every_request_of_a_connection_has_its_own_message(serve: Serve) -> None:
    """What an application does to one does nothing to the next, alone or in a pipeline."""
    seen: list[tuple[int, int]] = []

    def respond(message: Message) -> Answer:
        seen.append((id(message.connection), len(message.headers)))
        message.headers.append((b"X-Added", b"1"))
        message.path = "/changed"
        return b"200 OK", [], [message.target.encode()], None

    running = serve(respond)
    request = b"GET /same HTTP/1.1\r\nHost: heads.test\r\n\r\n"
    with running.connect() as client:
        bodies = []
        for _ in range(4):
            client.send(request)
            bodies.append(client.reply().body)
        client.send(request * 3)
        bodies += [client.reply().body for _ in range(3)]

    assert bodies == [b"/same"] * 7
    assert {count for _, count in seen} == {1}
