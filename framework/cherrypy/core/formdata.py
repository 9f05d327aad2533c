"""Multipart bodies: cut at their boundaries block by block, large parts into temporary files.

Law: linear time and bounded memory whatever the client sends. A part is held in memory up to ``Part.maxrambytes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cherrypy.core.entity import Entity, RequestBody, add_values, default_processors, request_processors
from cherrypy.core.errors import HTTPError
from cherrypy.core.sizedreader import SizedReader
from cherrypy.http.headers import HeaderMap

_BOUNDARY = re.compile(r"[ -~]{0,200}[!-~]")
_LINE_LIMIT = 65536
_HEAD_LIMIT = 65536
_BLOCK = 65536


class Part(Entity):
    """One part of a multipart body.

    Attributes:
        value: the content in bytes, if it is small and no file.
        file: the content as an open file, if it is large or was sent with a file name.
        boundary: the boundary line, with its two leading dashes.
        maxrambytes: a part without a file name goes to a file beyond this.
        is_last: the closing boundary followed this part.
    """

    attempt_charsets = ["us-ascii", "utf-8"]
    boundary: Any = None
    default_content_type = "text/plain"
    maxrambytes = 1000
    is_last = False
    is_read = False

    def __init__(self, fp: Any, headers: Any, boundary: str) -> None:
        super().__init__(fp, headers)
        self.boundary = boundary
        self.file = None
        self.value = None

    @classmethod
    def from_fp(cls, fp: Any, boundary: str) -> Part:
        """Read the head of a part from *fp*, which stands behind a boundary line."""
        return cls(fp, cls.read_headers(fp), boundary)

    @classmethod
    def read_headers(cls, fp: Any) -> HeaderMap:
        """Read header lines up to the empty one.

        Raises:
            EOFError: the body ends inside the head.
            ValueError: a line does not end in CRLF, or is no header.
        """
        headers = HeaderMap()
        name = None
        size = 0
        while True:
            line: bytes = fp.readline(_LINE_LIMIT)
            size += len(line)
            if not line:
                raise EOFError("Illegal end of headers.")
            if line == b"\r\n":
                return headers
            if not line.endswith(b"\r\n") or size > _HEAD_LIMIT:
                raise ValueError(f"MIME requires CRLF terminators: {line[:80]!r}")
            text = line.decode("ISO-8859-1")
            if text[0] in " \t" and name is not None:
                headers[name] = f"{headers[name]} {text.strip()}"
                continue
            name, colon, value = text.partition(":")
            if not colon:
                raise ValueError(f"Illegal header line: {line[:80]!r}")
            name, value = name.strip(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value

    def read_lines_to_boundary(self, fp_out: Any = None) -> Any:
        """Read the content up to the next boundary line.

        Returns:
            *fp_out*, rewound, if it was given; else the content in bytes, or beyond ``maxrambytes`` a file of it.

        Raises:
            EOFError: the body ends before the boundary.
        """
        sink = _Sink(self, fp_out)
        marker = b"--" + _bytes(self.boundary)
        reader = self.fp if isinstance(self.fp, SizedReader) else SizedReader(self.fp, None, None)
        self.is_last = _copy_to_boundary(reader, marker, sink.write)
        self.is_read = True
        return sink.result()

    def default_proc(self) -> None:
        """Keep the content: in a file if it has a file name or is large, else in ``value``."""
        if self.filename:
            self.file = self.read_into_file()
            return
        result = self.read_lines_to_boundary()
        if isinstance(result, bytes):
            self.value = result
        else:
            self.file = result

    def read_into_file(self, fp_out: Any = None) -> Any:
        """Read the content into *fp_out*, or a file from ``make_file``; returns the file, rewound."""
        if fp_out is None:
            fp_out = self.make_file()
        self.read_lines_to_boundary(fp_out=fp_out)
        return fp_out

    def read_all(self) -> bytes:
        """Read the content of this part as bytes."""
        result = self.read_lines_to_boundary()
        if isinstance(result, bytes):
            return result
        data: bytes = result.read()
        return data


Entity.part_class = Part


class _Sink:
    """Takes the content of a part: into a given file, or memory first and a file of the part's making later."""

    def __init__(self, part: Part, fp_out: Any) -> None:
        self.part = part
        self.file = fp_out
        self.chunks: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> None:
        if self.file is not None:
            self.file.write(data)
            return
        self.chunks.append(data)
        self.size += len(data)
        if self.size > self.part.maxrambytes:
            self.file = self.part.make_file()
            self.file.write(b"".join(self.chunks))
            self.chunks = []

    def result(self) -> Any:
        if self.file is None:
            return b"".join(self.chunks)
        self.file.seek(0)
        return self.file


def _bytes(boundary: str | bytes) -> bytes:
    return boundary if isinstance(boundary, bytes) else boundary.encode("ISO-8859-1")


def _copy_to_boundary(reader: SizedReader, marker: bytes, write: Callable[[bytes], None]) -> bool:
    """Give *write* everything before the next line that is *marker*; True if that line closes the multipart body.

    The line end before the boundary belongs to the boundary (RFC 2046, 5.1.1).
    """
    delimiter = b"\n" + marker
    # The content may begin with the boundary: a line end is put before it, and not written.
    data, skip, search = b"\n", 1, 0
    while True:
        at = data.find(delimiter, search)
        if at >= 0:
            line_end = data.find(b"\n", at + len(delimiter))
            tail = data[at + len(delimiter) : line_end + 1 if line_end >= 0 else None]
            if line_end >= 0 or len(tail) > 256:
                if _is_boundary_end(tail):
                    write(_before(data, skip, at))
                    reader.unread(data[line_end + 1 :])
                    return b"--" in tail
                search = at + 1
                continue
        more = reader._next_block(_BLOCK)
        if not more:
            if at >= 0 and _is_boundary_end(tail):
                # COMPAT: Flash sends no line end after the last boundary
                write(_before(data, skip, at))
                return True
            raise EOFError("Illegal end of multipart body.")
        if at < 0:
            # what cannot be the beginning of a boundary (with the CR before it) is content
            keep = max(skip, len(data) - len(delimiter) - 1)
            if keep > skip:
                write(data[skip:keep])
                data, skip = data[keep:], 0
            data += more
            search = 0
        else:
            data += more
            search = at


def _is_boundary_end(tail: bytes) -> bool:
    return tail.strip(b" \t\r\n") in (b"", b"--")


def _before(data: bytes, start: int, line_feed: int) -> bytes:
    """The content in *data* from *start* to the boundary whose preceding LF is at *line_feed*."""
    end = line_feed - 1 if line_feed > start and data[line_feed - 1] == 0x0D else line_feed
    return data[start:end] if end > start else b""


def process_multipart(entity: Any) -> None:
    """Read all parts of a multipart body into ``entity.parts``.

    Raises:
        HTTPError: 400 when there is no valid boundary, or the body breaks off.
    """
    boundary = entity.content_type.params.get("boundary", "").strip('"')
    if not _BOUNDARY.fullmatch(boundary):
        raise HTTPError(400, f"Invalid boundary in multipart form: {boundary!r}")
    marker = ("--" + boundary).encode("ISO-8859-1")
    # The preamble: whatever stands before the first boundary is for the eyes of humans.
    while True:
        line = entity.readline(_LINE_LIMIT)
        if not line:
            return
        if line.strip() == marker:
            break
    try:
        _read_parts(entity, boundary)
    except (EOFError, ValueError) as error:
        raise HTTPError(400, str(error)) from error


def _read_parts(entity: Any, boundary: str) -> None:
    while True:
        part = entity.part_class.from_fp(entity.fp, boundary)
        entity.parts.append(part)
        part.process()
        if not part.is_read:
            # its processor took less than the part, or it is a multipart body itself: go on behind it
            is_multipart = bool(part.parts)
            part.read_lines_to_boundary(fp_out=None if is_multipart else _Discard())
        if part.is_last:
            return


class _Discard:
    """A file that forgets what is written to it."""

    def write(self, data: bytes) -> None:
        """Forget *data*."""

    def seek(self, position: int) -> None:
        """Stay where it is."""


def process_multipart_form_data(entity: Any) -> None:
    """Read ``multipart/form-data``: named parts become parameters, text or (with a file name) the part itself."""
    process_multipart(entity)
    unnamed = []
    for part in entity.parts:
        if part.name is None:
            unnamed.append(part)
        else:
            add_values(entity.params, part.name, part.fullvalue() if part.filename is None else part)
    entity.parts = unnamed


def _old_process_multipart(entity: Any) -> None:
    """Read any other multipart body as CherryPy 3.1 did: parts without a name become the parameter 'parts'."""
    process_multipart(entity)
    for part in entity.parts:
        name = "parts" if part.name is None else part.name
        add_values(entity.params, name, part.fullvalue() if part.filename is None else part)


default_processors["multipart/form-data"] = process_multipart_form_data
default_processors["multipart"] = process_multipart
request_processors["multipart"] = _old_process_multipart

__all__ = ["Part", "RequestBody", "process_multipart", "process_multipart_form_data"]
