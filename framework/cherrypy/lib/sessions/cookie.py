"""The cookie that carries a session's id."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.http.dates import HTTPDate
from cherrypy.lib.sessions.settings import RULES, SAMESITE, check_settings, is_attribute

_YEAR_S = 365 * 24 * 3600
_ARGUMENTS = frozenset(("path", "path_header", "name", "timeout", "domain", "secure", "httponly", "samesite"))
_SAMESITE_RULE = {"samesite": RULES["samesite"]}


def set_response_cookie(
    path: str | None = None,
    path_header: str | None = None,
    name: str = "session_id",
    timeout: float | None = 60,
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = False,
    samesite: str | None = None,
) -> None:
    """Send the current session's id to the client.

    Args:
        path: of the cookie.
        path_header: a request header to take the path from, if there is no *path*.
        name: of the cookie.
        timeout: minutes the client keeps it; None or 0: until it closes.
        domain: of the cookie.
        secure: only over TLS.
        httponly: not for scripts.
        samesite: 'Lax', 'Strict', 'None' (needs *secure*), or None to leave it to the browser (most take it for 'Lax').

    COMPAT: applications, CherryPy's tests among them, know the cookie without SameSite; logins that come back by a POST
    from another site (SAML, OpenID) need it so.

    Raises:
        ValueError: *samesite* is none of these, or 'None' without *secure*.
    """
    request, cookie = serving.request, serving.response.cookie
    cookie[name] = serving.session.id
    morsel = cookie[name]
    if not path and path_header:
        # SECURITY: a header is the client's; it must not add attributes to the cookie
        given = request.headers.get(path_header)
        path = given if is_attribute(given) else None
    morsel["path"] = path or "/"
    if timeout:
        seconds = int(timeout * 60)
        morsel["max-age"] = seconds
        # for clients older than max-age
        morsel["expires"] = HTTPDate(time.time() + seconds)
    if domain is not None:
        morsel["domain"] = domain
    check_samesite(samesite, secure)
    if samesite:
        morsel["samesite"] = SAMESITE[samesite.lower()]
    if secure:
        morsel["secure"] = 1
    if httponly:
        morsel["httponly"] = 1


def check_samesite(samesite: Any, secure: Any) -> None:
    """Look whether browsers will take the cookie.

    Raises:
        ValueError: *samesite* is unknown, or 'None' without *secure*.
    """
    check_settings({"samesite": samesite}, _SAMESITE_RULE)
    if samesite and samesite.lower() == "none" and not secure:
        raise ValueError(
            "tools.sessions.samesite = 'None' needs tools.sessions.secure = True: browsers refuse such a cookie without"
        )


def cookie_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``set_response_cookie`` among the settings of the tool."""
    arguments = {name: value for name, value in settings.items() if name in _ARGUMENTS}
    if not settings.get("persistent", True):
        arguments["timeout"] = None
    return arguments


def id_from_cookie(request: Any, name: str) -> str | None:
    """The session's id that the client sent; None without one.

    A malformed neighbour costs nothing: the standard parser drops all cookies behind, or with, one that it dislikes.
    """
    with contextlib.suppress(HTTPError):
        if name in request.cookie:
            value: str = request.cookie[name].value
            return value
    for pair in (request.headers.get("Cookie") or "").split(";"):
        key, mark, value = pair.strip(" \t").partition("=")
        if mark and key == name:
            return value.strip('"')
    return None


def expire() -> None:
    """Make the client forget the session's cookie."""
    request, cookie = serving.request, serving.response.cookie
    name = request.config.get("tools.sessions.name", "session_id")
    if name not in cookie:
        session = getattr(serving, "session", None)
        cookie[name] = session.id if session is not None else ""
        cookie[name]["path"] = request.config.get("tools.sessions.path") or "/"
        domain = request.config.get("tools.sessions.domain")
        if domain is not None:
            # a browser drops only the cookie of the same name, path and domain
            cookie[name]["domain"] = domain
    cookie[name]["expires"] = HTTPDate(time.time() - _YEAR_S)
    cookie[name]["max-age"] = ""
