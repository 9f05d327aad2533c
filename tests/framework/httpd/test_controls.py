"""What applications of others put into their answers' heads: no control character gets out, and the log says whose."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cherrypy.aio.asgi.graft import ASGIGraft
from cherrypy.aio.asgi.scope import Origin
from cherrypy.httpd.gateway import WSGIGateway
from cherrypy.httpd.writer import AnswerError

from .conftest import Serve
from .test_writer import frame

#: Every control of US-ASCII but HTAB, which a value may have.
CONTROLS = [chr(code) for code in [*range(9), *range(10, 32), 127]]


def wsgi(name: str = "X-Note", value: str = "fine", status: str = "200 OK") -> WSGIGateway:
    """A WSGI application whose answer has one header, and a body that nobody may see beside a failure."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [("X-Before", "before"), (name, value)])
        return [b"secret body"]

    return WSGIGateway(app)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"0x{ord(control):02x}")
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_a_control_in_a_value_is_a_500_that_names_the_header(control: str, place: str) -> None:
    """Each of them, wherever it stands; the text for the client has nothing of the application's."""
    value = {"start": f"{control}ab", "middle": f"a{control}b", "end": f"ab{control}"}[place].encode()

    with pytest.raises(AnswerError) as caught:
        frame(headers=[(b"X-Good", b"\tfine"), (b"X-Note", value)])

    assert f"header 'X-Note' has 0x{ord(control):02x}; the application must drop or encode it" in str(caught.value)
    assert caught.value.text == "a control character in a field of an answer"


@pytest.mark.parametrize("control", [*CONTROLS, "\t"], ids=lambda control: f"0x{ord(control):02x}")
def test_a_control_in_a_name_is_a_500_that_names_it(control: str) -> None:
    """A name has no HTAB either."""
    with pytest.raises(AnswerError) as caught:
        frame(headers=[(f"X-{control}Note".encode(), b"a")])

    assert repr(f"X-{control}Note".encode()) in str(caught.value)
    assert caught.value.text == "an answer's field name must be a token"


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"0x{ord(control):02x}")
def test_a_control_in_a_reason_is_a_500(control: str) -> None:
    """The status line is a line as well."""
    with pytest.raises(AnswerError, match="a control character in a status"):
        frame(f"200 O{control}K".encode())


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"value": "a\x0bb"}, "header 'X-Note' has 0x0b; the application must drop or encode it"),
        ({"value": "a\x7fb"}, "header 'X-Note' has 0x7f; the application must drop or encode it"),
        ({"value": "a\r\nSet-Cookie: id=stolen"}, "header 'X-Note' has 0x0d; the application must drop or encode it"),
        ({"name": "X-\x0bNote"}, "the application set a header named b'X-\\x0bNote'"),
        ({"status": "200 O\x7fK"}, "the application answers b'200 O\\x7fK'"),
    ],
)
def test_a_grafted_wsgi_application(
    serve: Serve, caplog: pytest.LogCaptureFixture, facts: dict[str, str], said: str
) -> None:
    """The client gets a plain 500, the log says which header and what to do."""
    running = serve(wsgi(**facts))
    with caplog.at_level(logging.ERROR), running.connect() as client:
        reply = client.get()

        assert client.is_closed()
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert b"X-Before" not in reply.head
    assert b"stolen" not in reply.head
    assert [record for record in caplog.records if said in record.getMessage()]


def test_a_grafted_asgi_application(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """By the same rule."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Note", b"a\x0bb")]})
        await send({"type": "http.response.body", "body": b"secret body"})

    graft = ASGIGraft(app, "")
    running = serve(lambda message: graft.serve(message, Origin()))
    with caplog.at_level(logging.ERROR), running.connect() as client:
        reply = client.get()

    assert reply.status == 500
    assert b"secret" not in reply.body
    assert "header 'X-Note' has 0x0b" in caplog.text


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_grafted_application_cannot_add_a_body(serve: Serve, status: str) -> None:
    """Where none may be, no octet follows the head, and the connection stays."""
    running = serve(wsgi(status=status))
    with running.connect() as client:
        first, second = client.get(), client.get()

    assert (first.status, second.status) == (int(status[:3]), int(status[:3]))
    assert first.head.lower().count(b"\r\ndate: ") == 1


def test_a_grafted_application_that_answers_head_with_a_body(serve: Serve) -> None:
    """The head of the GET, and nothing behind it."""
    running = serve(wsgi())
    with running.connect() as client:
        asked, got = client.get(method="HEAD"), client.get()

    assert asked.headers["content-length"] == got.headers["content-length"] == "11"
    assert got.body == b"secret body"


@pytest.mark.parametrize("status", ["100 Continue", "103 Early Hints", "101 Switching Protocols"])
def test_a_grafted_application_has_no_word_in_between(serve: Serve, status: str) -> None:
    """A client would take its next answer for this one."""
    running = serve(wsgi(status=status))

    assert running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 500 ")
