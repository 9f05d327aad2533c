"""One line of the access log: the atoms of its format, their escapes, and the same facts as JSON.

PERF: a format is taken apart once; a line then asks for the atoms that it shows and for nothing else (30 -> 7 us).
"""

from __future__ import annotations

import datetime
import re
import string
from collections.abc import Callable, Iterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from time import gmtime, localtime, time
from typing import Any

from cherrypy.core.fieldlookup import field_of, sent_fields

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# The second since the epoch that was asked for last, and how it is written: local, and in UTC.
_last_second: tuple[int, str] = (-1, "")
_last_utc: tuple[int, str] = (-1, "")


def local_time() -> str:
    """The local time as Apache's logs write it, without the zone: ``[21/Nov/2026:03:12:07]``."""
    global _last_second
    now = int(time())
    second, text = _last_second
    if second != now:
        # PERF: 2.5 us once a second
        at = localtime(now)
        text = (
            f"[{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year:04d}:"
            f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}]"
        )
        _last_second = (now, text)
    return text


def _utc_time() -> str:
    """The present time in UTC as RFC 3339."""
    global _last_utc
    moment = time()
    now = int(moment)
    second, text = _last_utc
    if second != now:
        at = gmtime(now)
        text = f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
        _last_utc = (now, text)
    return f"{text}.{int((moment - now) * 1e6):06d}Z"


def escaped(value: Any) -> str:
    r"""Return *value* as a harmless piece of a log line: controls and quotes escaped, other text as octets of UTF-8.

    >>> escaped('caf\xe9')
    'caf\\xc3\\xa9'
    """
    text = value if isinstance(value, str) else value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if text.isascii() and text.isprintable():
        # PERF: repr is needed only where there is something to escape
        return text.replace('"', '\\"') if '"' in text else text
    shown = repr(text.encode("utf-8", "backslashreplace"))[2:-1]
    # repr doubled the backslashes of the text itself
    return shown.replace("\\\\", "\\").replace("\\'", "'").replace('"', '\\"')


def _microseconds(response: Any) -> str:
    """How long the request has taken since its response was made, '-' if that is not known."""
    began = response.time
    # the clock may be set back
    return "-" if began is None else str(max(0, round((time() - began) * 1e6)))


def _zoned_time() -> str:
    now = datetime.datetime.now().astimezone()
    return f"[{now:%d}/{_MONTHS[now.month - 1]}/{now:%Y:%H:%M:%S %z}]"


def _client(request: Any) -> Any:
    remote = request.remote
    return remote.name or remote.ip


def _status(response: Any) -> str:
    status = response.output_status
    if status is None:
        return "-"
    if status == b"200 OK":  # PERF: which is most of them, 0.3 us
        return "200"
    code: str = status.split(b" ", 1)[0].decode("latin-1")
    return code


def _length(response: Any) -> Any:
    """The Content-Length; None without one."""
    if response._headers is None and response.output_status is not None:
        # PERF: a plain page has no map of headers; it ends with this one (3 -> 0.3 us)
        fields = response.header_list
        if fields and fields[-1][0] == b"Content-Length":
            return fields[-1][1].decode("latin-1")
    return response.headers.get("Content-Length")


Fields = dict[bytes, bytes] | None
Atom = Callable[[Any, Any, Any, Fields], Any]

#: What a format may show: functions of manager, request, response and the request's ``sent_fields``.
ATOMS: dict[str, Atom] = {
    "h": lambda manager, request, response, fields: _client(request),
    "l": lambda manager, request, response, fields: "-",
    "u": lambda manager, request, response, fields: getattr(request, "login", None) or "-",
    "t": lambda manager, request, response, fields: manager.time(),
    "r": lambda manager, request, response, fields: request.request_line,
    "s": lambda manager, request, response, fields: _status(response),
    "b": lambda manager, request, response, fields: _length(response) or "-",
    "f": lambda manager, request, response, fields: field_of(request, fields, "Referer", b"referer", ""),
    "a": lambda manager, request, response, fields: field_of(request, fields, "User-Agent", b"user-agent", ""),
    "o": lambda manager, request, response, fields: field_of(request, fields, "Host", b"host", "-"),
    "i": lambda manager, request, response, fields: request.unique_id,
    "z": lambda manager, request, response, fields: manager.utc_time(),
    "tz": lambda manager, request, response, fields: _zoned_time(),
    "D": lambda manager, request, response, fields: _microseconds(response),
}
# These cannot be forged; the first two are objects, whose attributes a format may show.
_HARMLESS = frozenset(("i", "z", "tz", "D"))


class LineFormat:
    """A ``str.format`` of atoms, taken apart.

    Args:
        text: the format.

    Raises:
        ValueError: its braces do not fit together.
    """

    __slots__ = ("_asks_fields", "_makers", "_names", "_template", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        pieces = list(string.Formatter().parse(text))
        used = {re.split(r"[.\[]", name, maxsplit=1)[0] for name in _fields_of(text)}
        # with an unknown one: the formatting itself says which
        self._names = [name for name in ATOMS if name in used or not used <= ATOMS.keys()]
        self._template: str | None = None
        if all(name is None or (name in ATOMS and not spec and not conversion) for _, name, spec, conversion in pieces):
            # PERF: only whole atoms, as in nearly every format: ``str.format`` with names takes twice as long
            self._template = "".join(
                literal.replace("%", "%%") + ("" if name is None else "%s") for literal, name, _, _ in pieces
            )
            self._names = [name for _, name, _, _ in pieces if name is not None]
        self._makers = [ATOMS[name] for name in self._names]
        self._asks_fields = not used.isdisjoint(("f", "a", "o"))

    def line(self, manager: Any, request: Any, response: Any) -> str:
        """Return the line of a request.

        Raises:
            KeyError, IndexError: the format has an atom that does not exist.
        """
        fields = sent_fields(request) if self._asks_fields else None
        values = [make(manager, request, response, fields) for make in self._makers]
        if self._template is not None:
            try:
                together = "".join(values)
            except TypeError:
                together = '"'  # some are no text yet
            # PERF: whether there is anything to escape is asked once, not of every atom
            if '"' not in together and together.isascii() and together.isprintable():
                return self._template % tuple(values)
        values = [
            value if name in _HARMLESS else escaped(value) for name, value in zip(self._names, values, strict=True)
        ]
        if self._template is not None:
            return self._template % tuple(values)
        return self._text.format(**dict(zip(self._names, values, strict=True)))


def _fields_of(text: str) -> Iterator[str]:
    """Yield the names of the fields of a format, those inside of others' specifications included."""
    for _, name, spec, _ in string.Formatter().parse(text):
        if name is not None:
            yield name
        if spec:
            yield from _fields_of(spec)


format_of = lru_cache(maxsize=64)(LineFormat)


def json_line(request: Any, response: Any) -> str:
    """Return the line of a request as a JSON object, in ASCII: no text of a client can end it or forge another.

    Keys: time (RFC 3339, UTC), remote, user, method, path (as it was decoded), query, protocol, status, bytes,
    referer, user_agent, host, request_id, duration_us. What is not there is null.
    """
    query, fields = request.query_string, sent_fields(request)
    return (
        f'{{"time":"{_utc_time()}","remote":{_text(_client(request))},'
        f'"user":{_text(getattr(request, "login", None))},"method":{_text(request.method)},'
        f'"path":{_text(request._path)},"query":{_text(query or None)},"protocol":{_text(request._req_protocol)},'
        f'"status":{_number(_status(response))},"bytes":{_number(_length(response))},'
        f'"referer":{_text(field_of(request, fields, "Referer", b"referer", ""))},'
        f'"user_agent":{_text(field_of(request, fields, "User-Agent", b"user-agent", ""))},'
        f'"host":{_text(field_of(request, fields, "Host", b"host", ""))},"request_id":"{request.unique_id}",'
        f'"duration_us":{_number(_microseconds(response))}}}'
    )


def _text(value: Any) -> str:
    """JSON for text; null for none."""
    if value is None or value == "":
        return "null"
    return _quoted(
        value if isinstance(value, str) else value.decode("latin-1") if isinstance(value, bytes) else str(value)
    )


def _number(value: Any) -> str:
    """JSON for a number that is written in digits; null for anything else."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return str(int(text)) if text.isascii() and text.isdigit() else "null"
