"""A reader that ends where the body does."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.core.sizedreader import DEFAULT_BUFFER_SIZE, SizedReader
from cherrypy.http.bodyerrors import BodyIncomplete, BodyMalformed, BodyTimeout, BodyTooLarge

TEXT = b"one\ntwo\nthree"


def reader(data: bytes = TEXT, length: int | None = None, maxbytes: int | None = None, **more: Any) -> SizedReader:
    """Return a reader over *data* of its length."""
    return SizedReader(io.BytesIO(data), len(data) if length is None else length, maxbytes, **more)


class Failing(io.BytesIO):
    """Raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        """Raise."""
        raise self.error


class MaxSizeExceeded(Exception):
    """What a foreign server raises: (what, limit)."""


def test_it_begins_with_the_documented_attributes() -> None:
    """Nothing read, nothing done."""
    body = reader()

    assert (body.length, body.maxbytes, body.bufsize, body.bytes_read, body.done) == (13, None, 8192, 0, False)
    assert (body.buffer, body.has_trailers, DEFAULT_BUFFER_SIZE) == (b"", False, 8192)


@pytest.mark.parametrize(("size", "expected"), [(None, TEXT), (-1, TEXT), (5, b"one\nt"), (0, b""), (99, TEXT)])
def test_read(size: int | None, expected: bytes) -> None:
    """*size* bytes, or all."""
    assert reader().read(size) == expected


def test_read_goes_on_where_it_stopped() -> None:
    """Whatever it is mixed with."""
    body = reader()

    assert [body.read(2), body.readline(), body.read(3), body.readlines(), body.read()] == [
        b"on",
        b"e\n",
        b"two",
        [b"\n", b"three"],
        b"",
    ]
    assert (body.done, body.bytes_read) == (True, 13)


def test_read_into_a_file() -> None:
    """fp_out gets the bytes, the caller None."""
    out = io.BytesIO()

    assert (reader().read(8, out), out.getvalue()) == (None, b"one\ntwo\n")


@pytest.mark.parametrize("bufsize", [1, 3, 8192])
def test_lines(bufsize: int) -> None:
    """By iteration, however small the pieces are."""
    assert list(reader(bufsize=bufsize)) == [b"one\n", b"two\n", b"three"]


@pytest.mark.parametrize(("hint", "lines"), [(None, 3), (1, 1), (4, 1), (5, 2), (0, 3), (1000, 3)])
def test_readlines_stops_behind_its_hint(hint: int | None, lines: int) -> None:
    """At the end of the line in which it is reached."""
    assert len(reader().readlines(hint)) == lines


def test_a_body_without_length_is_read_to_the_end() -> None:
    """Of whatever the server gives; it ends a chunked body itself."""
    body = SizedReader(io.BytesIO(TEXT), None, None)

    assert (body.read(), body.done) == (TEXT, True)


@pytest.mark.parametrize("read", [SizedReader.read, SizedReader.readline, SizedReader.readlines])
def test_more_than_maxbytes_is_413(read: Any) -> None:
    """By whatever method it is read; 0 is no limit."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        read(reader(b"x" * 11, maxbytes=10))

    assert caught.value.code == 413
    assert reader(b"x" * 11, maxbytes=0).read() == b"x" * 11


def test_an_incomplete_body_raises_each_time_it_is_asked() -> None:
    """It never looks complete, also not to who asks again."""
    body = reader(b"abc", length=5)

    for _ in range(2):
        with pytest.raises(cherrypy.HTTPError) as caught:
            body.read()
        assert caught.value.code == 400
    assert not body.done


@pytest.mark.parametrize(
    ("error", "status"),
    [(BodyTooLarge("x"), 413), (BodyTimeout("x"), 408), (BodyMalformed("x"), 400), (BodyIncomplete("x"), 400)],
)
def test_the_servers_errors_are_answers(error: Exception, status: int) -> None:
    """The framework knows their names."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        SizedReader(Failing(error), 5, None).readline()

    assert caught.value.code == status


def test_the_limit_of_a_foreign_server_is_413_and_told() -> None:
    """An exception named MaxSizeExceeded has the limit as its second argument."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        SizedReader(Failing(MaxSizeExceeded("too large", 1234)), 5, None).read()

    assert (caught.value.code, caught.value._message) == (413, "Maximum request length: 1234")


def test_other_errors_pass() -> None:
    """Nobody knows what they mean."""
    with pytest.raises(OSError, match="disk"):
        SizedReader(Failing(OSError("disk")), 5, None).read()


def test_trailers_of_our_server() -> None:
    """Pairs of bytes, there when the body is read; repeated ones are joined."""
    source: Any = io.BytesIO(TEXT)

    class Trailed:
        read = source.read
        trailers = [(b"x-sum", b" 1 "), (b"X-Sum", b"2")]

    body = SizedReader(Trailed(), None, None, has_trailers=True)
    before = dict(body.trailers)
    body.read()

    assert (before, body.trailers) == ({}, {"X-Sum": "1, 2"})


def test_trailers_of_a_foreign_server() -> None:
    """It gives lines."""
    source: Any = io.BytesIO(TEXT)

    class Trailed:
        read = source.read

        def read_trailer_lines(self) -> list[bytes]:
            return [b"Content-Type: text/plain\r\n", b"\r\n"]

    body = SizedReader(Trailed(), None, None, has_trailers=True)
    body.read()

    assert body.trailers == {"Content-Type": "text/plain"}


def test_a_broken_trailer_of_a_foreign_server_is_413() -> None:
    """The same error as in its body."""

    class Trailed(io.BytesIO):
        def read_trailer_lines(self) -> list[bytes]:
            raise MaxSizeExceeded("", 1)

    with pytest.raises(cherrypy.HTTPError) as caught:
        SizedReader(Trailed(b""), None, None, has_trailers=True).read()

    assert caught.value.code == 413


def test_finish_comes_once() -> None:
    """However often the end is seen."""
    calls = []

    class Trailed(io.BytesIO):
        def read_trailer_lines(self) -> list[bytes]:
            calls.append(1)
            return []

    body = SizedReader(Trailed(b"x"), 1, None, has_trailers=True)
    body.read()
    body.read()
    body.finish()

    assert calls == [1]


@pytest.mark.parametrize("take", [SizedReader.readline, lambda reader: reader.read(1)])
def test_small_reads_of_a_large_buffer_cost_linear_time(take: Any) -> None:
    """What stays is not copied: 300,000 lines or bytes, one by one, would take ten seconds."""
    body = reader(b"")
    body.unread(b"\n" * 300_000)
    before = time.process_time()
    count = 0
    while take(body):
        count += 1

    assert count == 300_000
    assert time.process_time() - before < 3


def test_what_was_given_back_comes_first() -> None:
    """``buffer`` shows what nobody has read yet."""
    body = reader()
    line = body.readline()
    body.unread(line)

    assert (body.buffer, body.read(5), body.buffer) == (TEXT, b"one\nt", b"wo\nthree")


class Asked(io.BytesIO):
    """Remembers how much it was asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.sizes: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        """Note *size*."""
        self.sizes.append(-1 if size is None else size)
        return super().read(size)


@pytest.mark.parametrize("size", [None, 4_000_000])
def test_much_is_asked_for_at_once(size: int | None) -> None:
    """Servers that copy what is left with every read do so once; what comes in one piece is not copied again."""
    fp = Asked(b"x" * 4_000_000)
    body = SizedReader(fp, 4_000_000, None)

    assert body.read(size) is fp.getvalue()
    assert fp.sizes == [4_000_000]


def test_a_length_is_not_taken_for_memory() -> None:
    """Nobody asks for a terabyte because a client says so, nor for more than a part of what goes to a file."""
    fp = Asked(b"x" * 3_000_000)
    with pytest.raises(cherrypy.HTTPError):
        SizedReader(fp, 1 << 40, None).read()
    whole = fp.sizes
    fp.sizes = []
    fp.seek(0)
    SizedReader(fp, 3_000_000, None).read(fp_out=io.BytesIO())

    assert max(whole) == 16 << 20
    assert fp.sizes == [1 << 20, 1 << 20, 3_000_000 - (2 << 20)]


def test_it_reads_ahead_if_told_to() -> None:
    """Small pieces come out of large ones, lines as well; the end and the count are those of the body."""
    fp = Asked(b"ab\n" * 40)
    body = SizedReader(fp, 100, None)
    body.ahead_bytes = 64
    first, line, more, rest = body.read(1), body.readline(), body.read(60), body.read()

    assert (first, line) == (b"a", b"b\n")
    assert first + line + more + rest == fp.getvalue()[:100]
    assert (len(more), fp.sizes) == (60, [64, 36])
    assert (body.done, body.read(), body.bytes_read) == (True, b"", 100)


@pytest.mark.parametrize("ahead", [0, 64])
@pytest.mark.parametrize("length", [None, 90])
def test_nothing_is_read_far_beyond_the_limit(length: int | None, ahead: int) -> None:
    """One octet more than the limit is enough to know."""
    fp = Asked(b"x" * 1000)
    body = SizedReader(fp, length, 50)
    body.ahead_bytes = ahead

    with pytest.raises(cherrypy.HTTPError) as refused:
        body.read()
    assert refused.value.status == 413
    assert fp.tell() <= 51


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_whole_body_comes_in_pieces_or_at_once(step: int) -> None:
    """However much the stream below gives at a time; and what follows the body stays there."""
    stream = io.BytesIO(b"0123456789next")
    short = SimpleNamespace(read=lambda size: stream.read(min(size, step)))
    reader = SizedReader(short, 10, None)

    assert (reader.read(), reader.read(), reader.done) == (b"0123456789", b"", True)
    assert stream.read() == b"next"
