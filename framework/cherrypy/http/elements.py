"""The grammar inside header values: lists of elements with parameters, q-values, encoded words.

Law: pure, and linear in the length of the value, since clients write these.
Source: RFC 9110 sections 5.6 and 12.4.2, RFC 2047.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Self

from cherrypy.http.charsets import is_charset
from cherrypy.http.errors import BadHeader

# COMPAT: names of lib.httputil; the code below walks the text instead, which is linear.
RE_HEADER_SPLIT = re.compile(r',(?=(?:[^"]*+"[^"]*+")*[^"]*+$)')
q_separator = re.compile(r"; *q *=", re.IGNORECASE)

_QVALUE = re.compile(r"\s*(?=[0-9.])([0-9]*\.?[0-9]*)\s*\Z", re.ASCII)
# SECURITY: email's own pattern takes quadratic time for words without an end (32 KiB: 1.5 s), so it never sees any.
_ENCODED_WORD = re.compile(r"=\?([^?]*)\?[qQbB]\?[^?]*\?=")
_LINE_ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_DANGEROUS = re.compile(r"[\r\n\0]")


def split_quoted(text: str, separator: str) -> Iterator[str]:
    r"""Cut *text* at each *separator* that is not inside a quoted string; pieces are not trimmed.

    >>> list(split_quoted('a;x="1,2", b', ','))
    ['a;x="1,2"', ' b']
    """
    if '"' not in text:
        yield from text.split(separator)
        return
    start = position = 0
    quoted = False
    end = len(text)
    while position < end:
        char = text[position]
        if char == '"':
            quoted = not quoted
        elif char == "\\" and quoted:
            position += 1
        elif char == separator and not quoted:
            yield text[start:position]
            start = position + 1
        position += 1
    yield text[start:]


def parse_header(line: str) -> tuple[str, dict[str, str]]:
    r"""Take a value and its parameters apart; parameter names come out in lower case, values unquoted.

    >>> parse_header('form-data; name="a"; filename="x\\"y"')
    ('form-data', {'name': 'a', 'filename': 'x"y'})
    """
    parts = split_quoted(line, ";")
    value = next(parts).strip()
    params = {}
    for part in parts:
        name, equals, given = part.partition("=")
        if equals:
            params[name.strip().lower()] = _unquote(given.strip())
    return value, params


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace("\\\\", "\\").replace('\\"', '"')
    return text


class HeaderElement:
    """One element of a header value: its main text, and the parameters behind semicolons.

    Attributes:
        value: the text before the first semicolon.
        params: the parameters, {name: value}.
    """

    def __init__(self, value: str, params: dict[str, object] | None = None) -> None:
        self.value = value
        self.params: dict[str, object] = {} if params is None else params

    def __lt__(self, other: HeaderElement) -> bool:
        return self.value < other.value

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, HeaderElement) else NotImplemented

    __hash__ = object.__hash__

    def __str__(self) -> str:
        return self.value + "".join(f";{name}={value}" for name, value in self.params.items())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    @staticmethod
    def parse(elementstr: str) -> tuple[str, dict[str, object]]:
        """Return the value and the parameters that *elementstr* is made of."""
        value, params = parse_header(elementstr)
        return value, dict(params)

    @classmethod
    def from_str(cls, elementstr: str) -> Self:
        """Make an element of its text."""
        return cls(*cls.parse(elementstr))


class AcceptElement(HeaderElement):
    """An element of an ``Accept*`` or ``TE`` field; it sorts by its q-value.

    >>> AcceptElement.from_str('text/html;level=1;q=0.5').qvalue
    0.5
    """

    @classmethod
    def from_str(cls, elementstr: str) -> Self:
        """Make an element of its text; what follows ``q=`` is an element of its own (RFC 2616, 14.1)."""
        atoms = q_separator.split(elementstr, maxsplit=1)
        value, params = cls.parse(atoms[0].strip())
        if len(atoms) > 1:
            params["q"] = HeaderElement.from_str(atoms[1].strip())
        return cls(value, params)

    @property
    def qvalue(self) -> float:
        """How much the client wants this, 0 (not at all) to 1.

        Raises:
            BadHeader: the number is malformed.
        """
        given = self.params.get("q", "1")
        text = given.value if isinstance(given, HeaderElement) else str(given)
        match = _QVALUE.match(text)
        if match is None or match[1] == ".":
            raise BadHeader(f"Malformed HTTP header: `{self}`")
        return min(float(match[1]), 1.0)

    def __lt__(self, other: HeaderElement) -> bool:
        theirs = other.qvalue if isinstance(other, AcceptElement) else 1.0
        mine = self.qvalue
        return str(self) < str(other) if mine == theirs else mine < theirs

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, AcceptElement) else NotImplemented

    __hash__ = HeaderElement.__hash__


def header_elements(
    fieldname: str, fieldvalue: str | None, accept_element: type[AcceptElement] = AcceptElement
) -> list[HeaderElement]:
    """The elements of a header value, last in sort order first: for ``Accept*`` and ``TE``, the most wanted first.

    >>> [str(element) for element in header_elements('Accept', 'text/html;q=0.3, */*')]
    ['*/*', 'text/html;q=0.3']

    *accept_element* is what elements of ``Accept*`` and ``TE`` are made of.

    Raises:
        BadHeader: a q-value is malformed.
    """
    if not fieldvalue:
        return []
    kind = accept_element if fieldname.startswith("Accept") or fieldname == "TE" else HeaderElement
    # RFC 9110, 5.6.1.2: empty elements do not count
    elements = sorted(kind.from_str(part) for part in split_quoted(fieldvalue, ",") if part and not part.isspace())
    # COMPAT: of equal ones the last comes first
    elements.reverse()
    return elements


def decode_TEXT(value: str) -> str:
    r"""Decode RFC 2047 words in *value*; what is malformed or in an unknown charset stays as it was sent.

    >>> decode_TEXT('=?utf-8?q?f=C3=BCr?=')
    'für'
    """
    words = [(word.end(), word.group(1)) for word in _ENCODED_WORD.finditer(value)]
    if not words or _LINE_ENDS.search(value) or not all(is_charset(charset) for _, charset in words):
        return value
    end = words[-1][0]
    try:
        return (
            "".join(
                # email keeps what stands between the words as raw-unicode-escape, which for header octets is latin-1
                (atom.decode(charset or "ISO-8859-1") if isinstance(atom, bytes) else atom)
                for atom, charset in decode_header(value[:end])
            )
            + value[end:]
        )
    except (HeaderParseError, LookupError, ValueError):
        return value


def decode_TEXT_maybe(value: str) -> str:
    """Decode *value* by ``decode_TEXT`` if it holds an encoded word at all."""
    return decode_TEXT(value) if "=?" in value else value


class SanitizedHost(str):
    r"""A Host value without line ends; a harmless one stays a plain str.

    ``raw`` keeps what was sent.

    SECURITY: header injection through an RFC 2047 encoded Host.

    >>> SanitizedHost('localhost\r\nX: y')
    'localhostX: y'
    """

    __slots__ = ("raw",)
    raw: str
    dangerous = _DANGEROUS

    def __new__(cls, raw: str) -> str:  # type: ignore[misc]
        """Return *raw* itself, or a cleaned copy of it."""
        clean = cls._sanitize(raw)
        if clean == raw:
            return raw
        instance = super().__new__(cls, clean)
        instance.raw = raw
        return instance

    @classmethod
    def _sanitize(cls, raw: str) -> str:
        return cls.dangerous.sub("", raw)
