"""The callables of the smaller built-in tools, and the documented names of their larger neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.lib import is_closable_iterator, is_iterator
from cherrypy.lib.conditional import validate_etags, validate_since
from cherrypy.lib.logtools import log_hooks, log_request_headers, log_traceback
from cherrypy.lib.negotiation import MonitoredHeaderMap, accept, autovary
from cherrypy.lib.paramtypes import convert_params
from cherrypy.lib.proxying import proxy
from cherrypy.lib.redirection import redirect, trailing_slash
from cherrypy.lib.sessionauth import SessionAuth, session_auth

__all__ = [
    "MonitoredHeaderMap",
    "SessionAuth",
    "accept",
    "allow",
    "autovary",
    "convert_params",
    "flatten",
    "ignore_headers",
    "is_iterator",
    "log_hooks",
    "log_request_headers",
    "log_traceback",
    "proxy",
    "redirect",
    "referer",
    "response_headers",
    "session_auth",
    "text_or_bytes",
    "trailing_slash",
    "validate_etags",
    "validate_since",
]

text_or_bytes = (str, bytes)


def allow(methods: str | Iterable[str] | None = None, debug: bool = False) -> None:
    """Answer 405 unless the request's method is one of *methods* (default GET, HEAD; GET allows HEAD too).

    Raises:
        HTTPError: 405.
    """
    allowed = [methods] if isinstance(methods, str) else list(methods or ())
    allowed = [method.upper() for method in allowed if method] or ["GET", "HEAD"]
    if "GET" in allowed and "HEAD" not in allowed:
        allowed.append("HEAD")
    serving.response.headers["Allow"] = ", ".join(allowed)
    method = serving.request.method
    is_allowed = method in allowed
    if debug:
        log(f"request.method {method!r} {'' if is_allowed else 'not '}in methods {allowed!r}", "TOOLS.ALLOW")
    if not is_allowed:
        raise HTTPError(405)


def ignore_headers(headers: str | Iterable[str] = ("Range",), debug: bool = False) -> None:
    """Delete *headers* from the request before anyone acts on them."""
    request = serving.request
    for name in [headers] if isinstance(headers, str) else headers:
        if name in request.headers:
            if debug:
                log(f"Ignoring request header {name!r}", "TOOLS.IGNORE_HEADERS")
            del request.headers[name]


def response_headers(headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, debug: bool = False) -> None:
    """Set *headers*, a dict or pairs of name and value, on the response."""
    if debug:
        log(f"Setting response headers: {headers!r}", "TOOLS.RESPONSE_HEADERS")
    for name, value in headers.items() if isinstance(headers, Mapping) else headers or ():
        serving.response.headers[name] = value


response_headers.failsafe = True  # type: ignore[attr-defined]


def referer(
    pattern: str,
    accept: bool = True,
    accept_missing: bool = False,
    error: int = 403,
    message: str = "Forbidden Referer header.",
    debug: bool = False,
) -> None:
    """Answer *error* unless the Referer matches *pattern* (or, with ``accept=False``, if it does).

    The header is the client's to write: this keeps links and images of other sites off, and attackers not.

    Raises:
        HTTPError: *error* with *message*.
    """
    given = serving.request.headers.get("Referer")
    accepted = accept_missing if given is None else bool(re.match(pattern, given)) == accept
    if debug:
        log(f"Referer {given!r} {'matches' if accepted else 'is refused by'} {pattern!r}", "TOOLS.REFERER")
    if not accepted:
        raise HTTPError(error, message)


def flatten(debug: bool = False) -> None:
    """Let the body be made of nested iterators; what comes out is one.

    Text in them is encoded in the charset that the encode tool chose for the rest.
    """
    response = serving.response
    elements = response.headers.elements("Content-Type")
    charset = elements[0].params.get("charset") if elements else None
    if debug:
        log(f"Flattening a {type(response.body).__name__}, charset {charset!r}", "TOOLS.FLATTEN")
    response.body = _flattened(response.body, charset)


def _flattened(body: Iterable[Any], charset: str | None) -> Iterator[Any]:
    try:
        for chunk in body:
            if is_iterator(chunk):
                yield from _flattened(chunk, charset)
            else:
                yield chunk.encode(charset) if charset and isinstance(chunk, str) else chunk
    finally:
        if is_closable_iterator(body):
            body.close()  # type: ignore[attr-defined]
