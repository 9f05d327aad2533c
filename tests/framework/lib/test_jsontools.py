"""Pages that read and write JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import jsoncodec


class Root:
    """Pages in JSON."""

    @cherrypy.expose
    @cherrypy.tools.json_out()
    def out(self) -> Any:
        """A value."""
        return {"a": ["\u20ac", None]}

    @cherrypy.expose
    @cherrypy.tools.json_out(content_type="application/vnd.x+json")
    def typed(self) -> Any:
        """A value of a type of its own."""
        return 1

    @cherrypy.expose
    @cherrypy.tools.json_out()
    def broken(self) -> Any:
        """No JSON value."""
        return object()

    @cherrypy.expose
    @cherrypy.tools.json_in()
    def read(self) -> str:
        """The value that was sent."""
        return json.dumps(cherrypy.request.json)

    @cherrypy.expose
    @cherrypy.tools.json_in(force=False)
    def either(self, **params: str) -> str:
        """JSON or a form."""
        return json.dumps(getattr(cherrypy.request, "json", params))

    @cherrypy.expose
    @cherrypy.tools.json_in(content_type="x/y", processor=lambda entity: setattr(cherrypy.request, "json", "mine"))
    def own(self) -> str:
        """A reader of one's own."""
        return str(cherrypy.request.json)


JSON = {"Content-Type": "application/json"}


@pytest.fixture
def browser(serve: Callable[..., Any]) -> Any:
    """The site."""
    return serve(Root())


def test_values_are_written(browser: Any) -> None:
    """With their type."""
    answer = browser("/out")

    assert json.loads(answer.body) == {"a": ["\u20ac", None]}
    assert answer.headers["Content-Type"] == "application/json"
    assert browser("/typed").headers["Content-Type"] == "application/vnd.x+json"
    assert browser("/broken").status == 500


def test_values_are_read(browser: Any) -> None:
    """Also text/javascript, of old."""
    assert browser("/read", "POST", JSON, b'{"a": "\xc3\xbc"}').body == b'{"a": "\\u00fc"}'
    assert browser("/read", "POST", {"Content-Type": "text/javascript"}, b"1").body == b"1"


def test_a_chunked_body_needs_no_length(browser: Any) -> None:
    """Proxies send them so; it used to be 411."""
    chunked = {**JSON, "Content-Length": "", "Transfer-Encoding": "chunked"}

    assert browser("/read", "POST", chunked, b"[1]").body == b"[1]"
    assert browser("/read", "POST", {**JSON, "Content-Length": ""}, b"[1]").status == 411


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"nan"])
def test_what_is_not_json_is_a_bad_request(browser: Any, body: bytes) -> None:
    """SECURITY: nor does a deep nest of brackets end in an internal error."""
    assert browser("/read", "POST", JSON, body).status == 400


def test_other_types_are_refused_if_forced(browser: Any) -> None:
    """415 says what is wanted."""
    answer = browser("/read", "POST", body=b"a=1")

    assert answer.status == 415
    assert b"application/json, text/javascript" in answer.body
    assert browser("/either", "POST", body=b"a=1").body == b'{"a": "1"}'
    assert browser("/either", "POST", JSON, b"2").body == b"2"
    assert browser("/own", "POST", {"Content-Type": "x/y"}, b"?").body == b"mine"


@pytest.mark.parametrize(
    "value",
    [None, True, 1, -2.5, float("inf"), "wörld \ud800 \n", [], {}, {"a": [1, {"b": None}], 2: "c", None: 1.5}, (1, 2)],
)
def test_documents_are_written_as_the_standard_library_writes_them(value: Any) -> None:
    """To the octet: blanks, escapes, keys and numbers."""
    assert b"".join(jsoncodec.encode(value)) == json.dumps(value).encode()


@pytest.mark.parametrize("value", [{1}, object(), {"a": b"octets"}, {(1, 2): 3}])
def test_what_is_no_json_is_a_type_error(value: Any) -> None:
    """As the standard library says it."""
    with pytest.raises(TypeError):
        jsoncodec.encode(value)


def test_a_circular_document_fails() -> None:
    """And does not hang."""
    value: list[Any] = []
    value.append(value)

    with pytest.raises((RecursionError, ValueError)):
        jsoncodec.encode(value)


class Money(json.JSONEncoder):
    """Writes sets."""

    def default(self, o: Any) -> Any:
        """Sets as lists."""
        return sorted(o) if isinstance(o, set) else super().default(o)


class Exact(json.JSONDecoder):
    """Reads numbers as texts."""

    def __init__(self) -> None:
        super().__init__(parse_float=str)


class Coded:
    """Pages with readers and writers of their own."""

    @cherrypy.expose
    @cherrypy.tools.json_out(encoder=Money)
    def by_class(self) -> Any:
        """A set."""
        return {1, 2}

    @cherrypy.expose
    @cherrypy.tools.json_out(encoder=lambda value: f"<{value}>".encode())
    def by_function(self) -> Any:
        """Bytes of one's own."""
        return 1

    @cherrypy.expose
    @cherrypy.tools.json_in(decoder=Exact)
    def exact(self) -> str:
        """What was read."""
        return repr(cherrypy.request.json)

    @cherrypy.expose
    @cherrypy.tools.json_in(decoder=lambda text: text.upper())
    def upper(self) -> str:
        """What was read."""
        return str(cherrypy.request.json)

    @cherrypy.expose
    @cherrypy.tools.json_out(encoder=Money, handler=lambda: b"")
    def two_writers(self) -> int:
        """A contradiction."""
        return 1

    @cherrypy.expose
    @cherrypy.tools.json_in(decoder=Exact, processor=lambda entity: None)
    def two_readers(self) -> str:
        """Another."""
        return ""


def test_an_encoder_of_one_s_own_needs_no_private_attribute(serve: Callable[..., Any]) -> None:
    """A class like those of ``json``, or a function."""
    browser = serve(Coded())

    assert browser("/by_class").body == b"[1, 2]"
    assert browser("/by_function").body == b"<1>"
    assert browser("/by_function").headers["Content-Type"] == "application/json"


def test_a_decoder_of_one_s_own_needs_no_processor(serve: Callable[..., Any]) -> None:
    """Likewise; what it refuses is a bad request."""
    browser = serve(Coded())

    assert browser("/exact", "POST", JSON, b"[1.10]").body == b"['1.10']"
    assert browser("/upper", "POST", JSON, b"abc").body == b"ABC"
    assert browser("/exact", "POST", JSON, b"{").status == 400


def test_two_ways_to_write_at_once_are_a_mistake(serve: Callable[..., Any]) -> None:
    """One of them would be ignored in silence."""
    browser = serve(Coded())

    assert browser("/two_writers").status == 500
    assert b"tools.json_out.encoder" in browser("/two_writers").body
    assert b"tools.json_in.decoder" in browser("/two_readers", "POST", JSON, b"1").body


def test_a_byte_order_mark_is_no_mistake(browser: Any) -> None:
    """Some editors and clients write it."""
    assert browser("/read", "POST", JSON, b"\xef\xbb\xbf[1]").body == b"[1]"


def test_the_inner_handler_stays_where_applications_look_for_it(serve: Callable[..., Any]) -> None:
    """``request._json_inner_handler``, in a handler of their own."""

    def shout(*args: Any, **kwargs: Any) -> bytes:
        value = cherrypy.serving.request._json_inner_handler(*args, **kwargs)
        return json.dumps(value).upper().encode()

    class Page:
        @cherrypy.expose
        @cherrypy.tools.json_out(handler=shout)
        def index(self) -> str:
            return "a"

    assert serve(Page())("/").body == b'"A"'
