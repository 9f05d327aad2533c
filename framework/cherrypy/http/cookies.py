"""The cookies that a client sends.

Law: linear in the length of the field, since clients write it.
"""

from __future__ import annotations

import http.cookies
import re
from contextlib import suppress
from typing import Any

_ESCAPED = re.compile(r"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)


class RequestCookie(http.cookies.SimpleCookie):
    """A ``SimpleCookie`` that reads quoted values in linear time.

    SECURITY: CVE-2024-7592: before Python 3.11.10 the standard library needs 3.5 s for 32 KiB of backslashes.
    """

    def load(self, rawdata: Any) -> None:
        """Read a Cookie field, or take morsels or texts of a dict.

        The standard parser gives up at, or with, the first cookie that it dislikes. The others are still read, unless
        there is a quote: between two of them a semicolon separates nothing.

        Raises:
            http.cookies.CookieError: an illegal name.
        """
        super().load(rawdata)
        if isinstance(rawdata, str) and '"' not in rawdata:
            pieces = rawdata.split(";")
            if len(pieces) > len(self):
                for piece in pieces:
                    with suppress(http.cookies.CookieError):
                        super().load(piece)

    def value_decode(self, val: str) -> tuple[str, str]:
        """Return the value without its quotes and escapes, and as it was sent."""
        return unquote(val), val


def unquote(value: str) -> str:
    r"""Take the quotes off a quoted value, and resolve its escapes; any other value stays as it is.

    >>> unquote(r'"a\"b\054c"'), unquote('a"b')
    ('a"b,c', 'a"b')
    """
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 8)) if escape[1] else escape[2], value[1:-1])
