"""The proxy tool: the client's address and the site's name as a proxy in front reports them."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cherrypy.context import serving
from cherrypy.core.host import Host
from cherrypy.core.logs import log
from cherrypy.http.forwarded import Trust

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*", re.ASCII)


def proxy(
    base: str | None = None,
    local: str | None = "X-Forwarded-Host",
    remote: str | None = "X-Forwarded-For",
    scheme: str | None = "X-Forwarded-Proto",
    debug: bool = False,
    trusted: Iterable[str] | None = None,
) -> None:
    """Set ``request.base`` and ``request.remote.ip`` from what the proxy in front of this server says.

    Args:
        base: scheme and host to use when the proxy does not name the host ('http://www.example.com').
        local: the header with the host the client asked for.
        remote: the header with the client's address.
        scheme: the header with the client's scheme; an 'X-Forwarded-Ssl: on' style header means https.
        debug: log what is seen.
        trusted: addresses, networks and 'unix:' of the proxies. Then only these are believed, the address is taken
            from the right, and RFC 7239's ``Forwarded`` is read too; the three header names are not used.

    SECURITY: without *trusted*, as documented of old, every client can write these headers. Name your proxies.
    """
    request = serving.request
    if trusted is not None:
        _resolve(request, _trust(tuple([trusted] if isinstance(trusted, str) else trusted)), base, debug)
        return
    seen = _first(request.headers.get(scheme)) if scheme else ""
    if seen == "on" and scheme and "ssl" in scheme.lower():
        seen = "https"
    if not _SCHEME.fullmatch(seen):
        seen = request.base.partition("://")[0]
    named = _first(request.headers.get(local)) if local else ""
    new_base = named or base
    if not new_base:
        default = urllib.parse.urlsplit(request.base).netloc
        new_base = request.headers.get("Host", default)
    if "://" not in new_base:
        new_base = f"{seen}://{new_base}"
    request.base = new_base
    if remote:
        address = request.headers.get(remote)
        if address:
            if remote == "X-Forwarded-For":
                address = _first(address)
            _set_remote(request, address)
    if debug:
        log(f"base: {request.base!r}, remote: {request.remote.ip!r}", "TOOLS.PROXY")


def _first(value: str | None) -> str:
    """The first element of a list field, '' when it is absent."""
    return value.partition(",")[0].strip() if value else ""


@lru_cache(maxsize=64)
def _trust(networks: tuple[str, ...]) -> Trust:
    return Trust(networks)


def _resolve(request: Any, trust: Trust, base: str | None, debug: bool) -> None:
    # the address of the connection, not what an earlier proxy step may have put into remote.ip
    origin = trust.resolve(getattr(request, "peer_ip", request.remote.ip), request.headers)
    if debug:
        log(f"peer: {request.remote.ip!r}, origin: {origin!r}", "TOOLS.PROXY")
    if origin is None:
        if base:
            request.base = base
        return
    if origin.scheme:
        request.scheme = origin.scheme
    if origin.host or not base:
        host = origin.host or request.headers.get("Host") or urllib.parse.urlsplit(request.base).netloc
        request.base = f"{request.scheme}://{host}"
    else:
        request.base = base if "://" in base else f"{request.scheme}://{base}"
    if origin.remote:
        _set_remote(request, origin.remote)


def _set_remote(request: Any, address: str) -> None:
    """Give the request a remote of its own: hosts may be shared between the requests of a connection."""
    old = request.remote
    request.remote = Host(address, old.port, address if old.name == old.ip else old.name)
