"""HTTP/1.1 grammar: the few byte patterns that decide what a message is. Pure: bytes in, facts out.

Every pattern is anchored by ``fullmatch`` and has one reading only, and its classes are possessive, so each runs in
linear time. Groups are not possessive: CPython before 3.11.4 lets ``(?:...)*+`` match what it must not. Nothing here
trims with ``str.strip()`` or reads numbers with ``int()`` before a pattern has vouched for the octets: those know
vertical tabs, no-break spaces, underscores and superscripts.
"""

from __future__ import annotations

import re

# RFC 9110 section 5.6.2: tchar
TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"

#: token = 1*tchar
TOKEN = re.compile(rb"[%b]++" % TCHAR)

#: field-line = field-name ":" OWS field-value OWS (RFC 9112 section 5). No CR, LF, NUL or other control in a value;
#: trailing OWS is left to the caller, because a greedy class is faster than a look-ahead.
FIELD_LINE = re.compile(rb"([%b]++):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)" % TCHAR)

#: request-line = method SP request-target SP HTTP-version (RFC 9112 section 3); the target's form is decided later.
REQUEST_LINE = re.compile(rb"([%b]++) ([\x21-\x7e\x80-\xff]++) HTTP/([0-9])\.([0-9])" % TCHAR)

#: How a request line may begin, as far as that can be told of its first octets: a method, and a blank behind it.
METHOD_START = re.compile(rb"[%b]++(?: |\Z)" % TCHAR)

#: uri-host [ ":" port ] (RFC 9110 section 7.2), never empty, without userinfo; percent-encoding as RFC 3986 section 2.1
#: has it, and a port that can be one.
HOST = re.compile(
    rb"(?:(?:[A-Za-z0-9\-._~!$&'(*)+;=]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]{2,45}\]"
    rb"|\[v[0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'(*)+;=:]++\])"
    rb"(?::(?:[0-9]{0,4}|[0-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)

#: encoded-word (RFC 2047 section 2), of octets that are harmless in a host wherever it is put.
ENCODED_HOST = re.compile(rb"=\?[A-Za-z0-9\-]++\?[BbQq]\?[A-Za-z0-9\-._~+/=%:]*+\?=")

#: authority-form of CONNECT: uri-host ":" port, the port not optional (RFC 9112 section 3.2.3).
AUTHORITY = re.compile(rb"(?:[A-Za-z0-9\-._~]++|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")

#: absolute-form: scheme "://" authority path-abempty [ "?" query ] (RFC 9112 section 3.2.2).
ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*+)([/?].*+)?", re.DOTALL)

#: Content-Length = 1*DIGIT; 18 digits hold an exbibyte and always fit in 64 bits.
LENGTH = re.compile(rb"[0-9]{1,18}")

_QUOTED = rb"\"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*\""

#: chunk-size [ chunk-ext ] (RFC 9112 section 7.1): at most 16 hexadecimal digits, extensions to the letter; so blanks
#: stand around ";" and "=" only, and not at the end.
CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*+;[ \t]*+[%b]++(?:[ \t]*+=[ \t]*+(?:[%b]++|%b))?)*" % (TCHAR, TCHAR, _QUOTED)
)

#: What may stand in an outgoing field value: no control but HTAB.
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*+")

OWS = b" \t"


def parse_field_line(line: bytes) -> tuple[bytes, bytes] | None:
    """Split one field line (without its CRLF) into name and trimmed value; None when it is not one.

    ``b"Accept: */* "`` gives ``(b"Accept", b"*/*")``; ``b"Accept : x"``, ``b" folded"`` and ``b": x"`` give None.

    Source: RFC 9112 section 5.
    """
    found = FIELD_LINE.fullmatch(line)
    return (found[1], found[2].rstrip(OWS)) if found else None


def parse_length(value: bytes) -> int | None:
    """Read a Content-Length value; None when it is not a plain decimal number of at most 18 digits.

    Source: RFC 9110 section 8.6.
    """
    return int(value) if LENGTH.fullmatch(value) else None


def parse_chunk_line(line: bytes) -> int | None:
    """Read the size off a chunk's first line (without its CRLF); None when the line is malformed.

    ``b"1a;name=value"`` gives 26.

    Source: RFC 9112 section 7.1.
    """
    found = CHUNK_LINE.fullmatch(line)
    return int(found[1], 16) if found else None


def parse_tokens(value: bytes) -> list[bytes]:
    """Split a comma-separated list into lower-case members without surrounding blanks, empty members dropped.

    ``b"Keep-Alive, ,TE"`` gives ``[b"keep-alive", b"te"]``.

    Source: RFC 9110 section 5.6.1.
    """
    return [member for part in value.lower().split(b",") if (member := part.strip(OWS))]


def is_valid_host(value: bytes) -> bool:
    """True for ``host`` or ``host:port`` as a Host field may carry it (RFC 9110 section 7.2)."""
    return HOST.fullmatch(value) is not None
