"""Responses: what may be a body, what finalize makes of it, and that what is not sent is closed."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.core.response import Response, ResponseBody
from cherrypy.core.streams import file_generator

MUST_BE_BYTES = r"Page handlers MUST return bytes\. Use tools\.encode if you wish to return unicode\."


class Closing:
    """An iterator that knows whether it was closed."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = iter(pieces)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.pieces)

    def close(self) -> None:
        """Count."""
        self.closed += 1


def finalized(body: Any = b"", status: Any = None, **attributes: Any) -> Response:
    """Return a finalized response."""
    response = Response()
    response.body = body
    response.status = status
    for name, value in attributes.items():
        setattr(response, name, value)
    response.finalize()
    return response


def headers_of(response: Response) -> dict[bytes, bytes]:
    """Return what goes over the wire."""
    return dict(response.header_list)


def test_a_new_response_has_the_documented_attributes() -> None:
    """Three headers and no body."""
    before = time.time()
    response = Response()

    assert (response.status, response.stream, response.header_list, response.output_status) == (None, False, [], None)
    assert set(response.headers) == {"Content-Type", "Server", "Date"}
    assert response.headers["Content-Type"] == "text/html"
    assert response.headers["Server"] == f"CherryPy/{cherrypy.__version__}"
    assert (response.body, len(response.cookie)) == ([], 0)
    assert before <= (response.time or 0) <= time.time()
    assert (Response.status, Response.stream, Response.time) == ("", False, None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(b"", []), (b"ab", [b"ab"]), (None, []), ([], []), ([b"a", b"b"], [b"a", b"b"]), ((b"a",), (b"a",))],
)
def test_bodies_are_kept_as_iterables_of_bytes(given: Any, kept: Any) -> None:
    """Bytes are wrapped; None is empty."""
    response = Response()
    response.body = given

    assert response.body == kept


@pytest.mark.parametrize("given", ["text", "", ["text"], [b"bytes", "text"]])
def test_text_is_no_body(given: Any) -> None:
    """Tools encode it; without them the error says so."""
    response = Response()

    with pytest.raises(ValueError, match=MUST_BE_BYTES):
        response.body = given
    assert ResponseBody.unicode_err.startswith("Page handlers MUST")


def test_a_file_becomes_blocks_of_64_KiB() -> None:
    """It is closed behind the last one."""
    file = io.BytesIO(b"x" * 70_000)
    response = Response()
    response.body = file

    assert isinstance(response.body, file_generator)
    assert [len(piece) for piece in response.body] == [65536, 4464]
    assert file.closed


def test_collapse_joins_and_keeps_the_body() -> None:
    """It can be asked for twice."""
    response = Response()
    response.body = (piece for piece in (b"a", b"b"))

    assert [response.collapse_body(), response.collapse_body(), response.body] == [b"ab", b"ab", [b"ab"]]


def test_collapse_refuses_text() -> None:
    """A generator can only be found out when it runs."""
    response = Response()
    response.body = iter(["text"])

    with pytest.raises(TypeError, match=f"Chunk 'text' is not bytes. {MUST_BE_BYTES}"):
        response.collapse_body()


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (None, b"200 OK"),
        (404, b"404 Not Found"),
        ("404", b"404 Not Found"),
        ("404 Nothing here", b"404 Nothing here"),
        (599, b"599 "),
        ("200 Ünusual", "200 Ünusual".encode("latin-1")),
    ],
)
def test_the_status_becomes_a_line(status: Any, line: bytes) -> None:
    """A code, with a reason or the usual one."""
    response = finalized(status=status)

    assert response.output_status == line
    assert response.status == line.decode("latin-1")


@pytest.mark.parametrize("status", ["hopeless", 42, 700, "5xx"])
def test_a_status_that_is_none_is_500(status: Any) -> None:
    """Whoever set it gets an error page."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        finalized(status=status)

    assert caught.value.code == 500


def test_the_length_is_computed() -> None:
    """Unless it is set."""
    assert headers_of(finalized([b"ab", b"c"]))[b"Content-Length"] == b"3"


def test_a_length_that_is_set_is_kept() -> None:
    """Then the body is not touched."""
    response = Response()
    response.body = pieces = iter([b"abc"])
    response.headers["Content-Length"] = 3
    response.finalize()

    assert headers_of(response)[b"Content-Length"] == b"3"
    assert response.body is pieces


def test_a_stream_has_no_length_of_its_own() -> None:
    """One that is None goes; one that is set stays; the body is not read."""
    streamed = finalized(iter([b"a"]), stream=True)
    response = Response()
    response.stream = True
    response.headers["Content-Length"] = None
    response.finalize()
    known = Response()
    known.stream, known.body = True, iter([b"a"])
    known.headers["Content-Length"] = 1
    known.finalize()

    assert b"Content-Length" not in headers_of(streamed)
    assert list(streamed.body) == [b"a"]
    assert b"Content-Length" not in headers_of(response)
    assert headers_of(known)[b"Content-Length"] == b"1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [100, 101, 204, 205, 304])
def test_some_statuses_have_no_body(status: int, stream: bool) -> None:
    """Nor a length; what a generator has still to do is done, a stream is closed."""
    body = Closing(b"a", b"b")
    response = Response()
    response.stream, response.status, response.body = stream, status, body
    response.headers["Content-Length"] = 2
    response.finalize()

    assert (response.body, body.closed) == ([], 1)
    assert list(body.pieces) == ([b"a", b"b"] if stream else [])
    assert b"Content-Length" not in headers_of(response)
    assert (b"Content-Type" in headers_of(response)) is (status not in (204, 304))


def test_cookies_are_appended() -> None:
    """Each as a header of its own, behind the others."""
    response = Response()
    response.cookie["a"] = "1"
    response.cookie["b"] = "2"
    response.cookie["b"]["path"] = "/x"
    response.finalize()

    assert response.header_list[-2:] == [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2; Path=/x")]


def test_headers_leave_without_control_characters() -> None:
    """Names and values, cookies too: nothing splits the response."""
    response = Response()
    response.headers["X-Evil\r\nSet-Cookie: a"] = "b\r\nSet-Cookie: c\0"
    response.headers["X-Number"] = 7
    response.headers["X-Bytes"] = b"raw\n"
    response.headers["X-Euro"] = "\u20ac"
    response.cookie["a"] = "b"
    response.cookie["a"]["path"] = "/\r\nX-Evil: 1\x0b"
    response.finalize()
    octets = b"".join(name + value for name, value in response.header_list)

    assert not any(octet in octets for octet in b"\r\n\0\x0b")
    assert headers_of(response)[b"Set-Cookie"] == b"a=b; Path=/X-Evil: 1"
    assert headers_of(response)[b"X-Number"] == b"7"
    assert headers_of(response)[b"X-Bytes"] == b"raw"
    assert headers_of(response)[b"X-Euro"] == b"=?utf-8?b?4oKs?="


def mount(site: Any, body: Any, **config: Any) -> None:
    """Mount a page that returns *body*."""

    class Root:
        @cherrypy.expose
        def index(self) -> Any:
            return body

    site.mount(Root(), config={"/": {key.replace("__", "."): value for key, value in config.items()}})


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_is_closed_when_it_was_sent(site: Any, stream: bool) -> None:
    """Collected or streamed; also one that is no generator."""
    body = Closing(b"a", b"b")
    mount(site, body, response__stream=stream)

    assert site("/").body == b"ab"
    assert body.closed == 1


def test_a_streamed_body_is_closed_for_head(site: Any) -> None:
    """Nobody is going to read it: file or generator."""
    body = Closing(b"a")
    mount(site, body, response__stream=True)

    assert site("/", "HEAD").body == b""
    assert body.closed == 1


def test_a_file_is_closed_for_head(site: Any) -> None:
    """Not left to the garbage collector."""
    file = io.BytesIO(b"content")
    mount(site, file, response__stream=True)
    site("/", "HEAD")

    assert file.closed


@pytest.mark.parametrize("error", [cherrypy.HTTPError(403), cherrypy.HTTPRedirect("http://x/"), ZeroDivisionError()])
def test_a_body_that_an_error_replaces_is_closed(site: Any, error: Exception) -> None:
    """A hook behind the page fails: its file would stay open until somebody collects it."""

    def fail() -> None:
        if cherrypy.response.status is None:
            raise error

    body = Closing(b"a")
    mount(site, body, response__stream=True, hooks__before_finalize=fail)

    assert site("/").status in (303, 403, 500)
    assert body.closed == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_that_the_client_cannot_read_is_closed(site: Any, stream: bool) -> None:
    """406: the client accepts no charset that there is."""
    body = Closing(b"a")
    mount(site, body, response__stream=stream)

    assert site("/", headers={"Accept-Charset": "x-none, iso-8859-1;q=0"}).status == 406
    assert body.closed >= 1


def test_a_body_that_an_internal_redirect_replaces_is_closed(site: Any) -> None:
    """The request goes on as another one."""
    body = Closing(b"a")

    class Root:
        @cherrypy.expose
        def index(self) -> Any:
            return body

        @cherrypy.expose
        @cherrypy.config(**{"hooks.before_finalize": lambda: None})
        def other(self) -> str:
            return "other"

    def elsewhere() -> None:
        if cherrypy.request.prev is None:
            raise cherrypy.InternalRedirect("/other")

    site.mount(Root(), config={"/": {"response.stream": True, "hooks.before_finalize": elsewhere}})

    assert site("/").body == b"other"
    assert body.closed == 1


def test_a_body_that_breaks_while_it_is_collected_is_closed(site: Any) -> None:
    """Half of it is read."""
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a"
            raise ZeroDivisionError
        finally:
            closed.append(True)

    mount(site, pieces())

    assert site("/").status == 500
    assert closed == [True]


def test_a_body_whose_closing_fails_is_still_replaced(site: Any, caplog: Any) -> None:
    """The error is logged."""

    class Stubborn(Closing):
        def close(self) -> None:
            raise OSError("stubborn")

    mount(site, Stubborn(b"a"), response__stream=True)

    assert site("/", "HEAD").status == 200
    assert any(record.exc_info and record.exc_info[0] is OSError for record in caplog.records)


def test_a_stream_is_closed_when_the_client_goes_away(site: Any) -> None:
    """The server closes the answer; on_end_request runs behind it."""
    seen: list[str] = []
    body = Closing(b"a", b"b")
    mount(site, body, response__stream=True, hooks__on_end_request=lambda: seen.append(f"closed {body.closed}"))
    _, _, pieces, close = site.respond(site.message("/", "GET", {}, b"", (1, 1)))
    next(iter(pieces))
    close()

    assert seen == ["closed 1"]


def test_a_stream_that_breaks_is_closed(site: Any) -> None:
    """After the head is out the error ends the connection, and the page hears of it."""
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a"
            raise ZeroDivisionError
        finally:
            closed.append(True)

    mount(site, pieces(), response__stream=True)
    _, _, answer, close = site.respond(site.message("/", "GET", {}, b"", (1, 1)))

    with pytest.raises(ZeroDivisionError):
        list(answer)
    close()
    assert closed == [True]
