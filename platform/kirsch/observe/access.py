"""Who may look at the admin endpoint: this machine by its loopback, everybody else by a token; and nobody changes."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import os
import secrets
from pathlib import Path
from urllib.parse import parse_qs

import cherrypy

TOKEN_BYTES = 24
COOKIE = "kirsch_admin"
#: What a load balancer asks that knows no token; it says nothing but that we live.
OPEN = frozenset({"/livez"})


class Access:
    """The check before each page.

    Args:
        token: who knows it may look from anywhere; None on the loopback, where whoever reaches us is on this machine.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    def check(self) -> None:
        """Let a request pass, or not: a hook at ``on_start_resource``.

        A token in the query (``/?token=…``) becomes a cookie, and leaves the address line.

        Raises:
            HTTPError: 405 for what is no GET, 403 for a strange Host, 401 without the token.
            HTTPRedirect: to the same page without the token in its address.
        """
        request = cherrypy.request
        if request.method not in {"GET", "HEAD"}:
            cherrypy.response.headers["Allow"] = "GET, HEAD"
            raise cherrypy.HTTPError(405, "Nothing is changed here.")
        if self._token is None:
            if not is_plain_host(request.headers.get("Host", "")):
                raise cherrypy.HTTPError(403, "This page is reached by an address or as localhost.")
            return
        if request.path_info in OPEN:
            return
        # what stands behind the ? is no parameter of any page yet
        given = parse_qs(request.query_string).get("token", [""])[0]
        if self._is_right(given):
            cookie = cherrypy.response.cookie
            cookie[COOKIE] = given
            # SECURITY: neither scripts nor pages from elsewhere can use it
            for name, value in (("path", "/"), ("httponly", "1"), ("samesite", "Strict")):
                cookie[COOKIE][name] = value
            raise cherrypy.HTTPRedirect(request.path_info, 303)
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        kept = request.cookie.get(COOKIE)
        if scheme.lower() == "bearer" and self._is_right(bearer.strip()):
            return
        if kept is None or not self._is_right(kept.value):
            cherrypy.response.headers["WWW-Authenticate"] = "Bearer"
            raise cherrypy.HTTPError(401, "This takes the token in RUN/admin.token: /?token=…, or a Bearer header.")

    def _is_right(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())


def is_plain_host(host: str) -> bool:
    """Is the Host an address, or localhost?

    SECURITY: DNS rebinding; a page from elsewhere reaches the loopback, but under its own host's name.
    """
    name = host.rpartition(":")[0] if host.count(":") == 1 or "]:" in host else host
    name = name.strip("[]")
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Is the address to listen on one that only this machine reaches?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_token(path: str) -> str:
    """Read the token, or make one that only we can read; it stays the same for as long as the file does.

    Raises:
        OSError: it can neither be read nor made.
    """
    with contextlib.suppress(FileNotFoundError):
        found = Path(path).read_text("ascii").strip()
        if found:
            return found
    token = secrets.token_urlsafe(TOKEN_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token
