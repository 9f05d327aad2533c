"""The cookies that a client sends.

Law: linear in the length of the field, since clients write it.
"""

from __future__ import annotations

import http.cookies
import re

_ESCAPED = re.compile(r"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)


class RequestCookie(http.cookies.SimpleCookie):
    """A ``SimpleCookie`` that reads quoted values in linear time.

    SECURITY: CVE-2024-7592: before Python 3.11.10 the standard library needs 3.5 s for 32 KiB of backslashes.
    """

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
