"""A request body that ends where its length says, whatever the stream below does."""

from __future__ import annotations

from typing import Any

from cherrypy.core.errors import HTTPError
from cherrypy.http.bodyerrors import BodyError

DEFAULT_BUFFER_SIZE = 8192
# PERF: gunicorn receives 1 MiB at a time and copies what is left of that with every read (1 MiB of upload: 4.7 ms of
# processor time by reads of 64 KiB, 1.3 ms by one).
_BLOCK = 1048576
# What is going to be in memory in any case. PERF: the native server gives out a whole body without copying it.
_WHOLE = 16777216


class SizedReader:
    """A bounded, buffered reader over *fp*.

    Args:
        fp: readable in bytes; may raise ``BodyError``, or a foreign server's ``MaxSizeExceeded``.
        length: bytes to read, None to read to the end.
        maxbytes: more than this answers 413; None or 0 for no limit.
        bufsize: how much to ask *fp* for at a time when reading lines.
        has_trailers: *fp* offers ``read_trailer_lines`` (or ``trailers``) at its end.

    Attributes:
        ahead_bytes: ask *fp* for as much at a time, however small the pieces are that are read here: for bodies that
            are read to their end in any case.
        bytes_read: bytes of *fp* that were read so far, or are in ``buffer``.
        done: the end was reached.
        trailers: {name: value} of the chunked body's trailer section, once done.
        allowance: what the body's parts may use; see ``bodylimits``.
    """

    allowance: Any = None

    def __init__(
        self,
        fp: Any,
        length: int | None,
        maxbytes: int | None,
        bufsize: int = DEFAULT_BUFFER_SIZE,
        has_trailers: bool = False,
    ) -> None:
        self.fp = fp
        self.length = length
        self.maxbytes = maxbytes
        # what was given out by fp and not read yet: _data from _at on
        self._data = b""
        self._at = 0
        # what was given out ahead of that: _ahead from _ahead_at on
        self._ahead = b""
        self._ahead_at = 0
        self.ahead_bytes = 0
        self.bufsize = bufsize
        self.bytes_read = 0
        self.done = False
        self.has_trailers = has_trailers
        self.trailers: dict[str, str] = {}

    @property
    def buffer(self) -> bytes:
        """What was given back, or is left of a piece of *fp* of which a part was read."""
        return self._data[self._at :]

    def read(self, size: int | None = None, fp_out: Any = None) -> bytes | None:
        """Read *size* bytes, or all; with *fp_out* write them there and return None.

        Raises:
            HTTPError: 413 beyond the limit, 400 or 408 when the client breaks off or stalls.
        """
        chunks: list[bytes] = []
        length = self.length
        if (
            size is None
            and fp_out is None
            and length is not None
            and 0 < length <= _WHOLE
            and not (self.bytes_read or self._data or self.maxbytes or self.done)
        ):
            # PERF: a whole body, by one call: 2.1 -> 1.5 us
            data = self._from_fp(length)
            self.bytes_read = len(data)
            if self.bytes_read == length:
                self.finish()
                return data
            chunks.append(data)
        remaining = -1 if size is None or size < 0 else size
        put = chunks.append if fp_out is None else fp_out.write
        most = _WHOLE if fp_out is None else _BLOCK
        while remaining:
            end = self._at + remaining
            if remaining > 0 and end <= len(self._data):
                # PERF: without copying what stays, or many small reads take quadratic time
                put(self._data[self._at : end])
                self._at = end
                break
            data = self._next_block(most if remaining < 0 else min(remaining, most))
            if not data:
                break
            if 0 < remaining < len(data):
                self._data, self._at = data, remaining
                data = data[:remaining]
            remaining -= len(data) if remaining > 0 else 0
            put(data)
        return b"".join(chunks) if fp_out is None else None

    def readline(self, size: int | None = None) -> bytes:
        """Read to the next LF, but at most *size* bytes."""
        limit = -1 if size is None or size < 0 else size
        at = self._at
        end = self._data.find(b"\n", at) + 1
        if end and (limit < 0 or end - at <= limit):
            # PERF: likewise
            self._at = end
            return self._data[at:end]
        chunks: list[bytes] = []
        while limit:
            data = self._next_block(self.bufsize)
            if not data:
                break
            end = data.find(b"\n") + 1
            cut = end or len(data)
            if 0 < limit < cut:
                cut, end = limit, limit
            if cut < len(data):
                self._data, self._at = data, cut
                data = data[:cut]
            chunks.append(data)
            if limit > 0:
                limit -= cut
            if end:
                break
        return b"".join(chunks)

    def readlines(self, sizehint: int | None = None) -> list[bytes]:
        """Read lines until the end, or until *sizehint* bytes are exceeded."""
        if self.length is not None:
            sizehint = min(sizehint or self.length, self.length - self.bytes_read + len(self._data) - self._at)
        lines = []
        seen = 0
        while line := self.readline():
            lines.append(line)
            seen += len(line)
            if sizehint is not None and seen >= sizehint:
                break
        return lines

    def __iter__(self) -> SizedReader:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def unread(self, data: bytes) -> None:
        """Give back *data*, the last bytes that were read: they come first again."""
        self._data, self._at = data + self._data[self._at :], 0

    def _next_block(self, wanted: int) -> bytes:
        """Return what is buffered, else the next piece of *fp*, b'' at the end."""
        if self._at < len(self._data):
            data = self._data[self._at :]
            self._data, self._at = b"", 0
            return data
        if self.done:
            return b""
        if self.length is not None:
            wanted = min(wanted, self.length - self.bytes_read)
        data = self._take(wanted) if wanted > 0 else b""
        if not data:
            if self.length is not None and self.bytes_read < self.length:
                # RFC 9112, 8: an incomplete body must not look like a complete one
                raise HTTPError(400, "The request body is shorter than its Content-Length.")
            self.finish()
            return b""
        self.bytes_read += len(data)
        if self.maxbytes and self.bytes_read > self.maxbytes:
            raise HTTPError(413)
        return data

    def _take(self, size: int) -> bytes:
        """Return the next *size* bytes, or fewer, b'' at the end; of what was read ahead, as long as there is some."""
        at = self._ahead_at
        if at >= len(self._ahead):
            bounds = [max(size, self.ahead_bytes)]
            if self.length is not None:
                bounds.append(self.length - self.bytes_read)
            if self.maxbytes:
                bounds.append(max(self.maxbytes - self.bytes_read, 0) + 1)
            data = self._from_fp(min(bounds))
            if len(data) <= size:
                return data
            self._ahead, at = data, 0
        self._ahead_at = at + size
        return self._ahead[at : at + size]

    def _from_fp(self, size: int) -> bytes:
        try:
            data: bytes = self.fp.read(size)
        except Exception as error:
            raise_for_body(error)
            raise
        return data

    def finish(self) -> None:
        """Note that the end was reached; read the trailers if there are any."""
        if self.done:
            return
        self.done = True
        if not self.has_trailers:
            return
        trailers = getattr(self.fp, "trailers", None)
        if trailers is not None:
            self._take_trailers(trailers)
        elif hasattr(self.fp, "read_trailer_lines"):
            try:
                lines = list(self.fp.read_trailer_lines())
            except Exception as error:
                raise_for_body(error)
                raise
            self._take_trailers(line.split(b":", 1) for line in lines if b":" in line)

    def _take_trailers(self, pairs: Any) -> None:
        for name, value in pairs.items() if hasattr(pairs, "items") else pairs:
            key, text = (part.decode("ISO-8859-1") if isinstance(part, bytes) else str(part) for part in (name, value))
            key, text = key.strip().title(), text.strip()
            self.trailers[key] = f"{self.trailers[key]}, {text}" if key in self.trailers else text


def raise_for_body(error: BaseException) -> None:
    """Turn a server's error while reading a body into the HTTPError it means; other errors are left alone."""
    if isinstance(error, BodyError):
        raise HTTPError(error.status, str(error) or None) from error
    # COMPAT: cheroot's, by name, since this package does not import it; its second argument is the limit
    if type(error).__name__ == "MaxSizeExceeded":
        limit = error.args[1] if len(error.args) > 1 else None
        raise HTTPError(413, f"Maximum request length: {limit!r}") from error
