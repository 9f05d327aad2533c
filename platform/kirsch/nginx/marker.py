"""The proof that a generation serves: asked over a new connection each time, as a client's would be."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from kirsch.nginx.site import MARKER_PATH, STATUS_PATH

_ANSWER_LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Marker:
    """What one of nginx's processes said: the generation it serves, and its pid."""

    generation: str
    pid: int


def ask_marker(path: str, timeout_s: float = 1.0) -> Marker | None:
    """Ask nginx at the Unix socket *path*; None when nobody answers, or not like that."""
    return _parse_marker(_ask(path, MARKER_PATH, timeout_s))


def ask_status(path: str, timeout_s: float = 0.5) -> str:
    """Ask nginx at the Unix socket *path* for its ``stub_status``; empty when nobody answers."""
    return _ask(path, STATUS_PATH, timeout_s).partition(b"\r\n\r\n")[2].decode("ascii", "replace")


def _ask(path: str, what: str, timeout_s: float) -> bytes:
    """Return the whole answer; empty when there is none."""
    request = f"GET {what} HTTP/1.0\r\nHost: marker\r\n\r\n".encode()
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(path)
            connection.sendall(request)
            while len(answer) < _ANSWER_LIMIT_BYTES and (chunk := connection.recv(_ANSWER_LIMIT_BYTES)):
                answer += chunk
    except OSError:
        return b""
    return answer


def _parse_marker(answer: bytes) -> Marker | None:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    pid = fields.get(b"x-kirsch-nginx-pid", b"")
    if b" 200" not in status or not pid.isdigit():
        return None
    return Marker(body.decode("ascii", "replace").strip(), int(pid))
