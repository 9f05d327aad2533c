"""The head of a request: bytes in, a ``Message`` out, or a ``Refusal``. No sockets here.

Law: framing is decided in this file, once, before any octet of a body is looked at (``_frame``).

The tables ``_request_lines`` and ``_field_lines`` remember lines that were parsed before: a kept connection, and a
proxy's even more so, sends the same ``Host``, ``Accept`` and ``User-Agent`` over and over. A line is validated by its
pattern when it is first seen and looked up as a whole afterwards, so the rules cannot differ between the two.
PERF: a head with one field costs 1.0 µs with everything that is decided here; httptools (llhttp) needs 1.5 µs to call
back the bare tokens, and forgives what docs/behaviour.md refuses. With ten fields, two of them never kept: 5.5 µs
against 4.4 µs of bare tokens.
"""

from __future__ import annotations

from cherrypy.http import grammar
from cherrypy.httpd.errors import Refusal, bad_request
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import HTTP_10, HTTP_11, Message

HEAD_END = b"\r\n\r\n"

#: What a field line means to the server, as bits.
HOST, LENGTH, CODING, CLOSE, KEEP_ALIVE, EXPECT, DROP, CHARSET = 1, 2, 4, 8, 16, 32, 64, 128
_ONCE = HOST | LENGTH | CODING
_FRAMING = LENGTH | CODING

_RequestLine = tuple[str, str, str, str, tuple[int, int], bytes | None]
_Field = tuple[tuple[bytes, bytes], int]

# Each table is emptied when it is full; long lines, and lines that carry secrets or differ every time, are not kept.
_TABLE_SIZE = 2048
_KEPT_LINE_BYTES = 256
_NEVER_KEPT = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"x-request-id", b"x-request-start", b"traceparent"}
)
_request_lines: dict[bytes, _RequestLine] = {}
_field_lines: dict[bytes, _Field] = {}
# Spellings met of names whose lines are never kept; they are ordinary fields to the server.
_fresh_names: set[bytes] = set()

_URI_TOO_LONG = b"The Request-URI sent with the request exceeds the maximum allowed bytes."
_HEAD_REASONS = {431: b"Request Header Fields Too Large", 413: b"Request Entity Too Large"}

# Of the first octets so many are looked at before their line is complete; no method is longer.
_METHOD_BYTES = 32
_TLS_HANDSHAKE = b"\x16"  # RFC 8446 section 5.1: the content type of a client's first record
_NO_HTTP_BUT_TLS = b"The client began a TLS handshake, but this server only speaks plain HTTP on this port."

_new_message = Message.__new__
_match_field_line = grammar.FIELD_LINE.fullmatch


def parse_head(block: bytes, limits: Limits) -> Message:
    """Parse a whole head (without the empty line that ends it) into a message that still lacks body and connection.

    Raises:
        Refusal: 400, 404, 405, 413, 414, 431, 501 or 505; the connection must be closed after it. Of several that
            apply it is the one that the earliest octet decides, as if the head had come octet by octet.

    Source: RFC 9112 sections 2 to 6.
    """
    try:
        return _parse(block, limits)
    except Refusal as refusal:
        raise _first_refusal(block + HEAD_END[:3], limits) or refusal from None


def _parse(block: bytes, limits: Limits) -> Message:
    lines = block.split(b"\r\n")
    if len(lines) > limits.fields + 1:
        raise Refusal(b"431 Request Header Fields Too Large", b"Too many header fields.")
    rest = iter(lines)
    first = next(rest)
    is_repeatable = True
    try:
        method, target, path, query, version, authority = _request_lines[first]
    except KeyError:
        method, target, path, query, version, authority = parse_request_line(first, limits)
        is_repeatable = False
    headers: list[tuple[bytes, bytes]] = []
    append = headers.append
    known = _field_lines
    seen = 0
    special: dict[int, bytes] | None = None
    for line in rest:
        try:
            field, kind = known[line]
        except KeyError:
            field, kind = _learn_field(line, limits)
            is_repeatable = False
        if kind:
            if kind == DROP:
                continue
            if kind & seen & _ONCE:
                raise bad_request(b"A header field that may come once was repeated.")
            seen |= kind
            if kind & _FRAMING:
                if special is None:
                    special = {}
                special[kind] = field[1]
        append(field)

    if not seen & HOST and version is HTTP_11:
        raise bad_request(b"HTTP/1.1 requests need a Host header field.")
    message = _new_message(Message)
    message.method = method
    message.target = target
    message.path = path
    message.query = query
    message.version = version
    message.names_charset = seen & CHARSET != 0
    message.headers = headers if authority is None else _replace_host(headers, authority)
    message.is_plain = False
    if version is HTTP_11:
        message.keep_alive = not seen & CLOSE
        message.expects_continue = bool(seen & EXPECT)
        message.is_plain = method == "GET" and special is None and not seen & (CLOSE | EXPECT | CHARSET)
    else:
        message.keep_alive = seen & KEEP_ALIVE != 0 and not seen & CLOSE
        message.expects_continue = False
    if method == "CONNECT":
        _admit_connect(message, limits)
    message.is_repeatable = is_repeatable and special is None
    if special is None:
        message.has_body = message.chunked = False
        message.content_length = None
    else:
        _frame(message, special, limits)
    return message


def _replace_host(headers: list[tuple[bytes, bytes]], authority: bytes) -> list[tuple[bytes, bytes]]:
    """The authority of an absolute-form target wins over any Host field (RFC 9112 section 3.2.2)."""
    return [(b"Host", authority), *(field for field in headers if field[0].lower() != b"host")]


def _frame(message: Message, special: dict[int, bytes], limits: Limits) -> None:
    """Decide where the body ends: one decision, from Content-Length and Transfer-Encoding alone.

    ==================  ==================  ===================
    Transfer-Encoding   Content-Length      outcome
    ==================  ==================  ===================
    absent              valid number        that many octets
    absent              anything else       400
    ``chunked``, 1.1    absent              chunked
    ``chunked``, 1.0    any                 400
    ``chunked``         present             400 (smuggling)
    other coding        absent              501
    empty or repeated   any                 400
    ==================  ==================  ===================

    Source: RFC 9112 section 6.
    """
    coding = special.get(CODING)
    length = special.get(LENGTH)
    message.has_body = True
    if coding is None:
        assert length is not None
        size = grammar.parse_length(length)
        if size is None:
            raise bad_request(b"Malformed Content-Length Header.")
        if 0 < limits.body_bytes < size:
            raise body_too_large()
        message.content_length = size
        message.chunked = False
        if size == 0:
            message.expects_continue = False
        return
    # SECURITY: request smuggling; a proxy in front may have believed the other field.
    if length is not None:
        raise bad_request(b"Content-Length and Transfer-Encoding in one request.")
    if message.version is not HTTP_11:
        raise bad_request(b"Transfer-Encoding in an HTTP/1.0 request.")
    if coding.lower() != b"chunked":
        members = grammar.parse_tokens(coding)
        if not members or b"chunked" in members[:-1]:
            raise bad_request(b"Malformed Transfer-Encoding header field.")
        raise Refusal(b"501 Not Implemented", b"Unsupported transfer coding.")
    message.content_length = None
    message.chunked = True


def body_too_large() -> Refusal:
    """A 413, in CherryPy's words."""
    return Refusal(
        b"413 Request Entity Too Large", b"The entity sent with the request exceeds the maximum allowed bytes."
    )


def _admit_connect(message: Message, limits: Limits) -> None:
    message.keep_alive = False  # after an answer to CONNECT the client may believe it has a tunnel
    if not limits.accept_connect:
        raise Refusal(b"405 Method Not Allowed", b"CONNECT is not served here.")


def parse_request_line(line: bytes, limits: Limits) -> _RequestLine:
    """Split a request line into method, target, path, query, version, and the authority of an absolute-form target.

    ``b"GET http://a.example/b?c HTTP/1.1"`` gives
    ``("GET", "http://a.example/b?c", "/b", "c", (1, 1), b"a.example")``.

    Raises:
        Refusal: 400, 414 or 505.

    Source: RFC 9112 section 3.
    """
    if len(line) > limits.request_line_bytes:
        raise Refusal(b"414 Request-URI Too Long", _URI_TOO_LONG)
    found = grammar.REQUEST_LINE.fullmatch(line)
    if found is None:
        raise _malformed_request_line(line, limits)
    method_octets, target_octets, major, minor = found.groups()
    if major != b"1":
        raise Refusal(b"505 HTTP Version Not Supported", b"Cannot fulfill request: only HTTP/1 is spoken here.")
    if method_octets != method_octets.upper():
        raise bad_request(b"Malformed method name: methods are case-sensitive.")
    path_octets, authority = _reduce_target(method_octets, target_octets)
    path, _, query = path_octets.decode("latin-1").partition("?")
    parsed = (
        method_octets.decode("ascii"),
        target_octets.decode("latin-1"),
        path,
        query,
        HTTP_10 if minor == b"0" else HTTP_11,
        authority,
    )
    if len(line) <= _KEPT_LINE_BYTES:
        if len(_request_lines) >= _TABLE_SIZE:
            _request_lines.clear()
        _request_lines[line] = parsed
    return parsed


def _malformed_request_line(line: bytes, limits: Limits) -> Refusal:
    if b"\n" in line or b"\r" in line:
        return bad_request(b"HTTP requires CRLF terminators")
    # a slash may stand in a target, and neither in a method nor in a version
    if limits.nul_status == 404 and grammar.REQUEST_LINE.fullmatch(line.replace(b"\0", b"/")):
        return Refusal(b"404 Not Found", b"No path has a NUL in it.")
    return bad_request(b"Malformed Request-Line")


def _reduce_target(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """Turn a request target into path and query in one, and the authority if the target brought one.

    Source: RFC 9112 section 3.2.
    """
    if method == b"CONNECT":
        if not grammar.AUTHORITY.fullmatch(target):
            raise bad_request(b"Invalid path in Request-URI: request-target must match authority-form.")
        return b"/" + target, None
    if b"#" in target:
        raise bad_request(b"Illegal #fragment in Request-URI.")
    if target[:1] == b"/":
        return target, None
    if target == b"*":
        if method != b"OPTIONS":
            raise bad_request(b"Invalid path in Request-URI: only OPTIONS may ask for *.")
        return target, None
    found = grammar.ABSOLUTE.fullmatch(target)
    if found is None:
        raise bad_request(
            b"Invalid path in Request-URI: request-target must contain origin-form which starts with absolute-path "
            b'(URI starting with a slash "/").'
        )
    authority, rest = found.groups()
    if not grammar.is_valid_host(authority):
        raise bad_request(b"Invalid path in Request-URI: malformed authority.")
    if not rest:
        return b"*" if method == b"OPTIONS" else b"/", authority
    return (rest if rest[:1] == b"/" else b"/" + rest), authority


def _learn_field(line: bytes, limits: Limits) -> _Field:
    """Validate a field line that was not seen before, and remember it when it is worth it."""
    if len(line) > limits.field_bytes:
        raise Refusal(b"431 Request Header Fields Too Large", b"A header field is too long.")
    found = _match_field_line(line)
    if found is None:
        if b"\n" in line or b"\r" in line:
            raise bad_request(b"HTTP requires CRLF terminators")
        raise bad_request(b"Illegal header line.")
    sent_name, value = found.groups()
    field = (sent_name, value.rstrip(b" \t"))
    if sent_name in _fresh_names:
        return field, 0
    name = sent_name.lower()
    if name == b"host" and limits.accept_encoded_host and grammar.ENCODED_HOST.fullmatch(field[1]):
        return field, HOST  # not kept: the tables are shared with servers that refuse it
    learned = (field, _kind(name, field[1]))
    if name in _NEVER_KEPT:
        if len(_fresh_names) < _TABLE_SIZE:
            _fresh_names.add(sent_name)
    elif len(line) <= _KEPT_LINE_BYTES:
        if len(_field_lines) >= _TABLE_SIZE:
            _field_lines.clear()
        _field_lines[line] = learned
    return learned


def _kind(name: bytes, value: bytes) -> int:
    """What a field means to the server, from its lower-case name and its value."""
    if b"_" in name:
        # SECURITY: X_Real_Ip would become HTTP_X_REAL_IP beside X-Real-IP; nginx drops these too.
        return DROP
    if name == b"host":
        if not grammar.is_valid_host(value):
            raise bad_request(b"Malformed Host header field.")
        return HOST
    if name == b"content-length":
        return LENGTH
    if name == b"transfer-encoding":
        return CODING
    if name == b"connection":
        members = grammar.parse_tokens(value)
        return (CLOSE if b"close" in members else 0) | (KEEP_ALIVE if b"keep-alive" in members else 0)
    if name == b"expect" and value.lower() == b"100-continue":
        return EXPECT
    if name == b"accept-charset":
        return CHARSET
    return 0


def skip_empty_lines(data: bytes, limits: Limits) -> bytes:
    """Drop the empty lines that some clients send between requests; a few only.

    Source: RFC 9112 section 2.2.
    """
    skipped = 0
    while data.startswith(b"\r\n", 2 * skipped):
        skipped += 1
        if skipped > limits.empty_lines:
            raise bad_request(b"Malformed Request-Line")
    return data[2 * skipped :]


def check_partial_head(data: bytes, limits: Limits) -> None:
    """Refuse a head that is not complete yet but cannot become a good one any more.

    Without this a client that ends lines in a bare LF, or speaks HTTP/0.9 or TLS, would wait for its own deadline.

    Raises:
        Refusal: the first that applies to a beginning of *data*, so that it does not matter in what pieces it came.
    """
    try:
        _check_beginning(data, limits)
    except Refusal as refusal:
        raise _first_refusal(data, limits) or refusal from None


def _first_refusal(data: bytes, limits: Limits) -> Refusal | None:
    """The refusal of the shortest beginning of *data* that is refused; None if all are good as far as they go.

    Found by halving, since a beginning that is refused stays so whatever follows.
    """
    found: Refusal | None = None
    good, bad = 0, len(data) + 1
    while bad - good > 1:
        size = (good + bad) // 2
        try:
            _check_beginning(data[:size], limits)
        except Refusal as refusal:
            found, bad = refusal, size
        else:
            good = size
    return found


def _check_beginning(data: bytes, limits: Limits) -> None:
    """Do what ``check_partial_head`` says, for *data* as a whole."""
    line_end = data.find(b"\r\n")
    line_bytes = line_end if line_end >= 0 else len(data) - data.endswith(b"\r")
    if line_bytes > limits.request_line_bytes:
        raise Refusal(b"414 Request-URI Too Long", _URI_TOO_LONG)
    if line_end >= 0:
        parse_request_line(data[:line_end], limits)
    elif b"\n" in data or b"\r" in data[:-1]:
        raise bad_request(b"HTTP requires CRLF terminators")
    elif data.rstrip(b"\r") and not grammar.METHOD_START.match(data[:_METHOD_BYTES].rstrip(b"\r")):
        raise bad_request(_NO_HTTP_BUT_TLS if data[:1] == _TLS_HANDSHAKE else b"Malformed Request-Line")
    if len(data) > limits.head_bytes + 3:  # of the four octets that end it, three may have come
        raise Refusal(
            b"%d %b" % (limits.head_status, _HEAD_REASONS.get(limits.head_status, b"Refused")),
            b"The headers sent with the request exceed the maximum allowed bytes.",
        )
    if line_end >= 0 and data.count(b"\n", line_end + 2) != data.count(b"\r\n", line_end + 2):
        raise bad_request(b"HTTP requires CRLF terminators")
