"""The client that applications test themselves with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from cherrypy.test import webtest


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = f"{self.command} {self.path} {self.rfile.read(length).decode()}".encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-List", "one, two")
        self.send_header("Set-Cookie", "a=b")
        self.send_header("X-Type", self.headers.get("Content-Type", ""))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def case() -> Iterator[webtest.WebCase]:
    """A test case pointed at an echo."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made = webtest.WebCase()
    made.PORT = server.server_port
    yield made
    if made.persistent:
        made.HTTP_CONN.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_is_kept_in_attributes(case: webtest.WebCase) -> None:
    """And returned."""
    result = case.getPage("/path?q=1")

    assert result == (case.status, case.headers, case.body)
    assert case.body == b"GET /path?q=1 "
    assert (case.status, case.status_code) == ("200 OK", 200)
    assert case.cookies == [("Cookie", "a=b")]
    assert case.time is not None


def test_a_body_has_type_and_length(case: webtest.WebCase) -> None:
    """Unless it says otherwise itself."""
    case.getPage("/", method="POST", body="q=ü")

    case.assertBody("POST / q=ü")
    case.assertHeader("X-Type", "application/x-www-form-urlencoded")
    assert ("Content-Length", "3") not in webtest.cleanHeaders([("Content-Type", "x/y")], "POST", b"abc", "h", 1)


def test_one_connection_for_all(case: webtest.WebCase) -> None:
    """While it is wanted."""
    case.persistent = True
    connection = case.HTTP_CONN

    case.getPage("/")
    case.getPage("/")

    assert case.HTTP_CONN is connection
    case.set_persistent(False)
    assert not case.persistent


@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        ("assertStatus", (200,)),
        ("assertStatus", ("200 OK",)),
        ("assertStatus", ([404, "200 OK"],)),
        ("assertHeader", ("x-list",)),
        ("assertHeader", ("X-List", "one, two")),
        ("assertHeaderIn", ("X-List", ["a", "one, two"])),
        ("assertHeaderItemValue", ("X-List", "two")),
        ("assertNoHeader", ("X-None",)),
        ("assertNoHeaderItemValue", ("X-List", "three")),
        ("assertBody", ("GET / ",)),
        ("assertBody", (b"GET / ",)),
        ("assertInBody", ("GET",)),
        ("assertNotInBody", ("POST",)),
        ("assertMatchesBody", ("^G.T",)),
    ],
)
def test_checks_that_hold(case: webtest.WebCase, check: str, arguments: tuple[Any, ...]) -> None:
    """Are silent."""
    case.getPage("/")

    getattr(case, check)(*arguments)


@pytest.mark.parametrize(
    ("check", "arguments", "message"),
    [
        ("assertStatus", (404,), "Status 200 OK does not match 404"),
        ("assertStatus", ("200",), "Status 200 OK does not match 200"),
        ("assertHeader", ("X-None",), "'X-None' not in headers"),
        ("assertHeader", ("X-List", "one"), "X-List:one not in headers"),
        ("assertHeaderIn", ("X-List", ["a"]), "'X-List' not in"),
        ("assertHeaderItemValue", ("X-List", "three"), "'three' not in 'one, two'"),
        ("assertNoHeader", ("X-List",), "'X-List' in headers"),
        ("assertNoHeaderItemValue", ("X-List", "two"), "X-List:two in headers"),
        ("assertBody", ("other",), "actual body:\nb'GET / '"),
        ("assertInBody", ("POST",), "'POST' not in body"),
        ("assertNotInBody", ("GET",), "'GET' found in body"),
        ("assertMatchesBody", ("^ET",), "No match for '\\^ET' in body"),
        ("assertStatus", (404, "own words"), "own words"),
    ],
)
def test_checks_that_fail(case: webtest.WebCase, check: str, arguments: tuple[Any, ...], message: str) -> None:
    """Say what was found, or what they were told to."""
    case.getPage("/")

    with pytest.raises(AssertionError, match=message):
        getattr(case, check)(*arguments)


def test_an_absolute_address_is_reduced(case: webtest.WebCase) -> None:
    """To what goes on the request line."""
    assert webtest.strip_netloc("http://host:80/path?q=1") == "/path?q=1"
    assert webtest.strip_netloc("//path") == "//path"

    case.getPage("http://elsewhere/path")

    case.assertBody("GET /path ")


def test_an_error_of_the_server_fails_the_page(case: webtest.WebCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server under test tells of it."""
    monkeypatch.setattr(webtest, "ignored_exceptions", [KeyError])
    error, ignored = ZeroDivisionError("here"), KeyError("there")

    assert webtest.server_error((KeyError, ignored, None)) is False
    assert webtest.server_error((ZeroDivisionError, error, None)) is True
    assert webtest.ServerError.on

    case.getPage("/")

    assert not webtest.ServerError.on


def test_a_dead_server_is_tried_again_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times; at once for exceptions that were named."""
    pauses: list[float] = []
    # the module's own name alone: other threads of this process sleep too
    monkeypatch.setattr(webtest, "time", SimpleNamespace(sleep=pauses.append))

    with pytest.raises(ConnectionRefusedError):
        webtest.openURL("/", port=1)
    assert len(pauses) == 9
    with pytest.raises(ConnectionRefusedError):
        webtest.openURL("/", port=1, raise_subcls=ConnectionRefusedError)
    assert len(pauses) == 9


def test_nobody_is_asked_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("WEBTEST_INTERACTIVE", "true")

    assert webtest.WebCase().interactive is False


@pytest.mark.parametrize(
    ("value", "is_terminal", "asks"),
    [
        (None, True, False),
        ("", True, False),
        ("false", True, False),
        ("1", True, True),
        ("true", True, True),
        ("1", False, False),
    ],
)
def test_who_is_asked(monkeypatch: pytest.MonkeyPatch, value: str | None, is_terminal: bool, asks: bool) -> None:
    """Somebody who wants it and sits there; CherryPy asked by default, and test runs hung."""
    monkeypatch.delenv("WEBTEST_INTERACTIVE", raising=False)
    if value is not None:
        monkeypatch.setenv("WEBTEST_INTERACTIVE", value)
    monkeypatch.setattr(webtest.sys, "stdin", SimpleNamespace(isatty=lambda: is_terminal))

    assert webtest.WebCase().interactive is asks


@pytest.mark.parametrize(
    ("answers", "error"), [("i", None), ("bhsui", None), ("?r", AssertionError), ("bx", SystemExit)]
)
def test_somebody_at_the_terminal_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: str, error: type[BaseException] | None
) -> None:
    """To ignore a failure, raise it, or leave; after a look at the page."""
    given = iter(answers)
    monkeypatch.setattr("builtins.input", lambda prompt: next(given))
    monkeypatch.setattr(webtest.WebCase, "interactive", True)
    case = webtest.WebCase()
    case.status, case.headers, case.body, case.url = "200 OK", [("A", "b")], b"the body", "/the/url"

    if error is None:
        case.assertStatus(404)
    else:
        with pytest.raises(error):
            case.assertStatus(404)

    shown = capsys.readouterr().out
    assert "ERROR: Status 200 OK does not match 404" in shown
    assert ("the body" in shown) == ("b" in answers)
    assert next(given, None) is None


@pytest.mark.parametrize(("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("host", "host")])
def test_where_a_server_is_reached(host: str, reached: str) -> None:
    """One that listens everywhere is here, too."""
    case = webtest.WebCase()
    case.HOST = host

    assert webtest.interface(host) == case.interface() == reached


@pytest.mark.parametrize(
    ("method", "given", "added"),
    [
        ("GET", [], [("Host", "h:8080")]),
        ("GET", [("host", "other")], []),
        *[
            (method, [("Host", "h")], [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "3")])
            for method in ("POST", "PUT", "PATCH")
        ],
        ("POST", [("Host", "h"), ("content-type", "x/y")], []),
    ],
)
def test_headers_are_completed(method: str, given: list[tuple[str, str]], added: list[tuple[str, str]]) -> None:
    """By what is missing, and by nothing else."""
    assert webtest.cleanHeaders(given, method, b"abc", "h", 8080) == given + added
