"""The arguments of the small tools that no other test looks at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import cptools


class Root:
    """Pages."""

    @cherrypy.expose
    def index(self, **params: str) -> str:
        """What is left of the request's headers."""
        headers = cherrypy.request.headers
        return " ".join(name for name in ("Range", "X-A", "X-B") if name in headers)

    @cherrypy.expose
    def own(self) -> str:
        """A header of the page's own."""
        cherrypy.response.headers["X-A"] = "page"
        return ""

    @cherrypy.expose
    def fail(self) -> None:
        """Break."""
        raise RuntimeError("broken page")

    @cherrypy.expose
    def nested(self) -> Iterator[Any]:
        """Iterators in an iterator."""
        yield b"a"
        yield (piece for piece in [b"b", iter([b"c", iter([])])])

    @cherrypy.expose
    def bytes_in_latin(self) -> bytes:
        """Bytes, and their charset."""
        cherrypy.response.headers["Content-Type"] = "text/plain;charset=iso-8859-1"
        return b"\xfc"

    @cherrypy.expose
    def text_in_latin(self) -> str:
        """Text, and a charset."""
        cherrypy.response.headers["Content-Type"] = "text/plain;charset=iso-8859-1"
        return "\xfc"

    @cherrypy.expose
    def fixed(self) -> str:
        """What nobody on the way may change."""
        cherrypy.response.headers["Cache-Control"] = "public, no-transform"
        return "x" * 1000


SENT = {"Range": "bytes=0-1", "X-A": "a", "X-B": "b"}


@pytest.mark.parametrize(
    ("headers", "left"),
    [(("Range",), b"X-A X-B"), ("X-A", b"Range X-B"), (["x-a", "X-B"], b"Range"), ((), b"Range X-A X-B")],
)
def test_ignored_headers_are_gone(serve: Callable[..., Any], headers: Any, left: bytes) -> None:
    """One or several, in any case."""
    assert serve(Root(), ignore_headers__on=True, ignore_headers__headers=headers)("/", headers=SENT).body == left


@pytest.mark.parametrize("headers", [[("X-A", "tool"), ("X-C", "c")], {"X-A": "tool", "X-C": "c"}, (("X-C", "c"),)])
def test_response_headers_are_set_before_the_page(serve: Callable[..., Any], headers: Any) -> None:
    """Which may set its own; pairs or a dict."""
    browser = serve(Root(), response_headers__on=True, response_headers__headers=headers, response_headers__debug=True)

    assert browser("/").headers["X-C"] == "c"
    assert browser("/own").headers["X-A"] == "page"


def test_response_headers_are_set_after_a_failure_too(serve: Callable[..., Any]) -> None:
    """The hook is failsafe: errors need the headers that keep a page safe."""
    browser = serve(
        Root(), allow__on=True, allow__methods="POST", allow__priority=1,
        response_headers__on=True, response_headers__headers=[("X-Frame-Options", "DENY")],
    )  # fmt: skip
    answer = browser("/")

    assert (answer.status, answer.headers["X-Frame-Options"]) == (405, "DENY")


def test_a_refused_referer_is_told_why(serve: Callable[..., Any]) -> None:
    """``message`` and ``error``."""
    browser = serve(Root(), referer__on=True, referer__pattern="x", referer__error=404, referer__message="go away")
    answer = browser("/")

    assert answer.status == 404
    assert b"go away" in answer.body
    assert b"Forbidden Referer header." in serve(Root(), referer__on=True, referer__pattern="x")("/").body


@pytest.mark.parametrize("severity", [logging.INFO, logging.CRITICAL])
def test_tracebacks_have_the_configured_severity(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture, severity: int
) -> None:
    """``tools.log_tracebacks.severity``."""
    with caplog.at_level(logging.INFO):
        serve(Root(), log_tracebacks__on=True, log_tracebacks__severity=severity)("/fail")
    records = [one for one in caplog.records if one.exc_info and "HTTP" in one.getMessage()]

    assert [one.levelno for one in records] == [severity]


@pytest.mark.parametrize("tool", ["log_tracebacks", "log_headers"])
def test_logs_of_errors_can_be_off(serve: Callable[..., Any], caplog: pytest.LogCaptureFixture, tool: str) -> None:
    """Both are on by default."""
    with caplog.at_level(logging.INFO):
        serve(Root(), **{f"{tool}__on": False})("/fail", headers={"X-Mark": "here"})

    assert ("X-Mark" in caplog.text) is False
    assert any(one.exc_info for one in caplog.records if "HTTP" in one.getMessage()) is (tool != "log_tracebacks")


def test_hooks_are_logged_in_their_order(serve: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """With their arguments, all points, also those that are empty."""
    with caplog.at_level(logging.INFO):
        serve(Root(), log_hooks__on=True, expires__on=True, expires__secs=5, etags__on=True, etags__priority=10)("/")

    assert caplog.text.index("etags") < caplog.text.index("expires")
    assert "secs=5" in caplog.text
    assert "after_error_response:" in caplog.text


def test_a_flattened_body_has_no_iterators_in_it(serve: Callable[..., Any]) -> None:
    """However deep, empty ones too."""
    assert serve(Root(), flatten__on=True, flatten__debug=True, encode__on=False)("/nested").body == b"abc"


@pytest.mark.parametrize("stream", [True, False])
def test_text_deep_inside_is_encoded_as_the_rest(serve: Callable[..., Any], stream: bool) -> None:
    """The encode tool sees only the outermost pieces."""

    class Page:
        @cherrypy.expose
        @cherrypy.tools.flatten()
        @cherrypy.config(**{"response.stream": stream})
        def index(self) -> Iterator[Any]:
            yield "\xe4"
            yield iter(["\xf6", iter([b"x", "\xfc"])])

    browser = serve(Page())

    assert browser("/").body == "\xe4\xf6x\xfc".encode()
    assert browser("/", headers={"Accept-Charset": "iso-8859-1"}).body == "\xe4\xf6x\xfc".encode("latin-1")


def test_iterators_deep_inside_are_closed(serve: Callable[..., Any]) -> None:
    """When the client goes."""
    closed: list[str] = []

    def inner() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append("inner")

    def outer() -> Iterator[Any]:
        try:
            yield inner()
        finally:
            closed.append("outer")

    pieces = cptools._flattened(outer(), None)
    next(iter(pieces))
    pieces.close()  # type: ignore[attr-defined]

    assert closed == ["inner", "outer"]


def test_bytes_keep_the_charset_that_the_page_gave_them(serve: Callable[..., Any]) -> None:
    """Only the page knows it; text is encoded as ever."""
    browser = serve(Root())

    assert browser("/bytes_in_latin").headers["Content-Type"] == "text/plain;charset=iso-8859-1"
    assert browser("/bytes_in_latin").body == b"\xfc"
    assert browser("/text_in_latin").headers["Content-Type"] == "text/plain;charset=utf-8"
    assert browser("/text_in_latin").body == b"\xc3\xbc"


def test_names_that_clients_make_up_are_not_looked_up(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY: Python keeps each one for ever; the page's own charset may be any."""
    asked: list[str] = []
    monkeypatch.setattr("cherrypy.lib.encoding.is_charset", lambda name: bool(asked.append(name)))
    browser = serve(Root(), encode__encoding="x-own")
    browser("/", headers={"Accept-Charset": "x-made-up-1, x-made-up-2, x-own"})
    serve(Root())("/", headers={"Accept-Charset": "x-made-up-3, utf-8"})

    assert not any(name.startswith("x-made-up") for name in asked)


def test_what_must_not_be_transformed_is_not_packed(serve: Callable[..., Any]) -> None:
    """RFC 9111, 5.2.2.6."""
    answer = serve(Root(), gzip__on=True)("/fixed", headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("mime_types", ["text/html", ("text/*",), {"text/html"}])
def test_types_to_pack_may_be_one_or_several(serve: Callable[..., Any], mime_types: Any) -> None:
    """A text is one type, not letters."""
    browser = serve(Root(), gzip__on=True, gzip__mime_types=mime_types)

    assert browser("/", headers={"Accept-Encoding": "gzip", "X-A": "a"}).headers["Content-Encoding"] == "gzip"
