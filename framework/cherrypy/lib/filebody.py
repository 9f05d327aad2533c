"""The body that is a file: all of it, a slice, or several slices in multipart/byteranges.

Source: RFC 9110 section 14.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.http.dates import parse_date
from cherrypy.http.etags import is_weak
from cherrypy.http.ranges import get_ranges
from cherrypy.lib import file_generator, file_generator_limited


def make_boundary() -> str:
    """A line that does not occur in any file."""
    return f"==============={secrets.token_hex(16)}=="


class FileBody(file_generator):
    """A body that is *count* bytes of a file from *offset* on.

    Servers that know how may send it without reading it: ``input`` is the file.
    """

    def __init__(self, input: Any, offset: int, count: int, chunkSize: int = 65536) -> None:
        super().__init__(input, chunkSize)
        self.offset = offset
        self.count = count
        self._remaining = count

    def __iter__(self) -> FileBody:
        return self

    def __next__(self) -> bytes:
        chunk: bytes = self.input.read(min(self.chunkSize, self._remaining)) if self._remaining else b""
        if not chunk:
            self.close()
            raise StopIteration
        self._remaining -= len(chunk)
        return chunk


class RangesBody(file_generator):
    """A body that is several slices of a file in multipart/byteranges; ``close`` closes the file, begun or not.

    Args:
        input: the file.
        heads: what comes before each slice.
        slices: (offset, count) of each.
        tail: what comes after the last.
    """

    def __init__(self, input: Any, heads: list[bytes], slices: list[tuple[int, int]], tail: bytes) -> None:
        super().__init__(input)
        self._pieces = self._read(heads, slices, tail)

    def __iter__(self) -> RangesBody:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self.close()
            raise

    def _read(self, heads: list[bytes], slices: list[tuple[int, int]], tail: bytes) -> Iterator[bytes]:
        for head, (offset, count) in zip(heads, slices, strict=True):
            yield head
            self.input.seek(offset)
            yield from file_generator_limited(self.input, count, self.chunkSize)
        yield tail


def remaining_length(fileobj: Any, size: int | None = None) -> int | None:
    """How many bytes *fileobj* has from its position on; None when it cannot say."""
    try:
        position: int = fileobj.tell()
        if size is None:
            size = fileobj.seek(0, os.SEEK_END)
            fileobj.seek(position)
    except (AttributeError, OSError, ValueError):
        return size
    return None if not isinstance(size, int) else max(size - position, 0)


def _serve_fileobj(fileobj: Any, content_type: str | None, content_length: int | None, debug: bool = False) -> Any:
    """Make the body: all of the file, a slice of it, or several in multipart/byteranges."""
    request, response = serving.request, serving.response
    headers = response.headers
    if content_length is None:
        # its end is not known: no ranges, no length
        response.body = file_generator(fileobj)
        return response.body
    if request.protocol >= (1, 1):
        headers["Accept-Ranges"] = "bytes"
        ranges = _wanted_ranges(request, response, content_length)
        if ranges == []:
            headers["Content-Range"] = f"bytes */{content_length}"
            raise HTTPError(416, "Invalid Range (first-byte-pos greater than Content-Length)")
        if ranges:
            if debug:
                log(f"ranges: {ranges}", "TOOLS.STATIC")
            return _serve_ranges(response, fileobj, ranges, content_type, content_length)
    headers["Content-Length"] = str(content_length)
    response.body = FileBody(fileobj, _position(fileobj), content_length)
    return response.body


def _position(fileobj: Any) -> int:
    try:
        return int(fileobj.tell())
    except (AttributeError, OSError, ValueError):
        return 0


def _wanted_ranges(request: Any, response: Any, content_length: int) -> list[tuple[int, int]] | None:
    """The ranges to send; None for the whole."""
    # RFC 9110, 14.2: a range is defined for GET alone
    wanted = request.headers.get("Range") if request.method == "GET" else None
    if wanted and _copy_is_current(request.headers.get("If-Range"), response.headers):
        return get_ranges(wanted, content_length)
    return None


def _copy_is_current(if_range: str | None, headers: Any) -> bool:
    """True unless If-Range names another version of the file than the one served (RFC 9110, 13.1.5)."""
    if not if_range:
        return True
    if '"' in if_range:
        return not is_weak(if_range) and if_range.strip() == headers.get("ETag")
    moment = parse_date(if_range)
    if moment is None or moment != parse_date(headers.get("Last-Modified")):
        return False
    # RFC 9110, 8.8.2.2: within the second in which it was written a file may change again, unseen in its date
    return bool(serving.response.time - moment >= 1)


def _serve_ranges(
    response: Any, fileobj: Any, ranges: list[tuple[int, int]], content_type: str | None, content_length: int
) -> Any:
    headers = response.headers
    response.status = "206 Partial Content"
    base = _position(fileobj)
    if len(ranges) == 1:
        start, stop = ranges[0]
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content_length}"
        headers["Content-Length"] = str(stop - start)
        fileobj.seek(base + start)
        response.body = FileBody(fileobj, base + start, stop - start)
        return response.body
    boundary = make_boundary()
    kind = content_type or headers.get("Content-Type", "application/octet-stream")
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    heads = [
        f"\r\n--{boundary}\r\nContent-type: {kind}\r\nContent-range: bytes {start}-{stop - 1}/{content_length}"
        "\r\n\r\n".encode()
        for start, stop in ranges
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()
    slices = [(base + start, stop - start) for start, stop in ranges]
    headers["Content-Length"] = str(sum(map(len, heads)) + sum(count for _, count in slices) + len(tail))
    response.body = RangesBody(fileobj, heads, slices, tail)
    return response.body
