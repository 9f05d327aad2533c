"""Entity tags and the two ways to compare them.

Source: RFC 9110 sections 8.8.3 and 13.1.
"""

from __future__ import annotations

from cherrypy.http.elements import split_quoted


def parse_etags(value: str | None) -> list[str]:
    """The tags of an If-Match or If-None-Match field, as written; ['*'] for any.

    >>> parse_etags('"a,b", W/"c"')
    ['"a,b"', 'W/"c"']
    """
    if not value:
        return []
    return [tag for part in split_quoted(value, ",") if (tag := part.strip(" \t"))]


def opaque(etag: str) -> str:
    """*etag* without its mark of weakness."""
    return etag[2:] if etag.startswith("W/") else etag


def is_weak(etag: str) -> bool:
    """True for a tag that stands for equivalent, not for identical octets."""
    return etag.startswith("W/")


def matches_strongly(etag: str | None, candidates: list[str]) -> bool:
    """True when *etag* is one of *candidates*, octet for octet, none of the two weak; '*' matches any tag."""
    return candidates == ["*"] or (etag is not None and not is_weak(etag) and etag in candidates)


def matches_weakly(etag: str | None, candidates: list[str]) -> bool:
    """True when *etag* is one of *candidates*, weak or not; '*' matches anything."""
    return candidates == ["*"] or (etag is not None and opaque(etag) in map(opaque, candidates))
