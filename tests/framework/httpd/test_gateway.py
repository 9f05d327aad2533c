"""WSGI applications on the server, judged by ``wsgiref.validate``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator

import pytest

from cherrypy.httpd.gateway import WSGIGateway, decode_path

from .conftest import Serve


def test_a_valid_application_is_served(serve: Serve) -> None:
    """The validator has no complaint about the environment, the input or the iterable's end."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"valid"]

    running = serve(WSGIGateway(validator(app)))  # type: ignore[arg-type]
    with running.connect() as client:
        assert client.get("/a?b=c").body == b"valid"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        assert client.reply().body == b"valid"
        assert client.get(method="HEAD").status == 200

    assert seen == [b"", b"abc", b""]


def test_the_environment(serve: Serve) -> None:
    """What CherryPy's documents list."""
    seen: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    running = serve(WSGIGateway(app, server_name="shop.example", software="X/1"))
    with running.connect() as client:
        client.get(
            "/a%20b%2Fc%C3%A9?q=%20",
            "Content-Type: text/x\r\nX-Two: 1\r\nX-Two: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX_Two: 3\r\n",
        )
        port = client.sock.getsockname()[1]

    expected = {
        "ACTUAL_SERVER_PROTOCOL": "HTTP/1.1",
        "PATH_INFO": "/a b%2Fc\xc3\xa9",
        "QUERY_STRING": "q=%20",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/a%20b%2Fc%C3%A9?q=%20",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": str(running.server.bind_addr[1]),  # type: ignore[index]
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "X/1",
        "CONTENT_TYPE": "text/x",
        "HTTP_HOST": "a",
        "HTTP_X_TWO": "1, 2",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert set(seen) - set(expected) == {"wsgi.input", "wsgi.errors"}


def test_the_unicode_version_of_wsgi(serve: Serve) -> None:
    """The path is decoded as UTF-8, or said not to be."""
    seen: list[tuple[str, str]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append((environ["wsgi.url_encoding"], environ["PATH_INFO"]))
        start_response("200 OK", [])
        return []

    running = serve(WSGIGateway(app, version=("u", 0)))
    with running.connect() as client:
        client.get("/%C3%A9")
        client.get("/%E9")

    assert seen == [("utf-8", "/é"), ("ISO-8859-1", "/\xe9")]


def generate(*pieces: bytes) -> Iterable[bytes]:
    """A generator."""
    yield from pieces


@pytest.mark.parametrize(
    ("headers", "pieces", "coding"),
    [
        ([("Content-Length", "3")], (b"abc",), None),
        ([("Content-Length", "3")], (b"", b"a", b"bc"), None),
        ([], (b"a", b"bc"), "chunked"),
    ],
)
def test_generators(serve: Serve, headers: Any, pieces: Any, coding: str | None) -> None:
    """Whole when they are whole, chunked otherwise."""

    def app(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return generate(*pieces)

    running = serve(WSGIGateway(app))
    with running.connect() as client:
        first, second = client.get(), client.get()

    assert first.body == second.body == b"abc"
    assert first.headers.get("transfer-encoding") == coding


def test_a_generator_may_call_start_response_late(serve: Serve) -> None:
    """Before its first piece."""

    def app(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("201 Created", [])
        yield b"late"

    running = serve(WSGIGateway(app))
    with running.connect() as client:
        reply = client.get()

    assert (reply.status, reply.body) == (201, b"late")


def test_write(serve: Serve) -> None:
    """Goes before what is returned."""

    def app(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"one ")
        write(b"two ")
        return [b"three"]

    running = serve(WSGIGateway(app))
    with running.connect() as client:
        assert client.get().body == b"one two three"


def test_exc_info_replaces_what_was_said(serve: Serve) -> None:
    """As long as nothing was sent."""

    def app(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("X-Old", "1")])
        start_response("500 Oops", [], (ValueError, ValueError(), None))
        return [b"error"]

    running = serve(WSGIGateway(app))
    with running.connect() as client:
        reply = client.get()

    assert reply.status == 500
    assert "x-old" not in reply.headers


@pytest.mark.parametrize("wrong", ["twice", "never", "bytes status", "bytes header", "text body", "newline"])
def test_applications_that_break_pep_3333_get_a_500(serve: Serve, wrong: str) -> None:
    """And their iterable is closed."""
    closed: list[int] = []

    class Result:
        def __iter__(self) -> Any:
            return iter(["text"] if wrong == "text body" else [b"x"])

        def close(self) -> None:
            closed.append(1)

    def app(environ: Any, start_response: Callable[..., Any]) -> Any:
        if wrong == "bytes status":
            start_response(b"200 OK", [])
        elif wrong == "bytes header":
            start_response("200 OK", [(b"X", b"y")])
        elif wrong == "newline":
            start_response("200 OK", [("X", "a\nb")])
        elif wrong != "never":
            start_response("200 OK", [])
        if wrong == "twice":
            start_response("200 OK", [])
        return Result()

    answer = serve(WSGIGateway(app)).exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert closed == ([] if wrong in ("twice", "bytes status", "bytes header") else [1])


def test_close_is_called_once_after_the_last_piece(serve: Serve) -> None:
    """PEP 3333."""
    order: list[str] = []

    class Result:
        def __iter__(self) -> Any:
            order.append("piece")
            yield b"a"
            order.append("piece")
            yield b"b"

        def close(self) -> None:
            order.append("close")

    def app(environ: Any, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return Result()

    running = serve(WSGIGateway(app))
    with running.connect() as client:
        client.get()
        client.get()
    running.server.stop(5)  # the answer is read before its end is called

    assert order == ["piece", "piece", "close"] * 2


def test_paths_are_decoded_but_for_slashes() -> None:
    """An encoded slash must not become a separator."""
    assert decode_path("/a%20b%2Fc%2fd%25") == "/a b%2Fc%2Fd%"
