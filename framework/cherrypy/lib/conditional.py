"""Conditional requests: answer 304 or 412 when the client's copy says that the page need not be sent, or changed.

Source: RFC 9110 section 13.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError, HTTPRedirect
from cherrypy.core.logs import log
from cherrypy.http.dates import parse_date
from cherrypy.http.etags import matches_strongly, matches_weakly, parse_etags
from cherrypy.http.status import valid_status

_SAFE = ("GET", "HEAD")


def validate_etags(autotags: bool = False, debug: bool = False) -> None:
    """Compare the response's ETag with If-Match and If-None-Match.

    Args:
        autotags: make an ETag from the body of a 200 that has none; this collects the body.
        debug: log what is decided.

    Raises:
        HTTPError: 412, the precondition fails.
        HTTPRedirect: 304, the client's copy is current.
    """
    response = serving.response
    # once per response: the hook runs again when the error page is finalized
    if hasattr(response, "ETag"):
        return
    status = valid_status(response.status)[0]
    etag = response.headers.get("ETag")
    if not etag and autotags and status == 200:
        # SECURITY: not a guard, only a name for these octets; MD5 keeps tags as they have always been
        digest = hashlib.md5(response.collapse_body(), usedforsecurity=False)
        etag = response.headers["ETag"] = f'"{digest.hexdigest()}"'
    response.ETag = etag
    if debug:
        log(f"ETag: {etag!r} status: {status}", "TOOLS.ETAGS")
    if 200 <= status <= 299:
        _check_match(serving.request, etag)
        _check_none_match(serving.request, etag)


def validate_since() -> None:
    """Compare the response's Last-Modified with If-Unmodified-Since and If-Modified-Since.

    The fields are compared as dates, in whichever form they are written; junk is ignored. A client that sent entity
    tags too has them compared instead, if the response has an ETag.

    Raises:
        HTTPError: 412, the page is newer than the client's copy.
        HTTPRedirect: 304, the client's copy is current.
    """
    request, response = serving.request, serving.response
    _check_unmodified(request, response)
    _check_modified(request, response)


def validate_all() -> None:
    """Compare ETag and Last-Modified with all that the client said about them, in the order of RFC 9110, 13.2.2.

    The etags tool does not look again.

    Raises:
        HTTPError: 412, a precondition fails.
        HTTPRedirect: 304, the client's copy is current.
    """
    request, response = serving.request, serving.response
    etag = response.ETag = response.headers.get("ETag")
    _check_match(request, etag)
    _check_unmodified(request, response)
    _check_none_match(request, etag)
    _check_modified(request, response)


def _check_match(request: Any, etag: str | None) -> None:
    wanted = parse_etags(request.headers.get("If-Match"))
    if wanted and not matches_strongly(etag, wanted):
        raise HTTPError(412, f"If-Match failed: ETag {etag!r} did not match {wanted!r}")


def _check_unmodified(request: Any, response: Any) -> None:
    modified, since = _dates(request, response, "If-Unmodified-Since")
    if modified is None or since is None or modified <= since:
        return
    if ("ETag" in response.headers and "If-Match" in request.headers) or not _is_status(response, 412):
        return
    raise HTTPError(412)


def _check_none_match(request: Any, etag: str | None) -> None:
    unwanted = parse_etags(request.headers.get("If-None-Match"))
    if unwanted and matches_weakly(etag, unwanted):
        if request.method in _SAFE:
            raise HTTPRedirect([], 304)
        raise HTTPError(412, f"If-None-Match failed: ETag {etag!r} matched {unwanted!r}")


def _check_modified(request: Any, response: Any) -> None:
    modified, since = _dates(request, response, "If-Modified-Since")
    if modified is None or since is None or modified > since:
        return
    if ("ETag" in response.headers and "If-None-Match" in request.headers) or not _is_status(response, 304):
        return
    if request.method in _SAFE:
        raise HTTPRedirect([], 304)
    raise HTTPError(412)


def _dates(request: Any, response: Any, field: str) -> tuple[int | None, int | None]:
    """The response's Last-Modified and the request's *field*, in seconds since the epoch; None for no date.

    PERF: few clients ask; the response's own date is not read for the others.
    """
    asked = request.headers.get(field)
    if not asked:
        return None, None
    return parse_date(response.headers.get("Last-Modified")), parse_date(asked)


def _is_status(response: Any, other: int) -> bool:
    """True when *response* is a success, or *other* already."""
    status = valid_status(response.status)[0]
    return 200 <= status <= 299 or status == other
