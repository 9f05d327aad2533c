"""Multipart bodies, whole and in small pieces."""

from __future__ import annotations

import io
from typing import Any

import pytest

import cherrypy
from cherrypy.core.entity import Entity
from cherrypy.core.formdata import Part, process_multipart, process_multipart_form_data
from cherrypy.core.sizedreader import SizedReader
from cherrypy.http.headers import HeaderMap

BODY = (
    b"preamble for humans\r\n"
    b'--XX\r\nContent-Disposition: form-data; name="text"\r\n\r\nvalue one\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="text"\r\n\r\nvalue two\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n--X\r\n\r\n--XXno boundary\r\n\n\r\n"
    b"--XX--\r\nepilogue"
)


class Dribble(io.BytesIO):
    """Gives at most one byte for each read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return one byte."""
        return super().read(1 if size is None or size < 0 else min(size, 1))


def parse(body: bytes, kind: Any = io.BytesIO, boundary: str = "XX", length: bool = True) -> Entity:
    """Parse *body* as multipart/form-data."""
    headers = HeaderMap({"Content-Type": f"multipart/form-data; boundary={boundary}"})
    entity = Entity(SizedReader(kind(body), len(body) if length else None, None), headers)
    process_multipart_form_data(entity)
    return entity


@pytest.mark.parametrize("kind", [io.BytesIO, Dribble])
@pytest.mark.parametrize("length", [True, False])
def test_fields_become_text_and_files_stay_parts(kind: Any, length: bool) -> None:
    """However the bytes arrive."""
    entity = parse(BODY, kind, length=length)

    assert entity.params["text"] == ["value one", "value two"]
    assert entity.params["file"].filename == "a.bin"
    assert entity.params["file"].file.read() == b"--X\r\n\r\n--XXno boundary\r\n\n"


def test_an_empty_part() -> None:
    """The boundary may follow the head at once."""
    body = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--XX--\r\n'

    assert parse(body).params == {"a": ""}


def test_the_last_line_end_may_be_missing() -> None:
    """Flash sent it so."""
    body = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--XX--'

    assert parse(body).params == {"a": "b"}


def test_a_large_field_goes_to_a_file() -> None:
    """Beyond maxrambytes nothing is held in memory; the value is the same."""
    body = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 300_000 + b"\r\n--XX--\r\n"
    headers = HeaderMap({"Content-Type": "multipart/form-data; boundary=XX"})
    entity = Entity(SizedReader(io.BytesIO(body), len(body), None), headers)
    process_multipart(entity)

    assert entity.parts[0].value is None
    assert len(entity.parts[0].file.read()) == 300_000


def test_nested_multipart() -> None:
    """A part may be multipart itself; the outer one goes on behind it."""
    inner = b"--YY\r\nContent-Type: text/plain\r\n\r\ndeep\r\n--YY--\r\n"
    body = (
        b"--XX\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n" + inner + b"\r\n"
        b'--XX\r\nContent-Disposition: form-data; name="after"\r\n\r\nseen\r\n--XX--\r\n'
    )
    entity = parse(body)

    assert entity.parts[0].parts[0].fullvalue() == "deep"
    assert entity.params["after"] == "seen"


@pytest.mark.parametrize(
    "body",
    [
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nnever ends',
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\n',
        b"--XX\r\nno header line\r\n\r\nx\r\n--XX--\r\n",
        b'--XX\nContent-Disposition: form-data; name="a"\n\nx\r\n--XX--\r\n',
    ],
)
def test_what_is_malformed_is_400(body: bytes) -> None:
    """Never a 500."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        parse(body, length=False)

    assert caught.value.code == 400


@pytest.mark.parametrize("boundary", ["", "bäd", "x" * 300])
def test_an_impossible_boundary_is_400(boundary: str) -> None:
    """It is checked before anything is read."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        parse(BODY, boundary=boundary)

    assert caught.value.code == 400


def test_an_upload_reaches_the_page(site: Any) -> None:
    """Through the whole request, with an encoded file name."""

    class Upload:
        @cherrypy.expose
        def index(self, file: Part, note: str) -> str:
            return f"{file.filename} {file.content_type} {file.file.read()!r} {note}"

    site.mount(Upload())
    body = (
        b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''caf%C3%A9.txt\r\n"
        b'Content-Type: text/plain\r\n\r\ncontent\r\n--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
        b"--XX--\r\n"
    )
    reply = site("/", "POST", {"Content-Type": 'multipart/form-data; boundary="XX"'}, body)

    assert reply.body.decode() == "café.txt text/plain b'content' hi"
