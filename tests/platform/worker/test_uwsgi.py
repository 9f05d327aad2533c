"""What is uWSGI's own: every answer is the last of its connection and says so, bodies in pieces are framed."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from kirsch.spec import App
from kirsch.worker.engines.uwsgi_framing import Framed

SITE = """
import os
try:
    import uwsgi
except ImportError:
    uwsgi = None

class Body:
    def __init__(self, pieces): self.pieces = iter(pieces)
    def __iter__(self): return self
    def __next__(self): return next(self.pieces)
    def close(self): print("closed", flush=True)

def dying():
    yield b"one"
    os._exit(9)

def app(environ, start_response):
    what = environ["PATH_INFO"]
    if what == "/module":
        start_response("200 OK", [])
        return [uwsgi.version if uwsgi else b"none"]
    if what == "/written":
        start_response("200 OK", [])(b"first ")
        return [b"second"]
    if what == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    start_response("200 OK", [("Connection", "keep-alive")])
    return Body([b"a", b"", b"bc"]) if what == "/pieces" else dying()
"""


@pytest.fixture
def worker(start_worker: Callable[..., Any], folder: str) -> Any:
    Path(folder, "site_under_test.py").write_text(SITE)
    return start_worker(App(name="a", entry="site_under_test:app"), engine="uwsgi")


def test_every_answer_says_that_its_connection_ends(worker: Any, folder: str) -> None:
    """Of known length and of unknown, from the worker itself too; whatever the application says."""
    path = worker.ready()
    answers = [worker.fetch(path, target) for target in ("/module", "/pieces", "/written", "/file", "/readyz")]

    assert [answer.status for answer in answers] == [200] * 5
    assert [answer.headers.get_all("Connection") for answer in answers] == [["close"]] * 5
    assert answers[1].body == b"abc"
    assert answers[2].body == b"first second"
    assert answers[3].body == Path(folder, "site_under_test.py").read_bytes()


def test_applications_find_its_module(worker: Any) -> None:
    """``import uwsgi`` works at their import: it runs before they do."""
    assert worker.fetch(worker.ready(), "/module").body.startswith(b"2.")


def test_an_answer_cut_by_death_does_not_look_whole(worker: Any) -> None:
    """By its frames: the end of the connection alone would be the end of the body."""
    path = worker.ready()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        worker.fetch(path, "/dying")

    assert worker.process.wait(10) == 9


def run(site: Callable[..., Iterable[bytes]], method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    """Call a framed site as a server does."""
    said: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> Callable[[bytes], None]:
        said[:] = [status, dict(headers)]
        return written.append

    body = Framed(site)({"REQUEST_METHOD": method, "SERVER_PROTOCOL": "HTTP/1.1"}, start_response)
    try:
        octets = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return said[0], said[1], b"".join(written) + octets


def test_a_whole_body_gets_its_length() -> None:
    """Also an empty one; what has a length keeps it."""

    def whole(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"ab", b"c"]

    def empty(environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return iter(())

    assert run(whole) == ("200 OK", {"Content-Length": "3", "Connection": "close"}, b"abc")
    assert run(empty)[1] == {"Content-Length": "0", "Connection": "close"}
    assert run(whole, "HEAD") == ("200 OK", {"Content-Length": "3", "Connection": "close"}, b"")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_what_has_no_body_has_no_frames(status: str) -> None:
    """Nor a length."""

    def site(environ: Any, start: Any) -> Iterable[bytes]:
        start(status, [])
        yield b""

    assert run(site) == (status, {"Connection": "close"}, b"")


def test_a_generator_may_start_late_and_change_its_mind() -> None:
    """``start_response`` at the first piece, and again with an error before anything is out."""

    def site(environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        try:
            raise RuntimeError
        except RuntimeError as error:
            start("500 Oops", [("X", "y")], (RuntimeError, error, None))
        yield b"abc"

    headers = {"X": "y", "Transfer-Encoding": "chunked", "Connection": "close"}

    assert run(site) == ("500 Oops", headers, b"3\r\nabc\r\n0\r\n\r\n")


def test_an_error_after_the_head_is_the_servers() -> None:
    """It cannot be told any more, so it goes up and ends the connection."""

    def site(environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        yield b"a"
        start("500 Oops", [], (RuntimeError, RuntimeError("late"), None))

    with pytest.raises(RuntimeError, match="late"):
        run(site)


def test_a_site_that_says_nothing_is_an_error() -> None:
    """As PEP 3333 has it."""
    with pytest.raises(AssertionError, match="before it called start_response"):
        run(lambda environ, start: [b"x"])
