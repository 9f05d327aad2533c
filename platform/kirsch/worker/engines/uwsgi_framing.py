"""What uWSGI's ``http-socket`` leaves out of its answers: the end of the connection, the frames of a body in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

from kirsch.worker.origin import sent_path

Headers = list[tuple[str, str]]


class Framed:
    """A WSGI site around a WSGI site.

    Every answer says ``Connection: close``. A body of unknown length is sent in chunks: without them its end is the
    connection's, and nobody sees that a worker died in the middle of it.

    By the uwsgi protocol each request has a connection of its own, and nginx knows no chunks. The path comes as nginx
    has understood it there, and is made anew from what was sent.
    """

    def __init__(self, site: Callable[..., Iterable[bytes]], protocol: str = "http") -> None:
        self._site = site
        self._is_http = protocol == "http"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        # uWSGI's own knows files that it was given only as they are, and those of others by lines
        environ["wsgi.file_wrapper"] = FileWrapper
        if not self._is_http:
            environ["PATH_INFO"] = sent_path(environ["REQUEST_URI"])
        answer = _Answer(environ, start_response, is_http=self._is_http)
        body = self._site(environ, answer.start_response)
        if isinstance(body, list | tuple):
            return answer.whole(body)
        return _Pieces(answer, body)


class _Answer:
    """One answer; its head goes out when it is known how the body comes."""

    __slots__ = ("_environ", "_headers", "_is_chunked", "_is_http", "_is_out", "_start", "_status", "_write")

    def __init__(self, environ: dict[str, Any], start: Callable[..., Any], *, is_http: bool) -> None:
        self._environ = environ
        self._is_http = is_http
        self._start = start
        self._status = ""
        self._headers: Headers = []
        self._is_out = False
        self._is_chunked = False
        self._write: Callable[[bytes], Any]

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's ``start_response``."""
        if self._is_out and exc_info:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status and not exc_info:
            raise AssertionError("start_response was called twice without exc_info")
        self._status, self._headers = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's ``write``."""
        self.send_head()
        if framed := self.frame(data):
            self._write(framed)

    def whole(self, body: list[bytes] | tuple[bytes, ...]) -> Iterable[bytes]:
        """Return what uWSGI is to send of a body that is all there."""
        if not self._is_out:
            self.send_head(sum(map(len, body)))
            return body if self.has_body() else []
        return [*map(self.frame, body), self.last()]

    def send_head(self, length: int | None = None) -> None:
        """Hand uWSGI the head, with the *length* of the body if it is known."""
        if self._is_out:
            return
        if not self._status:
            raise AssertionError("the application answered before it called start_response")
        self._is_out = True
        names = {name.lower() for name, _ in self._headers}
        headers = [pair for pair in self._headers if pair[0].lower() != "connection"]
        if "content-length" not in names and "transfer-encoding" not in names and self._may_have_body():
            if length is not None:
                headers.append(("Content-Length", str(length)))
            elif self._is_http and self._environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
                headers.append(("Transfer-Encoding", "chunked"))
                self._is_chunked = self._environ["REQUEST_METHOD"] != "HEAD"
        if self._is_http:
            headers.append(("Connection", "close"))
        self._write = self._start(self._status, headers)

    def frame(self, piece: bytes) -> bytes:
        """Return *piece* as it goes out; empty for what does not."""
        if not piece or not self.has_body():
            return b""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece

    def last(self) -> bytes:
        """Return what tells the end of the body."""
        return b"0\r\n\r\n" if self._is_chunked else b""

    def has_body(self) -> bool:
        """True where octets follow the head."""
        return self._environ["REQUEST_METHOD"] != "HEAD" and self._may_have_body()

    def _may_have_body(self) -> bool:
        return self._status[:1] != "1" and self._status[:3] not in ("204", "304")


class _Pieces:
    """A body that comes in pieces."""

    __slots__ = ("_answer", "_body")

    def __init__(self, answer: _Answer, body: Iterable[bytes]) -> None:
        self._answer = answer
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        answer = self._answer
        for piece in self._body:
            if piece:
                answer.send_head()
                if not answer.has_body():
                    return
                yield answer.frame(piece)
        answer.send_head(0)
        if end := answer.last():
            yield end

    def close(self) -> None:
        """Close the application's body."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
