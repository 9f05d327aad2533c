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
        _check_etag(serving.request, etag)


def _check_etag(request: Any, etag: str | None) -> None:
    wanted = parse_etags(request.headers.get("If-Match"))
    if wanted and not matches_strongly(etag, wanted):
        raise HTTPError(412, f"If-Match failed: ETag {etag!r} did not match {wanted!r}")
    unwanted = parse_etags(request.headers.get("If-None-Match"))
    if unwanted and matches_weakly(etag, unwanted):
        if request.method in _SAFE:
            raise HTTPRedirect([], 304)
        raise HTTPError(412, f"If-None-Match failed: ETag {etag!r} matched {unwanted!r}")


def validate_since() -> None:
    """Compare the response's Last-Modified with If-Unmodified-Since and If-Modified-Since.

    The fields are compared as dates, in whichever form they are written; junk is ignored. A client that sent entity
    tags too has them compared instead, if the response has an ETag.

    Raises:
        HTTPError: 412, the page is newer than the client's copy.
        HTTPRedirect: 304, the client's copy is current.
    """
    response, request = serving.response, serving.request
    modified = parse_date(response.headers.get("Last-Modified"))
    if modified is None:
        return
    headers = request.headers
    status = valid_status(response.status)[0]
    has_etag = "ETag" in response.headers
    since = parse_date(headers.get("If-Unmodified-Since"))
    if (
        since is not None
        and modified > since
        and (200 <= status <= 299 or status == 412)
        and not (has_etag and "If-Match" in headers)
    ):
        raise HTTPError(412)
    since = parse_date(headers.get("If-Modified-Since"))
    if (
        since is not None
        and modified <= since
        and (200 <= status <= 299 or status == 304)
        and not (has_etag and "If-None-Match" in headers)
    ):
        if request.method in _SAFE:
            raise HTTPRedirect([], 304)
        raise HTTPError(412)
