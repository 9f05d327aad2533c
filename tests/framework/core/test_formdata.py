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


def test_a_part_begins_with_the_documented_attributes() -> None:
    """The boundary is the whole line in bytes."""
    part = parse(BODY).params["file"]

    assert (Part.attempt_charsets, Part.default_content_type, Part.maxrambytes) == (
        ["us-ascii", "utf-8"],
        "text/plain",
        1000,
    )
    assert (part.boundary, part.value, part.content_type.value) == (b"--XX", None, "application/octet-stream")
    assert isinstance(part.file, io.BufferedRandom)


@pytest.mark.parametrize("boundary", ["--XX", b"--XX"])
def test_a_part_can_be_read_by_itself(boundary: str | bytes) -> None:
    """from_fp reads the head; the content follows."""
    part = Part.from_fp(io.BytesIO(b"X-One: 1\r\n\r\ncontent\r\n--XX\r\nnext"), boundary)

    assert part.headers == {"X-One": "1"}
    assert part.read_lines_to_boundary() == b"content"


def test_the_head_of_a_part() -> None:
    """Folded lines are joined, repeated names too, in any case; blanks are trimmed."""
    head = b"A: 1\r\n B\r\na:2 \r\nContent-type : text/x\r\n\r\nrest"

    assert Part.read_headers(io.BytesIO(head)) == {"A": "1, B, 2", "Content-Type": "text/x"}


@pytest.mark.parametrize("size", [1000, 1001])
def test_a_field_goes_to_a_file_beyond_maxrambytes(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class attribute that applications set; a field is text all the same."""
    monkeypatch.setattr(Part, "maxrambytes", 1000)
    body = b"--XX\r\n\r\n" + b"x" * size + b"\r\n--XX--\r\n"
    part = parse(body).parts[0]

    assert ((part.value is None), (part.file is not None)) == (size > 1000, size > 1000)
    assert part.fullvalue() == "x" * size


@pytest.mark.parametrize("end", [b"--XX--", b"--XX--\n", b"--XX--\r\n", b"--XX-- \t\r\n"])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_what_flash_sends(line_end: bytes, end: bytes) -> None:
    """No line end behind the last boundary; LF alone before one, and in the preamble."""
    body = b'preamble\n--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb' + line_end + end

    assert parse(body).params == {"a": "b"}


@pytest.mark.parametrize("body", [b"", b"--XX--\r\n", b"preamble\r\n--XX--\r\nepilogue"])
def test_a_form_without_fields(body: bytes) -> None:
    """Browsers send one for an empty form."""
    assert parse(body).params == {}


def test_a_body_without_any_boundary_is_400() -> None:
    """It is not an empty form."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        parse(b"a=1&b=2")

    assert (caught.value.code, caught.value._message) == (400, "The multipart body has no boundary line.")


def test_a_boundary_in_the_middle_of_a_long_line_is_none() -> None:
    """However lines are cut for reading."""
    body = b"p" * 65536 + b"--XX\r\n\r\nno\r\n--XX--\r\n"

    assert parse(body).parts == []


@pytest.mark.parametrize(
    "content", [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"-", b"--X", b"\r\n--XX!", b"\r\n--XX" + b" " * 300]
)
@pytest.mark.parametrize("kind", [io.BytesIO, Dribble])
def test_content_that_looks_like_a_boundary_is_kept(content: bytes, kind: Any) -> None:
    """Byte for byte, whole or in single bytes."""
    body = b"--XX\r\n\r\n" + content + b"\r\n--XX--\r\n"

    assert parse(body, kind).parts[0].value == content


@pytest.mark.parametrize("at", range(65536 - 70, 65536 + 6))
def test_a_boundary_may_lie_across_two_blocks(at: int) -> None:
    """Wherever the blocks are cut."""
    content = b"c" * at
    first, second = parse(b"--XX\r\n\r\n" + content + b"\r\n--XX\r\n\r\nsecond\r\n--XX--\r\n").parts

    assert first.file.read() == content
    assert second.value == b"second"


def test_unnamed_parts_stay_parts() -> None:
    """They are in ``parts``; those with a name are not."""
    body = b'--XX\r\n\r\nabc\r\n--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--XX--\r\n'
    entity = parse(body)

    assert [part.fullvalue() for part in entity.parts] == ["abc"]
    assert entity.params == {"a": "x"}


def test_repeated_files_become_a_list() -> None:
    """Mixed with text, if the client likes."""
    piece = b'--XX\r\nContent-Disposition: form-data; name="a"%s\r\n\r\nx\r\n'
    values = parse(piece % b"" + piece % b'; filename="f"' + b"--XX--\r\n").params["a"]

    assert (values[0], values[1].filename) == ("x", "f")


def test_a_file_field_that_was_left_empty_is_a_part() -> None:
    """Browsers send an empty file name; such a part is in memory."""
    part = parse(b'--XX\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n\r\n--XX--\r\n').params["a"]

    assert (part.filename, part.value, part.file) == ("", b"", None)


def test_a_part_in_another_charset() -> None:
    """Its own Content-Type says so."""
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=latin-1\r\n\r\n\xe9\r\n'
        b"--XX--\r\n"
    )

    assert parse(body).params == {"a": "é"}


@pytest.mark.parametrize("head", [b"Content-Type: text/plain; charset=rot13\r\n", b"Content-Type: text/plain\r\n"])
def test_a_part_that_cannot_be_decoded_is_400(head: bytes) -> None:
    """By a charset that is none, or not the right one."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        parse(b'--XX\r\nContent-Disposition: form-data; name="a"\r\n' + head + b"\r\n\xff\r\n--XX--\r\n")

    assert caught.value.code == 400


def test_read_into_a_file_of_the_pages_own() -> None:
    """fp_out gets the content and is rewound; without one make_file is asked."""
    fp = io.BytesIO(b"\r\none\r\n--XX\r\n\r\ntwo\r\n--XX--\r\n")
    reader = SizedReader(fp, None, None)
    out = io.BytesIO()
    first = Part.from_fp(reader, b"--XX").read_into_file(out)
    with Part.from_fp(reader, b"--XX").read_into_file() as second:
        assert (first is out, out.read(), second.read()) == (True, b"one", b"two")
