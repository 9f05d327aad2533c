"""Between a WSGI server of others and the site: health answered first, the environment settled, requests counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cherrypy.http.forwarded import Trust
from cherrypy.wsgi.app import ENTERING
from kirsch.scoreboard import Row
from kirsch.worker.desk import Desks
from kirsch.worker.failures import Failures
from kirsch.worker.health import ASKED_PATHS, answer_health
from kirsch.worker.origin import Environ, settle
from kirsch.worker.voice import Voice
from kirsch.worker.waiting import EVERY_NS, measure_wait

StartResponse = Callable[..., Any]
Site = Callable[[Environ, StartResponse], Iterable[bytes]]

_PIECE_BYTES = 65536
_SERVER_ERROR = 5


class WSGIAccount:
    """The site as a server of others is given it."""

    def __init__(self, site: Site, voice: Voice) -> None:
        self._site = site
        self._voice = voice
        self._desks = Desks(voice.writer, voice.pages)
        self._by_method = voice.pages.by_method
        self._other = voice.pages.other
        self._trust = Trust(voice.order.trusted_proxies)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path in ASKED_PATHS:
            probe = self._voice.probes.get(path)
            if probe is None:
                return self._answer_health(path, start_response)
            probe(environ.get("QUERY_STRING", ""))
        settle(environ, self._trust, self._voice.order.name)
        desk = self._desks.mine
        row = desk.row
        environ[ENTERING] = desk.announce
        method = environ["REQUEST_METHOD"]
        known = desk.known = self._by_method.get(method, self._other)
        line = f"{method} {path}".encode("latin-1", "replace")
        began = row.begin(line, environ.get("HTTP_X_REQUEST_ID", "").encode("latin-1", "replace"), known.nobody)
        if began >= row.next_look:
            row.next_look = began + EVERY_NS
            wait_ns = measure_wait(environ.get("HTTP_X_REQUEST_START", ""))
            if wait_ns is not None:
                row.waited(wait_ns)
        call = _Call(row, began, environ, start_response, self._voice.failures)
        try:
            pieces = self._site(environ, call.start_response)
        except BaseException:
            row.finish(began, _SERVER_ERROR)
            self._voice.failures.take_wsgi(environ, row, began, 500)
            raise
        if pieces.__class__ is list or pieces.__class__ is tuple:
            call.end(sum(map(len, pieces)))
            return pieces
        call.pieces = pieces
        row.sending()
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(pieces, wrapper):
            # the server sends the file by itself if it gets the wrapper itself
            call.close_pieces = getattr(pieces, "close", None)
            pieces.close = call.close  # type: ignore[attr-defined]
            return pieces
        return call

    def _answer_health(self, path: str, start_response: StartResponse) -> list[bytes]:
        status, headers, body = answer_health(self._voice, path)
        pairs = [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]
        start_response(status.decode("ascii"), pairs)
        return [body]


class _Call:
    """One request inside the site; iterate over it for a body that comes in pieces, and close it."""

    __slots__ = (
        "_began",
        "_environ",
        "_failures",
        "_is_over",
        "_length",
        "_row",
        "_start",
        "_status_class",
        "close_pieces",
        "pieces",
    )

    def __init__(
        self, row: Row, began: int, environ: Environ, start_response: StartResponse, failures: Failures
    ) -> None:
        self._row = row
        self._failures = failures
        failures.look_at(environ)
        self._began = began
        self._environ = environ
        self._start = start_response
        self._status_class = _SERVER_ERROR
        self._length = 0
        self._is_over = False
        self.pieces: Iterable[bytes] = ()
        self.close_pieces: Callable[[], object] | None = None

    def start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        """PEP 3333's ``start_response``, with an eye on the status."""
        self._status_class = ord(status[0]) - 48 if status else _SERVER_ERROR
        if self._status_class == _SERVER_ERROR:
            self._failures.take_wsgi(self._environ, self._row, self._began, int(status[:3]))
            headers = [*headers, self._failures.mark_text]
        self._length = next((int(value) for name, value in headers if _is_length(name, value)), 0)
        return self._start(status, headers, *exc_info)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        """End the body, then the request."""
        close = self.close_pieces or getattr(self.pieces, "close", None)
        self.close_pieces = None
        try:
            if close is not None:
                close()
        finally:
            self.end(self._length)

    def end(self, body_bytes: int) -> None:
        """Count the request, once."""
        if self._is_over:
            return
        self._is_over = True
        try:
            self._finish_body()
        finally:
            status_class = self._status_class
            is_known = 1 <= status_class <= _SERVER_ERROR
            self._row.finish(self._began, status_class if is_known else _SERVER_ERROR, body_bytes)

    def _finish_body(self) -> None:
        """Read what the application left of the request's body.

        A Unix socket that is closed with octets unread resets its peer, and nginx says 502 instead of the answer: a
        refused upload would look like a crash. nginx has the whole body already, so nobody slow is waited for.
        """
        environ = self._environ
        if environ.get("CONTENT_LENGTH") in (None, "", "0") and "HTTP_TRANSFER_ENCODING" not in environ:
            return
        body = environ["wsgi.input"]
        try:
            while body.read(_PIECE_BYTES):
                pass
        except (OSError, ValueError):
            return  # the client has gone, or the application has closed it


def _is_length(name: str, value: str) -> bool:
    return name.lower() == "content-length" and value.isascii() and value.isdigit()
