"""Text in a WSGI environ: octets dressed as latin-1, to be decoded as the application says."""

from __future__ import annotations

from typing import Any


def recode(path: str, qs: str, encoded_as: str, encoding: str) -> tuple[str, str] | None:
    r"""Return *path* and *qs* decoded by *encoding*, where they stand as text decoded by *encoded_as*.

    None if there is nothing to do, or if they are not in *encoding*: what the client sent stays as it is.

    >>> recode('/caf\xc3\xa9', '', 'ISO-8859-1', 'utf-8')
    ('/café', '')
    """
    if (path.isascii() and qs.isascii()) or encoded_as.lower() == encoding.lower():
        return None
    try:
        return path.encode(encoded_as).decode(encoding), qs.encode(encoded_as).decode(encoding)
    except UnicodeError:
        return None


def downgrade_wsgi_ux_to_1x(environ: dict[str, Any]) -> dict[str, Any]:
    """Return a WSGI 1.x environ made of a WSGI ('u', 0) one: its path in latin-1, as octets."""
    encoding = environ["wsgi.url_encoding"]
    result = {}
    for key, value in environ.items():
        if key in ("PATH_INFO", "SCRIPT_NAME", "QUERY_STRING") and isinstance(value, str):
            value = value.encode(encoding).decode("ISO-8859-1")
        result[key] = value
    result["wsgi.version"] = (1, 0)
    # what the path is decoded by now
    result["wsgi.url_encoding"] = "ISO-8859-1"
    return result
