"""The cookie that carries a session's id."""

from __future__ import annotations

import time

from cherrypy.context import serving
from cherrypy.http.dates import HTTPDate

_SAMESITE = {"lax": "Lax", "strict": "Strict", "none": "None"}
_YEAR_S = 365 * 24 * 3600


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
        samesite: 'Lax', 'Strict', or 'None', which implies *secure*.

    Raises:
        ValueError: *samesite* is none of these.
    """
    request, cookie = serving.request, serving.response.cookie
    cookie[name] = serving.session.id
    morsel = cookie[name]
    morsel["path"] = path or (request.headers.get(path_header) if path_header else None) or "/"
    if timeout:
        seconds = int(timeout * 60)
        morsel["max-age"] = seconds
        # for clients older than max-age
        morsel["expires"] = HTTPDate(time.time() + seconds)
    if domain is not None:
        morsel["domain"] = domain
    if samesite:
        if samesite.lower() not in _SAMESITE:
            raise ValueError(f"tools.sessions.samesite must be 'Lax', 'Strict' or 'None', not {samesite!r}")
        morsel["samesite"] = _SAMESITE[samesite.lower()]
        secure = secure or samesite.lower() == "none"
    if secure:
        morsel["secure"] = 1
    if httponly:
        morsel["httponly"] = 1


def expire() -> None:
    """Make the client forget the session's cookie."""
    request, cookie = serving.request, serving.response.cookie
    name = request.config.get("tools.sessions.name", "session_id")
    if name not in cookie:
        session = getattr(serving, "session", None)
        cookie[name] = session.id if session is not None else ""
        cookie[name]["path"] = request.config.get("tools.sessions.path") or "/"
    cookie[name]["expires"] = HTTPDate(time.time() - _YEAR_S)
    cookie[name]["max-age"] = ""
