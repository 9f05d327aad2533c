"""Charsets and compression."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import encoding


class Root:
    """Pages of all kinds."""

    @cherrypy.expose
    def index(self) -> str:
        """Text."""
        return "\u20ac\xfc"

    @cherrypy.expose
    def latin(self) -> str:
        """Text that fits ISO-8859-1."""
        return "\xfc"

    @cherrypy.expose
    def raw(self) -> bytes:
        """Bytes, which stay."""
        return b"\xff"

    @cherrypy.expose
    def pieces(self) -> Iterator[str | bytes]:
        """Both."""
        yield "\u20ac"
        yield b"x"

    @cherrypy.expose
    def image(self) -> bytes:
        """No text."""
        cherrypy.response.headers["Content-Type"] = "image/png"
        return b"png"

    @cherrypy.expose
    def surrogate(self) -> str:
        """Text that no charset has."""
        return "\ud800"

    @cherrypy.expose
    def file(self) -> Any:
        """A file."""
        return io.BytesIO(b"file")

    @cherrypy.expose
    def nothing(self) -> None:
        """Nothing."""

    @cherrypy.expose
    def long(self) -> str:
        """Enough to compress."""
        cherrypy.response.headers["ETag"] = '"a"'
        return "abc" * 1000

    @cherrypy.expose
    def echo(self, name: str) -> str:
        """A parameter."""
        return name


def test_text_is_sent_in_utf_8(serve: Callable[..., Any]) -> None:
    """And says so."""
    answer = serve(Root())("/")

    assert answer.body == "\u20ac\xfc".encode()
    assert answer.headers["Content-Type"] == "text/html;charset=utf-8"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/raw", b"\xff"), ("/pieces", b"\xe2\x82\xacx"), ("/image", b"png"), ("/file", b"file"), ("/nothing", b"")],
)
def test_other_bodies(serve: Callable[..., Any], path: str, body: bytes) -> None:
    """Bytes pass, images keep their type."""
    answer = serve(Root())(path)

    assert answer.body == body
    assert ("charset" in answer.headers["Content-Type"]) is (path != "/image")


@pytest.mark.parametrize(
    ("path", "accepted", "status", "charset"),
    [
        ("/latin", "iso-8859-1", 200, "iso-8859-1"),
        ("/latin", "utf-16;q=0.5, iso-8859-1;q=0.3", 200, "utf-16"),
        ("/", "iso-8859-1, *;q=0.1", 200, "utf-8"),
        ("/", "iso-8859-1", 406, None),
        ("/", "us-ascii, utf-8;q=0", 406, None),
        ("/latin", "us-ascii", 200, "iso-8859-1"),
        ("/latin", "no-such, utf-8;q=0.1", 200, "utf-8"),
        ("/", "utf-8;q=x", 400, None),
    ],
)
def test_the_client_s_charsets_are_tried(
    serve: Callable[..., Any], path: str, accepted: str, status: int, charset: str | None
) -> None:
    """Best first; ISO-8859-1 if it is not mentioned; else 406."""
    answer = serve(Root())(path, headers={"Accept-Charset": accepted})

    assert answer.status == status
    if charset:
        assert answer.headers["Content-Type"] == f"text/html;charset={charset}"


@pytest.mark.parametrize("name", ["idna", "punycode", "utf-7", "hex", "zlib", "unicode_escape", "raw-unicode-escape"])
def test_only_charsets_of_documents_are_used(serve: Callable[..., Any], name: str) -> None:
    """SECURITY: idna is quadratic (CVE-2022-45061), utf-7 smuggles markup."""
    assert not encoding.is_charset(name)
    assert serve(Root())("/", headers={"Accept-Charset": f"{name}, iso-8859-1;q=0"}).status == 406


def test_settings_of_the_encoder(serve: Callable[..., Any]) -> None:
    """One charset only, how to treat what does not fit, no charset in the header, other types too."""
    assert serve(Root(), encode__encoding="iso-8859-1")("/latin").body == b"\xfc"
    assert serve(Root(), encode__encoding="iso-8859-1")("/").status == 406
    assert serve(Root(), encode__encoding="iso-8859-1", encode__errors="replace")("/").body == b"?\xfc"
    assert serve(Root(), encode__add_charset=False)("/").headers["Content-Type"] == "text/html"
    assert "charset" in serve(Root(), encode__text_only=False)("/image").headers["Content-Type"]
    assert serve(Root(), encode__debug=True)("/").status == 200


def test_text_that_no_charset_has_is_an_error_of_the_page(serve: Callable[..., Any]) -> None:
    """500, not a broken answer."""
    assert serve(Root())("/surrogate").status == 500


def test_streams_are_encoded_as_they_go(serve: Callable[..., Any]) -> None:
    """And closed with the request."""
    closed = []

    class Page:
        @cherrypy.expose
        @cherrypy.config(**{"response.stream": True})
        def index(self) -> Iterator[str]:
            try:
                yield "\u20ac"
                yield "x"
            finally:
                closed.append(True)

    browser = serve(Page())

    assert browser("/").body == b"\xe2\x82\xacx"
    assert browser("/", headers={"Accept-Charset": "utf-16"}).body.decode("utf-16") != ""
    assert closed


def test_a_stream_encoder_passes_its_iterator_s_attributes_on() -> None:
    """Whatever wraps a body must not hide it."""
    stream = encoding.UTF8StreamEncoder(io.BytesIO(b"a"))

    assert stream.getvalue() == b"a"
    assert list(stream) == [b"a"]
    with pytest.raises(AttributeError):
        _ = stream._no


def test_request_bodies_are_decoded_as_configured(serve: Callable[..., Any]) -> None:
    """``encoding`` alone, or ``default_encoding`` after the usual ones."""
    alone = serve(Root(), decode__on=True, decode__encoding="latin-1")
    after = serve(Root(), decode__on=True, decode__default_encoding=["us-ascii", "latin-1"])

    assert alone("/echo", "POST", body=b"name=%FC").body == "\xfc".encode()
    assert after("/echo", "POST", body=b"name=%FC").body == "\xfc".encode()
    assert alone("/echo?name=x").status == 200


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True), ("x-gzip", True), ("*", True), ("gzip;q=0", False), ("identity, gzip;q=0.5", False),
        ("deflate", False), ("br, gzip;q=0.1", True), ("*;q=0.5, gzip;q=0", False), ("GZIP", True),
    ],
)  # fmt: skip
def test_who_gets_it_packed(serve: Callable[..., Any], accepted: str, is_packed: bool) -> None:
    """Those who like gzip at least as much as the plain page."""
    answer = serve(Root(), gzip__on=True)("/long", headers={"Accept-Encoding": accepted})

    assert answer.status == 200
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (answer.headers.get("Content-Encoding") == "gzip") is is_packed
    assert (gzip.decompress(answer.body) if is_packed else answer.body) == b"abc" * 1000
    assert answer.headers["Content-Length"] == str(len(answer.body))


@pytest.mark.parametrize("accepted", ["identity;q=0", "*;q=0", "deflate, *;q=0"])
def test_who_refuses_everything_is_told(serve: Callable[..., Any], accepted: str) -> None:
    """406."""
    assert serve(Root(), gzip__on=True)("/long", headers={"Accept-Encoding": accepted}).status == 406


def test_a_packed_page_has_a_weak_tag(serve: Callable[..., Any]) -> None:
    """The strong one names other octets; the client's copy is still known by it."""
    browser = serve(Root(), gzip__on=True, etags__on=True)
    tag = browser("/long", headers={"Accept-Encoding": "gzip"}).headers["Etag"]

    assert tag == 'W/"a"'
    assert browser("/long", headers={"If-None-Match": tag}).status == 304


@pytest.mark.parametrize(
    ("mime_types", "is_packed"),
    [(["text/html"], True), (["text/*"], True), (["image/png"], False), (["text/*+xml"], False), ([], False)],
)
def test_only_the_named_types_are_packed(serve: Callable[..., Any], mime_types: list[str], is_packed: bool) -> None:
    """By name or pattern."""
    browser = serve(Root(), gzip__on=True, gzip__mime_types=mime_types, gzip__compress_level=9, gzip__debug=True)

    assert ("Content-Encoding" in browser("/long", headers={"Accept-Encoding": "gzip"}).headers) is is_packed


@pytest.mark.parametrize(("level", "mark"), [(1, 4), (5, 0), (9, 2)])
def test_packed_pieces_are_a_gzip_file(level: int, mark: int) -> None:
    """Its ninth octet tells how hard the compressor tried."""
    packed = b"".join(encoding.compress([b"a", b"b" * 100], level))

    assert packed[8] == mark
    assert encoding.decompress(packed) == gzip.decompress(packed) == b"a" + b"b" * 100
    assert encoding.decompress(b"".join(encoding.compress([], level))) == b""


def test_packing_closes_what_it_packs() -> None:
    """Also when the client goes."""
    closed = []

    def body() -> Iterator[bytes]:
        try:
            yield b"a"
        finally:
            closed.append(True)

    pieces = encoding.compress(body(), 5)
    list(zip(pieces, range(1), strict=False))
    next(pieces, None)
    pieces.close()  # type: ignore[attr-defined]

    assert closed
