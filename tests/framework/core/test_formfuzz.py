"""Whatever bytes come as a body: never a server error, and never another content than was sent."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cherrypy
from cherrypy.core.entity import Entity
from cherrypy.core.formdata import process_multipart
from cherrypy.core.sizedreader import SizedReader
from cherrypy.http.headers import HeaderMap

CALM = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Pieces that forms are made of, so that chance finds its way deeper than the first line.
PIECES = st.sampled_from(
    [
        b"--XX\r\n",
        b"--XX--",
        b"--XX",
        b"\r\n",
        b"\n",
        b"\r",
        b'Content-Disposition: form-data; name="a"\r\n',
        b'Content-Disposition: form-data; name="a"; filename="f"\r\n',
        b"Content-Disposition: form-data; filename*=utf-8''%ff\r\n",
        b"Content-Type: multipart/mixed; boundary=XX\r\n",
        b"Content-Type: multipart/mixed; boundary=YY\r\n",
        b"Content-Type: application/x-www-form-urlencoded\r\n",
        b"Content-Type: text/plain; charset=utf-16\r\n",
        b"Content-Type: ;\r\n",
        b"Content-Length: -5\r\n",
        b": no name\r\n",
        b" folded\r\n",
        b"--YY\r\n",
        b"--YY--\r\n",
        b"a=1&b=%",
        b"self=1",
        b"\xff\x00",
        b"x" * 1001,
    ]
)
BODIES = st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=20).map(b"".join)
TYPES = st.sampled_from(
    [
        "multipart/form-data; boundary=XX",
        'multipart/form-data; boundary="XX"',
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=XX",
        "multipart/x; boundary=X; boundary=XX",
        "multipart/",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-16",
        "text/plain",
        "/",
        ";",
        ",",
        '"',
    ]
)


class Page:
    """Takes anything."""

    @cherrypy.expose
    def index(self, **params: Any) -> str:
        return "fine"


@CALM
@given(body=BODIES, kind=st.one_of(TYPES, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)))
def test_no_body_is_a_server_error(site: Any, body: bytes, kind: str) -> None:
    """It is served, or it is the client's mistake."""
    if not site.tree.apps:
        site.mount(Page())
    status = site("/", "POST", {"Content-Type": kind, "Content-Length": str(len(body))}, body).status

    assert status in (200, 400, 413)


@CALM
@given(query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_no_query_is_a_server_error(site: Any, query: str) -> None:
    """It is served, or there is no such page."""
    if not site.tree.apps:
        site.mount(Page())

    assert site(f"/?{query}").status in (200, 404)


@CALM
@given(
    contents=st.lists(
        st.lists(st.one_of(st.sampled_from([b"\r", b"\n", b"-", b"--X", b"\r\n--X", b"Y"]), st.binary(max_size=9))).map(
            b"".join
        ),
        min_size=1,
        max_size=5,
    ),
    block=st.sampled_from([1, 2, 7, 65536]),
    end=st.sampled_from([b"--XX--\r\n", b"--XX--", b"--XX--\r\nepilogue"]),
)
def test_content_comes_out_as_it_went_in(contents: list[bytes], block: int, end: bytes) -> None:
    """In whatever pieces the server gives it."""
    contents = [content for content in contents if b"--XX" not in content]

    class Pieces(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(block if size is None or size < 0 else min(size, block))

    body = b"".join(b"--XX\r\n\r\n" + content + b"\r\n" for content in contents) + end
    entity = Entity(
        SizedReader(Pieces(body), len(body), None), HeaderMap({"Content-Type": "multipart/mixed; boundary=XX"})
    )
    process_multipart(entity)

    assert [part.value for part in entity.parts] == contents


@pytest.mark.parametrize("cut", range(1, 90))
def test_a_form_that_is_cut_anywhere_is_400(site: Any, cut: int) -> None:
    """Wherever the client went away."""
    site.mount(Page())
    body = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n--XX\r\nX: y\r\n\r\nother\r\n--XX--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=XX", "Content-Length": str(len(body))}

    assert site("/", "POST", headers, body[: min(cut, len(body) - 1)]).status == 400
