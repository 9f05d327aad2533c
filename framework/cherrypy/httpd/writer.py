"""The head of an answer: status line and fields checked, framed and joined into the octets that go out.

The server owns framing: whatever an application says, there is exactly one way for the client to find the end of the
answer, and nothing of an application's data can end a line. PERF: one pass over the fields, one join; whether a field
smuggles a control character is seen by counting them in the whole head (0.2 µs; a pattern: 0.4 µs a field).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from time import time
from typing import TypeAlias

from cherrypy.http.grammar import TOKEN, VALUE, parse_tokens

CRLF = b"\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# SECURITY: a client takes 1xx for a word in between, and the answer to its next request for the answer to this one.
# 101 is for those who then take the connection (``Handover``).
NOT_FINAL = "an answer's status must be 200 or more"

# What an outgoing field name means to the server.
_LENGTH, _CODING, _CONNECTION, _DATE, _SERVER, _PLAIN = 1, 2, 4, 8, 16, 0
_ONCE = _DATE | _SERVER
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

# status -> (status line without its end, may it have a Content-Length, may it have a body)
_statuses: dict[bytes, tuple[bytes, bool, bool]] = {}

_join_field = b": ".join

# What no field value may have: CR, LF, NUL and the other controls, DEL included, but not HTAB (RFC 9110 section 5.5).
_CONTROLS = bytes([*range(9), *range(10, 32), 127])
# IMF-fixdate (RFC 9110 section 5.6.7), the only form that may be sent.
_DATE_VALUE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    rb"[0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT"
)


class AnswerError(ValueError):
    """An application's answer that must not go out as it is; the client gets a 500.

    Args:
        text: what is wrong, for the client as well; nothing that the application has made.
        detail: for the log only: where it is, and what the application should do.
    """

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(f"{text}: {detail}" if detail else text)
        self.text = text


class AnswerTooLong(AnswerError):
    """A body with more octets than its Content-Length declares."""

    def __init__(self, declared: int) -> None:
        super().__init__("The requested resource returned more bytes than the declared Content-Length.")
        self.declared = declared


class RepeatedFields(list[tuple[bytes, bytes]]):
    """The fields of many an answer: all have one status and one length of body; framed once, while nobody changes them.

    Args:
        fields: (name, value) pairs, with Content-Length, Date and Server among them.
        status: of those answers.
        size: of their bodies, in octets.

    Attributes:
        head: the whole head of the answer to a GET on a connection that stays, in HTTP/1.1; empty until there was one.
        texts: {kind: the fields as servers of that kind want them from us}.
    """

    __slots__ = ("head", "size", "status", "texts")

    def __init__(self, fields: list[tuple[bytes, bytes]], status: bytes, size: int) -> None:
        super().__init__(fields)
        self.status = status
        self.size = size
        self.head = b""
        self.texts: dict[bool, list[tuple[str, str]]] = {}


#: How one answer goes out: (head, keep_alive, has_body, length, chunked).
#:
#: - head: status line, fields and the empty line;
#: - keep_alive: the connection may carry another request after this answer;
#: - has_body: False for HEAD, 101, 204, 205 and 304, after whose head no octet may follow;
#: - length: octets of body that must follow; None when chunked or delimited by the close;
#: - chunked: the body goes out in chunks.
#:
#: PERF: a plain tuple; an object with the same five slots costs 0.3 µs more an answer.
Framing: TypeAlias = tuple[bytes, bool, bool, int | None, bool]


#: What ``frame_answer`` was asked, all of it in its order, -> what it answered, while that may come again.
known_framings: dict[tuple[object, ...], Framing] = {}
_FRAMINGS_SIZE = 512
_KEPT_HEAD_BYTES = 1024


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
        AnswerError: a control character in a field, a name that is no token, a malformed status or length, a status
            that ends no request, or a body longer than its declared length (AnswerTooLong).

    Source: RFC 9110 sections 6.4.1, 8.6; RFC 9112 sections 6, 9.
    """
    # PERF: with a Date of its own, which CherryPy's answers have, a head is the same for a second: 3.3 -> 0.6 us
    key = (status, tuple(headers), size, is_head, is_http11, keep_alive, server_name)
    try:
        known = known_framings.get(key)
    except TypeError:
        known = None  # a field that is a list, say
    if known is not None:
        return known
    framing, seen = _frame_answer(status, headers, size, is_head, is_http11, keep_alive, server_name)
    # SECURITY: what sets a cookie is not kept: it is another one for everybody, and nobody else's business
    if seen & _DATE and len(framing[0]) < _KEPT_HEAD_BYTES and b"\nset-cookie:" not in framing[0].lower():
        if len(known_framings) >= _FRAMINGS_SIZE:
            known_framings.clear()
        known_framings[key] = framing
    return framing


def _frame_answer(
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    size: int | None,
    is_head: bool,
    is_http11: bool,
    keep_alive: bool,
    server_name: bytes | None,
) -> tuple[Framing, int]:
    """Do what ``frame_answer`` promises; also returns what was seen of special fields."""
    try:
        line, may_have_length, may_have_body = _statuses[status]
    except KeyError:
        line, may_have_length, may_have_body = _learn_status(status)
    out = [line]
    if not may_have_length:
        _begin_without_length(out, status[:3], size)
    seen, declared = _add_fields(out, headers)
    if seen & _CONNECTION:
        keep_alive = False
    length: int | None = 0
    has_body = may_have_body and not is_head
    chunked = False
    if declared is not None:
        if may_have_length:
            out.append(b"Content-Length: " + declared)
        if has_body:
            length = int(declared)
            if size is not None and size > length:
                raise AnswerTooLong(length)
    elif has_body:
        length = size
        if size is not None:
            out.append(b"Content-Length: %d" % size)
        elif is_http11:
            chunked = True
            out.append(b"Transfer-Encoding: chunked")
        else:
            keep_alive = False
    elif size and may_have_body:
        out.append(b"Content-Length: %d" % size)  # of the GET that this HEAD asks about
    if not keep_alive:
        out.append(b"Connection: close")
    elif not is_http11:
        out.append(b"Connection: Keep-Alive")
    return (_join_head(out, seen, server_name), keep_alive, has_body, length, chunked), seen


def _begin_without_length(out: list[bytes], code: bytes, size: int | None) -> None:
    if code == b"101" and size is not None:
        raise AnswerError(NOT_FINAL)
    if code == b"205":
        # RFC 9110, 15.3.6: it has no content, and unlike 204 it has to say so
        out.append(b"Content-Length: 0")


def _add_fields(out: list[bytes], headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes | None]:
    """Add an application's fields to *out*, but for framing and connection, which are the server's own.

    Returns what was seen of special fields (``_CONNECTION`` only if it says close), and the declared length.
    """
    seen = 0
    declared: bytes | None = None
    for field in headers:
        try:
            meaning = _names[field[0]]
        except KeyError:
            meaning = _learn_name(field[0])
        if meaning:
            if meaning == _LENGTH:
                if declared is not None or not field[1].isdigit() or len(field[1]) > 18:
                    raise AnswerError("Content-Length of an answer must be one number")
                declared = field[1]
                continue
            if meaning & _ONCE and (seen & meaning or (meaning == _DATE and not _DATE_VALUE.fullmatch(field[1]))):
                continue  # the first good one counts
            if meaning == _CODING:
                continue
            if meaning == _CONNECTION:
                if b"close" in parse_tokens(field[1]):
                    seen |= _CONNECTION
                continue
            seen |= meaning
        out.append(_join_field(field))
    return seen, declared


def _join_head(out: list[bytes], seen: int, server_name: bytes | None) -> bytes:
    """Add what every answer needs, join, and make sure that no field has smuggled in another."""
    if not seen & _DATE:
        out.append(_date_field if time() < _date_end else _renew_date())
    if server_name and not seen & _SERVER:
        out.append(b"Server: " + server_name)
    out.append(CRLF)
    head = CRLF.join(out)
    # SECURITY: response splitting. Every control in the head must be a CR or LF that the join has put there.
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * len(out):
        raise _field_error(out)
    return head


def _field_error(out: list[bytes]) -> AnswerError:
    """Say which line of a head has a control character in it, and which one."""
    for line in out[1:]:
        name, _, value = line.partition(b": ")
        found = re.search(b"[%b]" % re.escape(_CONTROLS), value)
        if found is not None:
            return AnswerError(
                "a control character in a field of an answer",
                f"header {name.decode('latin-1')!r} has 0x{found[0][0]:02x}; the application must drop or encode it "
                "before it sets the header (for text that users have written: urllib.parse.quote)",
            )
    return AnswerError("a control character in an answer's head")


def _learn_status(status: bytes) -> tuple[bytes, bool, bool]:
    digits = status[:3]
    if not digits.isdigit() or not 100 <= int(digits) <= 999 or status[3:4] not in (b"", b" "):
        raise AnswerError("an answer's status must be three digits and a reason")
    if not VALUE.fullmatch(status):
        raise AnswerError("a control character in a status", f"the application answers {status!r}")
    code = int(digits)
    if code < 200 and code != 101:
        raise AnswerError(NOT_FINAL)
    reason = status[4:]
    has_body = code >= 200 and code not in (204, 205, 304)
    learned = (b"HTTP/1.1 %b %b" % (digits, reason), has_body or code == 304, has_body)
    if len(_statuses) < _NAMES_SIZE:
        _statuses[status] = learned
    return learned


def _learn_name(name: bytes) -> int:
    if not TOKEN.fullmatch(name):
        raise AnswerError("an answer's field name must be a token", f"the application set a header named {name!r}")
    meaning = _SPECIAL.get(name.lower(), _PLAIN)
    if len(_names) >= _NAMES_SIZE:
        _names.clear()
    _names[name] = meaning
    return meaning


_date_end = 0.0
_date_field = b""


def _renew_date() -> bytes:
    """Make the Date field of this second."""
    global _date_end, _date_field
    now = int(time())
    _date_field = b"Date: " + formatdate(now, usegmt=True).encode("ascii")
    _date_end = now + 1
    return _date_field
