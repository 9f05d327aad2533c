"""A captured request sent once more, straight to a worker's own socket: which header fields go, what comes back."""

from __future__ import annotations

import http.client
import socket
import time
import uuid
from dataclasses import dataclass

from kirsch.observe.captures import HIDDEN, Capture

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: What belonged to the connection, or is written anew.
_NOT_SENT = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade", "expect", "x-request-id",
     "x-request-start", "traceparent", "tracestate"}
)  # fmt: skip
SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a worker answered."""

    id: str
    """Of the new request: its own lines in the logs, and its own capture, are under it."""
    status: int
    took_s: float
    length: int
    begin: str


def replay_capture(capture: Capture, path: str, timeout_s: float) -> Replayed:
    """Send *capture* to the worker that listens at *path*; redacted fields are left out.

    Raises:
        OSError: nobody listens there, or the worker closed without an answer.
    """
    found = uuid.uuid4().hex
    line = _Line(path, timeout_s)
    began = time.monotonic()
    try:
        line.putrequest(capture.method, capture.target, skip_host=True, skip_accept_encoding=True)
        for name, value in fields_of(capture, found):
            line.putheader(name, value)
        body = capture.body or b""
        if body or capture.method in ("POST", "PUT", "PATCH"):
            line.putheader("Content-Length", str(len(body)))
        line.endheaders(body or None)
        answer = line.getresponse()
        data = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"no answer: {error}") from error
    finally:
        line.close()
    text = " ".join(data[: SHOWN_BYTES * 4].decode("utf-8", "replace").split())[:SHOWN_BYTES]
    return Replayed(found, answer.status, time.monotonic() - began, len(data), text)


def fields_of(capture: Capture, request_id: str) -> list[tuple[str, str]]:
    """Return the header fields that are sent: those that were, without secrets that were not kept."""
    sent = [(name, value) for name, value in capture.headers if value != HIDDEN and name.lower() not in _NOT_SENT]
    if not any(name.lower() == "host" for name, _ in sent):
        sent.insert(0, ("Host", "localhost"))
    return [*sent, ("X-Request-ID", request_id), ("Connection", "close")]


class _Line(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the worker."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise
