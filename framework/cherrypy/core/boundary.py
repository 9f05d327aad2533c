"""Cutting a stream at boundary lines, block by block.

Law: linear time and bounded memory whatever the client sends: a block is searched once, and what cannot be the
beginning of a boundary is handed on at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cherrypy.core.sizedreader import SizedReader

# PERF: what stands behind a boundary is copied once for each part, so a block is not as large as could be
_BLOCK = 16384
# Blanks that may follow a boundary in its line.
_PADDING_LIMIT = 256


def copy_to_boundary(reader: SizedReader, marker: bytes, write: Callable[[bytes], Any]) -> bool:
    """Give *write* everything before the next line that is *marker*; True if that line closes the multipart body.

    The line end before the boundary belongs to the boundary (RFC 2046, 5.1.1).

    Raises:
        EOFError: there is no such line.
    """
    delimiter = b"\n" + marker
    # The content may begin with the boundary: a line end is put before it, and not written.
    data, skip, search = b"\n", 1, 0
    while True:
        at = data.find(delimiter, search)
        if at >= 0:
            line_end = data.find(b"\n", at + len(delimiter), at + len(delimiter) + _PADDING_LIMIT)
            tail = data[at + len(delimiter) : line_end + 1 if line_end >= 0 else at + len(delimiter) + _PADDING_LIMIT]
            if line_end >= 0 or len(tail) == _PADDING_LIMIT:
                if line_end >= 0 and _is_boundary_end(tail):
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
            search = 0
        else:
            search = at
        data += more


def skip_preamble(reader: SizedReader, marker: bytes) -> bool:
    """Read up to the first boundary line, past the words for humans before it; False if there are no parts.

    Raises:
        EOFError: the body has something in it, but no boundary.
    """
    try:
        return not copy_to_boundary(reader, marker, len)
    except EOFError:
        if reader.bytes_read == 0:
            return False
        raise EOFError("The multipart body has no boundary line.") from None


def discard_rest(reader: Any) -> None:
    """Read to the end: what comes after the last boundary is of no meaning, but a body that breaks off is an error."""
    while reader.read(_BLOCK):
        pass


def _is_boundary_end(tail: bytes) -> bool:
    return tail.strip(b" \t\r\n") in (b"", b"--")


def _before(data: bytes, start: int, line_feed: int) -> bytes:
    """The content in *data* from *start* to the boundary whose preceding LF is at *line_feed*."""
    end = line_feed - 1 if line_feed > start and data[line_feed - 1] == 0x0D else line_feed
    return data[start:end] if end > start else b""
