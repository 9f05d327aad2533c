"""Between a WSGI server of others and the site: health first, every request counted once, bodies read to their end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import pytest

import cherrypy
from kirsch.scoreboard import Scoreboard
from kirsch.worker.voice import Voice
from kirsch.worker.wsgi_account import WSGIAccount

Site = Callable[..., Iterable[bytes]]


@pytest.fixture
def board(voice: Voice) -> Scoreboard:
    return Scoreboard.open(voice.order.scoreboard)


def start(status: str, headers: Any, *exc_info: Any) -> Callable[[bytes], None]:
    return lambda data: None


def call(voice: Voice, site: Site, path: str = "/", **more: Any) -> Iterable[bytes]:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    return WSGIAccount(site, voice)(environ | more, start)


def whole(environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return [b"x"]


def test_a_whole_answer_is_counted_when_it_is_there(voice: Voice, board: Scoreboard) -> None:
    """And passed on as it is."""
    assert call(voice, whole) == [b"x"]
    assert board.read(1).counters.by_class() == (0, 0, 0, 1, 0)


def test_pieces_are_counted_when_they_are_closed(voice: Voice, board: Scoreboard) -> None:
    """Once, however often that is; until then the request is inside, sending."""

    def site(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"

    body: Any = call(voice, site, HTTP_X_REQUEST_ID="abc123")
    pieces = list(body)
    inside = board.read(1).running
    body.close()
    body.close()

    assert pieces == [b"a"]
    assert [(one.phase, one.request_id, one.line) for one in inside] == [("sending", "abc123", "GET /")]
    assert board.read(1).counters.by_class() == (0, 1, 0, 0, 0)
    assert board.read(1).counters.in_flight == 0


def test_a_close_that_fails_is_counted_too(voice: Voice, board: Scoreboard) -> None:
    """The error goes on to the server."""

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter(())

        def close(self) -> None:
            raise OSError("no")

    body: Any = call(voice, lambda environ, start_response: (start_response("200 OK", []), Body())[1])
    with pytest.raises(OSError, match="no"):
        body.close()

    assert board.read(1).counters.in_flight == 0


def test_a_page_is_named_while_it_runs(voice: Voice, board: Scoreboard) -> None:
    """On the short way and on the long one, and with the name of its function."""
    seen: list[tuple[str, str]] = []

    class Pages:
        @cherrypy.expose
        def index(self) -> str:
            seen.extend((one.line, one.handler) for one in board.read(1).running)
            return "x"

    application = cherrypy.Application(Pages())
    there = {"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "h", "SERVER_NAME": "h", "SERVER_PORT": "80"}
    there |= {"wsgi.multithread": True, "wsgi.multiprocess": False}  # type: ignore[dict-item]
    for method in ("GET", "GET", "HEAD"):
        body: Any = call(voice, application, REQUEST_METHOD=method, **there)
        getattr(body, "close", bool)()
    name = "worker/test_wsgi_account.py: test_a_page_is_named_while_it_runs.<locals>.Pages.index"

    assert seen == [("GET /", name), ("GET /", name), ("HEAD /", name)]


def test_an_error_out_of_the_site_is_a_server_error(voice: Voice, board: Scoreboard) -> None:
    """What the server makes of it is 500."""

    def site(environ: Any, start_response: Any) -> list[bytes]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        call(voice, site)
    assert board.read(1).counters.by_class() == (0, 0, 0, 0, 1)
    assert board.read(1).running == ()


def test_a_file_stays_a_file(voice: Voice, board: Scoreboard) -> None:
    """The server sends it by itself if it gets its own wrapper; it is counted and closed with it."""
    file = io.BytesIO(b"content")

    def site(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped

    body: Any = call(voice, site, **{"wsgi.file_wrapper": FileWrapper})
    before = board.read(1).counters.in_flight
    body.close()

    assert isinstance(body, FileWrapper)
    assert before == 1
    assert file.closed
    assert board.read(1).counters.in_flight == 0


@pytest.mark.parametrize("announced", [{"CONTENT_LENGTH": "300000"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_what_the_site_left_of_a_body_is_read(voice: Voice, announced: dict[str, str]) -> None:
    """Before the answer goes: a Unix socket closed with octets unread resets its peer."""
    body = io.BytesIO(b"x" * 300_000)
    call(voice, whole, **{"wsgi.input": body}, **announced)

    assert body.read() == b""


def test_without_a_body_nothing_is_read(voice: Voice) -> None:
    """Reading could wait for ever."""

    class Never:
        def read(self, count: int) -> bytes:
            raise AssertionError("read")

    assert call(voice, whole, **{"wsgi.input": Never()}, CONTENT_LENGTH="") == [b"x"]


def test_a_client_that_went_away_is_no_error(voice: Voice, board: Scoreboard) -> None:
    """The answer was there; nobody waits for it."""

    class Broken:
        def read(self, count: int) -> bytes:
            raise ConnectionResetError

    assert call(voice, whole, **{"wsgi.input": Broken()}, CONTENT_LENGTH="5") == [b"x"]
    assert board.read(1).counters.in_flight == 0


@pytest.mark.parametrize(("path", "state", "status"), [("/livez", "draining", "200"), ("/readyz", "draining", "503")])
def test_health_is_answered_before_the_site(voice: Voice, path: str, state: Any, status: str) -> None:
    """With who it is and which release it serves; neither asked of the site nor counted."""
    voice.state = state
    said: list[Any] = []
    account = WSGIAccount(lambda environ, start_response: pytest.fail("asked"), voice)
    body = b"".join(account({"PATH_INFO": path}, lambda *args: said.extend(args)))

    assert said[0].startswith(status)
    assert dict(said[1])["X-Kirsch-Release"] == "r7"
    assert json.loads(body) == {
        "state": state,
        "health": "passing",
        "worker": "web.1",
        "release": "r7",
        "generation": 3,
        "broken": {},
        "checks": [],
    }
