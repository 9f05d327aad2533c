"""The head of an answer: status line and fields checked, framed and joined into the octets that go out.

The server owns framing: whatever an application says, there is exactly one way for the client to find the end of the
answer, and nothing of an application's data can end a line. PERF: one pass over the fields, one join; whether a field
smuggles a line end is seen by counting line ends in the whole head (0.2 µs, against 0.4 µs a field with a pattern).
"""

from __future__ import annotations

from email.utils import formatdate
from time import time
from typing import BinaryIO

from cherrypy.http.grammar import LENGTH, TOKEN, parse_tokens

CRLF = b"\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# What an outgoing field name means to the server.
_LENGTH, _CODING, _CONNECTION, _DATE, _SERVER, _PLAIN = 1, 2, 4, 8, 16, 0
_SPECIAL = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"keep-alive": _CODING,  # hop-by-hop as well, and ours to say
    b"connection": _CONNECTION,
    b"date": _DATE,
    b"server": _SERVER,
}
# Names as applications spell them -> meaning; only valid tokens get in, and it is emptied when it is full.
_names: dict[bytes, int] = {}
_NAMES_SIZE = 1024

# status -> (status line without its end, code, may it have a body)
_statuses: dict[bytes, tuple[bytes, int, bool]] = {}

_join_field = b": ".join


class AnswerError(ValueError):
    """An application's answer that must not go out as it is; the client gets a 500."""


class FileSlice:
    """A piece of an open file as an answer's body; goes out by ``sendfile`` where the connection allows.

    Args:
        file: open binary file with a real descriptor; the answer's ``close`` has to close it.
        offset: first octet to send.
        count: how many octets to send; also to be declared as Content-Length.
    """

    __slots__ = ("count", "file", "offset")

    def __init__(self, file: BinaryIO, offset: int, count: int) -> None:
        self.file = file
        self.offset = offset
        self.count = count

    def fileno(self) -> int:
        """The file's descriptor."""
        return self.file.fileno()

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Pieces of 64 KiB, for connections that cannot ``sendfile`` (TLS)."""
        self.file.seek(self.offset)
        left = self.count
        while left > 0:
            piece = self.file.read(min(left, 65536))
            if not piece:
                return
            left -= len(piece)
            yield piece


class Framing:
    """How one answer goes out; made by ``frame_answer``."""

    __slots__ = ("chunked", "code", "has_body", "head", "keep_alive", "length")

    head: bytes
    """Status line, fields and the empty line."""
    code: int
    keep_alive: bool
    """The connection may carry another request after this answer."""
    has_body: bool
    """False for HEAD, 1xx, 204 and 304: no octet of a body may follow the head."""
    length: int | None
    """Octets of body that must follow; None when chunked or delimited by the close."""
    chunked: bool


def frame_answer(
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    size: int | None,
    is_head: bool,
    is_http11: bool,
    keep_alive: bool,
    server_name: bytes | None,
) -> Framing:
    """Check an answer's fields, complete them, and join the head.

    Args:
        status: such as ``b"200 OK"``.
        headers: (name, value) pairs in order.
        size: octets of the body when that is known before it is sent.
        is_head: the request's method was HEAD.
        is_http11: the request's version was 1.1 or higher.
        keep_alive: client and server would both keep the connection.
        server_name: value for a Server field when the answer has none.

    Raises:
        AnswerError: CR, LF or NUL in a field, a name that is no token, a malformed status or length, or a body longer
            than its declared length.

    Source: RFC 9110 sections 6.4.1, 8.6; RFC 9112 sections 6, 9.
    """
    try:
        line, code, may_have_body = _statuses[status]
    except KeyError:
        line, code, may_have_body = _learn_status(status)
    framing = Framing()
    out = [line]
    seen = 0
    declared: int | None = None
    for field in headers:
        try:
            meaning = _names[field[0]]
        except KeyError:
            meaning = _learn_name(field[0])
        if meaning:
            if meaning == _LENGTH:
                if seen & _LENGTH or not LENGTH.fullmatch(field[1]):
                    raise AnswerError("Content-Length of an answer must be one number")
                declared = int(field[1])
                if code == 204 or code < 200:
                    continue
            elif meaning == _CODING:
                continue
            elif meaning == _CONNECTION:
                if b"close" in parse_tokens(field[1]):
                    keep_alive = False
                continue
            seen |= meaning
        out.append(_join_field(field))

    chunked = False
    if not may_have_body:
        framing.length = 0
        framing.has_body = False
    elif is_head:
        framing.length = 0
        framing.has_body = False
        if declared is None and size:
            out.append(b"Content-Length: %d" % size)
    else:
        framing.has_body = True
        framing.length = declared
        if declared is None:
            framing.length = size
            if size is not None:
                out.append(b"Content-Length: %d" % size)
            elif is_http11:
                chunked = True
                out.append(b"Transfer-Encoding: chunked")
            else:
                keep_alive = False
        elif size is not None and size > declared:
            raise AnswerError("The requested resource returned more bytes than the declared Content-Length.")
    if not seen & _DATE:
        out.append(date_field())
    if server_name and not seen & _SERVER:
        out.append(b"Server: " + server_name)
    if not keep_alive:
        out.append(b"Connection: close")
    elif not is_http11:
        out.append(b"Connection: Keep-Alive")
    lines = len(out) + 1
    out += (b"", b"")
    head = CRLF.join(out)
    # SECURITY: response splitting. Every CR and LF in the head must be one that the join has put there.
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise AnswerError("CR, LF or NUL in a field of an answer")
    framing.head = head
    framing.code = code
    framing.keep_alive = keep_alive
    framing.chunked = chunked
    return framing


def _learn_status(status: bytes) -> tuple[bytes, int, bool]:
    digits = status[:3]
    if not digits.isdigit() or not 100 <= int(digits) <= 999 or status[3:4] not in (b"", b" "):
        raise AnswerError("an answer's status must be three digits and a reason")
    if b"\r" in status or b"\n" in status or b"\0" in status:
        raise AnswerError("CR, LF or NUL in a status")
    code = int(digits)
    reason = status[4:]
    learned = (b"HTTP/1.1 %b %b" % (digits, reason), code, code >= 200 and code not in (204, 304))
    if len(_statuses) < _NAMES_SIZE:
        _statuses[status] = learned
    return learned


def _learn_name(name: bytes) -> int:
    if not TOKEN.fullmatch(name):
        raise AnswerError("an answer's field name must be a token")
    meaning = _SPECIAL.get(name.lower(), _PLAIN)
    if len(_names) >= _NAMES_SIZE:
        _names.clear()
    _names[name] = meaning
    return meaning


_date_second = 0
_date_field = b""


def date_field() -> bytes:
    """The whole Date field, made anew once a second."""
    global _date_second, _date_field
    now = int(time())
    if now != _date_second:
        _date_field = b"Date: " + formatdate(now, usegmt=True).encode("ascii")
        _date_second = now
    return _date_field
