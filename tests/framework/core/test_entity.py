"""Request bodies: lengths, limits, charsets, forms."""

from __future__ import annotations

import io
from typing import Any

import pytest

import cherrypy
from cherrypy.core.sizedreader import SizedReader
from cherrypy.http.bodyerrors import BodyTimeout, BodyTooLarge


class Echo:
    """Shows what came."""

    @cherrypy.expose
    def index(self, **params: Any) -> str:
        return repr(sorted(params.items()))

    @cherrypy.expose
    def raw(self) -> bytes:
        data: bytes = cherrypy.request.body.read()
        return data


def test_a_form_and_a_query_are_merged(site: Any) -> None:
    """Repeated names become lists."""
    site.mount(Echo())

    assert site.form("/?a=1&b=2", b"a=3&c=%C3%A9+x").body.decode() == "[('a', ['1', '3']), ('b', '2'), ('c', 'é x')]"


def test_a_body_without_length_is_411(site: Any) -> None:
    """Somebody must say that there is one."""
    site.mount(Echo())

    assert site("/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}).status == 411


def test_an_undecodable_form_is_400(site: Any) -> None:
    """The message names the charsets."""
    site.mount(Echo())

    reply = site.form("/", b"a=%ff")

    assert reply.status == 400
    assert b"['utf-8']" in reply.body


def test_the_declared_charset_comes_first(site: Any) -> None:
    """Then those of the class."""
    site.mount(Echo())

    reply = site("/", "POST", {"Content-Type": "application/x-www-form-urlencoded; charset=latin-1"}, b"a=%e9")

    assert reply.body.decode() == "[('a', 'é')]"


def test_a_body_of_another_type_is_left_to_the_page(site: Any) -> None:
    """It can be read from request.body."""
    site.mount(Echo())

    assert site("/raw", "PUT", {"Content-Type": "application/octet-stream"}, b"\0\1\2").body == b"\0\1\2"


def test_the_body_of_a_get_is_not_processed(site: Any) -> None:
    """Only methods_with_bodies have one."""
    site.mount(Echo())

    assert site("/", "GET", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1").body == b"[]"


def test_maxbytes_is_413(site: Any) -> None:
    """request.body.maxbytes is the page's own limit."""
    site.mount(Echo(), config={"/": {"request.body.maxbytes": 3}})

    assert site.form("/", b"a=12345").status == 413


@pytest.mark.parametrize(("error", "status"), [(BodyTooLarge("x"), 413), (BodyTimeout("x"), 408)])
def test_the_servers_errors_become_answers(site: Any, error: Exception, status: int) -> None:
    """Whoever reads the body."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise error

    site.mount(Echo())
    message = site.message("/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1", (1, 1))
    message.body = Failing()

    assert int(site.respond(message)[0][:3]) == status


def test_a_short_body_is_an_error() -> None:
    """It must not look complete."""
    reader = SizedReader(io.BytesIO(b"abc"), 5, None)

    with pytest.raises(cherrypy.HTTPError):
        reader.read()


def test_lines_are_bounded() -> None:
    """readline(size) holds no more than it was asked for."""
    reader = SizedReader(io.BytesIO(b"a" * 100 + b"\nb\n"), 103, None)

    assert [reader.readline(60), reader.readline(60), reader.readline(), reader.readline()] == [
        b"a" * 60,
        b"a" * 40 + b"\n",
        b"b\n",
        b"",
    ]


def test_reading_stops_at_the_length() -> None:
    """What follows on the stream is the next request's."""
    stream = io.BytesIO(b"mineother")
    reader = SizedReader(stream, 4, None)

    assert (reader.read(), stream.read(), reader.done) == (b"mine", b"other", True)
