"""What a file of the disk says of itself in the head of an answer: its type, its date, its tag.

Law: computed from what was found out about the opened file; what is remembered is a matter of those numbers alone.
"""

from __future__ import annotations

import mimetypes
import os
from functools import lru_cache
from typing import Any

from cherrypy.core.fieldlookup import FieldNames
from cherrypy.http.dates import HTTPDate
from cherrypy.lib.conditional import validate_all

# PERF: looked for together, since few clients send any of them
WISHES = FieldNames("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Range")
_set_header = dict.__setitem__


def _setup_mimetypes() -> None:
    """Know the types that browsers ask for and tables of the system may lack."""
    if not mimetypes.inited:
        mimetypes.init()
    mimetypes.types_map.update(
        {".dwg": "image/x-dwg", ".ico": "image/x-icon", ".bz2": "application/x-bzip2", ".gz": "application/x-gzip"}
    )


_setup_mimetypes()


def describe(
    request: Any, response: Any, path: str, status: os.stat_result, content_type: str | None
) -> tuple[str | None, bool]:
    """Give the response validators and type, and answer from the client's copy if that is current.

    Args:
        request: the current one.
        response: the current one.
        path: for the type, by its extension.
        status: of the file, once it is open.
        content_type: the type, if it is known already.

    Returns:
        The type, None if it is not known; and whether the client may want only a part of the file.

    Raises:
        HTTPError: 412; HTTPRedirect: 304.
    """
    headers = response.headers
    # PERF: past the title-casing of names, which are in their canonical form here
    last_modified, etag = _validators_of(status.st_mtime_ns, status.st_size)
    _set_header(headers, "Last-Modified", last_modified)
    # a tag that somebody else has set stands
    etag = dict.setdefault(headers, "Etag", etag)
    has_wishes = WISHES.any_in(request)
    if has_wishes:
        validate_all()
    else:
        # the etags tool does not look again
        response.ETag = etag
    if content_type is None:
        content_type = type_of(path)
    if content_type is not None:
        _set_header(headers, "Content-Type", content_type)
    return content_type, has_wishes


def type_of(path: str) -> str | None:
    """Return the type of a file by its extension; None if that is not known."""
    return mimetypes.types_map.get(_extension_of(path))


@lru_cache(maxsize=1024)
def validator_fields(modified_ns: int, size: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return Last-Modified and ETag as they are sent, with the offer of ranges behind them."""
    last_modified, etag = _validators_of(modified_ns, size)
    return (
        (b"Last-Modified", last_modified.encode("ascii")),
        (b"Etag", etag.encode("ascii")),
        (b"Accept-Ranges", b"bytes"),
    )


@lru_cache(maxsize=1024)
def _validators_of(modified_ns: int, size: int) -> tuple[str, str]:
    """Last-Modified and ETag; PERF: 5 us, 0.1 us when they were asked for before."""
    return HTTPDate(modified_ns // 10**9), f'"{modified_ns:x}-{size:x}"'


@lru_cache(maxsize=1024)
def _extension_of(path: str) -> str:
    return os.path.splitext(path)[1].lower()
