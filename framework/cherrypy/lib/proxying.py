"""The proxy tool: the client's address and the site's name as a proxy in front reports them."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cherrypy.context import serving
from cherrypy.core.host import Host
from cherrypy.core.logs import log
from cherrypy.http.forwarded import Trust, is_host, parse_address, parse_scheme

# SECURITY: 'javascript' is a scheme too
_SCHEMES = frozenset(("http", "https", "ws", "wss"))


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
        scheme: the header with the client's scheme; of the kind of 'X-Forwarded-Ssl: on' it means https.
        debug: log what is seen.
        trusted: addresses, networks and 'unix:' of the proxies. Then only these are believed, the address is taken
            from the right, and RFC 7239's ``Forwarded``, X-Forwarded-Port, X-Forwarded-Prefix and X-Real-IP are read
            too, unless one of the three names is another than its default.

    SECURITY: without *trusted*, as documented of old, every client can write these headers. Name your proxies.
    """
    request = serving.request
    if trusted is not None:
        networks = (trusted,) if isinstance(trusted, str) else tuple(trusted)
        _resolve(request, _trust(networks, remote, local, scheme), base, debug)
        return
    seen = _scheme_in(scheme, request.headers.get(scheme)) if scheme else ""
    if not seen:
        seen = request.base.partition("://")[0]
    named = _host_in(request.headers.get(local)) if local else ""
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
            _set_remote(request, _address_in(remote, address))
    if debug:
        log(f"base: {request.base!r}, remote: {request.remote.ip!r}", "TOOLS.PROXY")


def _scheme_in(name: str, value: str | None) -> str:
    """The scheme that the field *name* tells of, '' if none."""
    seen = parse_scheme(name, _first(value))
    return seen if seen in _SCHEMES else ""


def _host_in(value: str | None) -> str:
    """The host that a field tells of, with a scheme if it has one; '' if that is no host.

    SECURITY: often the client's own text, and the base goes into links and redirects.
    """
    named = _first(value)
    scheme, mark, host = named.rpartition("://")
    return named if is_host(host) and (not mark or scheme.lower() in _SCHEMES) else ""


def _address_in(name: str, value: str) -> str | None:
    """The client's address in the field *name*, without a port; None if X-Forwarded-For begins with something else."""
    is_chain = name.title() == "X-Forwarded-For"
    address = parse_address(_first(value) if is_chain else value)
    if address is None:
        # SECURITY: X-Forwarded-For is often the client's own text, and remote.ip goes into logs and queries
        return None if is_chain else value
    return str(address)


def _first(value: str | None) -> str:
    """The first element of a list field, '' when it is absent."""
    return value.partition(",")[0].strip() if value else ""


@lru_cache(maxsize=64)
def _trust(networks: tuple[str, ...], remote: str | None, local: str | None, scheme: str | None) -> Trust:
    # a text may hold several, as commas and blanks separate them in configuration files
    listed = networks[0] if len(networks) == 1 else networks
    return Trust(listed, remote=remote, host=local, scheme=scheme)


def _resolve(request: Any, trust: Trust, base: str | None, debug: bool) -> None:
    # COMPAT: where the server has been told of its proxies, the client's address is here already, and is no proxy's
    origin = trust.resolve(request.remote.ip, request.headers)
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
    if origin.prefix:
        request.base += origin.prefix
    if origin.remote:
        _set_remote(request, origin.remote)


def _set_remote(request: Any, address: str | None) -> None:
    """Give the request a remote of its own: hosts may be shared between the requests of a connection."""
    if address is None:
        return
    old = request.remote
    request.remote = Host(address, old.port, address if old.name == old.ip else old.name)
