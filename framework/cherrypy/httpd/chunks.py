"""The chunked coding, taken apart as octets arrive. Pure: fed with bytes, it knows no socket.

One state per question: what is expected next? Every state either consumes or asks for more, so that a body fed octet by
octet gives the same result as a body fed whole.
"""

from __future__ import annotations

from cherrypy.http import grammar
from cherrypy.http.bodyerrors import BodyMalformed, BodyTooLarge
from cherrypy.httpd.limits import Limits

SIZE, DATA, DATA_END, TRAILER, DONE = "size", "data", "data end", "trailer", "done"

#: What a chunk may cost besides its data, octets; with more of it a chunk must be worth it (``_start_chunk``).
_FREE_BYTES = 16
#: How many lines of the greatest length a body may waste.
_WASTED_LINES = 16


class ChunkDecoder:
    """Decode one chunked body.

    Attributes:
        done: True after the empty line that ends the trailer section.
        decoded_bytes: how much data has come out so far.
        trailers: list of (name, value) pairs; never merged into the header fields.

    Source: RFC 9112 section 7.1.
    """

    __slots__ = ("_buffer", "_limits", "_state", "_todo", "_trailer_bytes", "_wasted", "decoded_bytes", "trailers")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = b""
        self._state = SIZE
        self._todo = 0
        self._trailer_bytes = 0
        self._wasted = 0
        self.decoded_bytes = 0
        self.trailers: list[tuple[bytes, bytes]] = []

    @property
    def done(self) -> bool:
        """True when the body and its trailer section are complete."""
        return self._state is DONE

    def feed(self, data: bytes) -> bytes:
        """Take *data* as received and return what it decodes to, possibly nothing.

        Raises:
            BodyMalformed: the coding breaks its grammar (400).
            BodyTooLarge: the decoded body passes ``limits.body_bytes`` (413).
        """
        buffer = self._buffer + data if self._buffer else data
        position = 0
        out: list[bytes] = []
        while self._state is not DONE:
            if self._state is DATA:
                piece = buffer[position : position + self._todo]
                if not piece:
                    break
                position += len(piece)
                self._todo -= len(piece)
                out.append(piece)
                if self._todo:
                    break
                self._state = DATA_END
            elif self._state is DATA_END:
                if len(buffer) - position < 2:
                    if buffer[position : position + 1] not in (b"", b"\r"):
                        raise BodyMalformed("a chunk is longer than its size says")
                    break
                if buffer[position : position + 2] != b"\r\n":
                    raise BodyMalformed("a chunk is longer than its size says")
                position += 2
                self._state = SIZE
            else:
                line, position = self._take_line(buffer, position)
                if line is None:
                    break
                if self._state is SIZE:
                    self._start_chunk(line)
                else:
                    self._take_trailer(line)
        self._buffer = buffer[position:]
        return b"".join(out)

    def take_rest(self) -> bytes:
        """What was fed beyond the end of the body: the next, pipelined request."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _take_line(self, buffer: bytes, position: int) -> tuple[bytes | None, int]:
        limit = self._limits.chunk_line_bytes if self._state is SIZE else self._limits.trailer_bytes
        end = buffer.find(b"\r\n", position)
        held = (len(buffer) - buffer.endswith(b"\r") if end < 0 else end) - position
        if held > limit:
            raise BodyMalformed("a chunk's first line or a trailer field is too long")
        if end < 0:
            # A bare LF will never become a line end, and a bare CR only as the last octet so far.
            if b"\n" in buffer[position:] or b"\r" in buffer[position:-1]:
                raise BodyMalformed("lines of the chunked coding end in CRLF")
            return None, position
        return buffer[position:end], end + 2

    def _start_chunk(self, line: bytes) -> None:
        size = grammar.parse_chunk_line(line)
        if size is None:
            raise BodyMalformed("malformed chunk size")
        # SECURITY: CVE-2023-39326: a kilobyte of extensions for each octet of data. As in Go, a line may be twice as
        # long as its data.
        self._wasted = max(self._wasted + len(line) - _FREE_BYTES - 2 * size, 0)
        if self._wasted > _WASTED_LINES * self._limits.chunk_line_bytes:
            raise BodyMalformed("too much of the chunked body is no data")
        if size == 0:
            self._state = TRAILER
            return
        self.decoded_bytes += size
        if 0 < self._limits.body_bytes < self.decoded_bytes:
            raise BodyTooLarge("the chunked body is longer than the limit")
        self._todo = size
        self._state = DATA

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self._state = DONE
            return
        self._trailer_bytes += len(line) + 2
        field = grammar.parse_field_line(line)
        if field is None:
            raise BodyMalformed("malformed trailer field")
        self.trailers.append(field)
        if self._trailer_bytes > self._limits.trailer_bytes or len(self.trailers) > self._limits.fields:
            raise BodyMalformed("the trailer section is too long")
