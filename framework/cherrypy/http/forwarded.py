"""Who really asked, when the request came through proxies that we know.

Law: fails closed. Nothing is believed of a peer that is not listed; of a listed one only what is well-formed, and only
as far from the right as every hop is listed too.

SECURITY: whoever reaches the server can write these headers; the left end of X-Forwarded-For is the client's own text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, Protocol

from cherrypy.http.elements import parse_header, split_quoted

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Headers longer than this are nobody's honest chain of proxies.
_CHAIN_LIMIT = 4096
_UNIX = "unix:"

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?", re.ASCII)


class Origin(NamedTuple):
    """What trusted proxies say of the client; None where they say nothing that can be believed.

    Attributes:
        scheme: 'http' or 'https'.
        host: the Host the client asked for, with port if it sent one.
        remote: the client's address.
    """

    scheme: str | None
    host: str | None
    remote: str | None


class Headers(Protocol):
    """What is asked of header maps here."""

    def get(self, key: str, default: None = None, /) -> str | None:
        """The joined value of a field, or None."""


class Hop(NamedTuple):
    """One element of a chain of proxies, as one of them wrote it: all texts unchecked, '' if not given."""

    remote: str
    host: str
    scheme: str


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """Read an address as proxies write it: with or without a port, IPv6 in brackets or bare; None for anything else."""
    text = text.strip(" \t")
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or not (port == "" or _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    if len(text) > 45 or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # a dual-stack listener sees IPv4 peers as ::ffff:192.0.2.1
    return getattr(address, "ipv4_mapped", None) or address


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6


def is_host(text: str) -> bool:
    """True for a name or address with an optional port, as a Host field may hold."""
    return len(text) <= 255 and _HOST.fullmatch(text) is not None


class Trust:
    """The proxies whose word is taken.

    Args:
        networks: addresses ('127.0.0.1'), networks ('10.0.0.0/8', 'fd00::/8'), and 'unix:' for peers on Unix sockets.
        prefer: the family of headers to read when both are there, 'x-forwarded' or 'forwarded'; a proxy that sets only
            one family hands the client's forgery of the other through.

    Raises:
        ValueError: an entry is neither an address nor a network; the message names it.

    >>> Trust(['10.0.0.0/8']).resolve('10.0.0.1', {'X-Forwarded-For': '6.6.6.6, 192.0.2.7'})
    Origin(scheme=None, host=None, remote='192.0.2.7')
    """

    def __init__(self, networks: Iterable[str] = (), *, prefer: str = "x-forwarded") -> None:
        if isinstance(networks, str):
            networks = [part for part in re.split(r"[,\s]+", networks) if part]
        if prefer not in ("x-forwarded", "forwarded"):
            raise ValueError(f"prefer must be 'x-forwarded' or 'forwarded', not {prefer!r}")
        self.unix = False
        self.networks = []
        self.prefer = prefer
        for entry in networks:
            if entry in (_UNIX, "unix"):
                self.unix = True
                continue
            try:
                self.networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError as error:
                raise ValueError(
                    f"trusted proxy {entry!r} is neither an address, a network nor 'unix:' ({error})"
                ) from error
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return self.unix or bool(self.networks)

    def __contains__(self, peer: str) -> bool:
        """True when *peer* (an address; '' or 'unix:' for a Unix socket) is one of the proxies."""
        known = self._known.get(peer)
        if known is None:
            known = self._decide(peer)
            if len(self._known) < 1024:
                self._known[peer] = known
        return known

    def _decide(self, peer: str) -> bool:
        if peer in ("", _UNIX):
            return self.unix
        address = parse_address(peer)
        return address is not None and any(address in network for network in self.networks)

    def resolve(self, peer: str, headers: Headers) -> Origin | None:
        """Say who asked, for a request that *peer* handed us with *headers* (any mapping; names Title-Cased).

        Returns:
            None when the peer is not trusted, or has said nothing.
        """
        if peer not in self:
            return None
        families = [_x_forwarded_chain, _forwarded_chain]
        if self.prefer == "forwarded":
            families.reverse()
        for read in families:
            chain = read(headers)
            if chain is not None:
                return self._walk(chain)
        return None

    def _walk(self, chain: list[Hop]) -> Origin | None:
        """Go from the right, the hop nearest to us, to the first that is not one of our proxies."""
        scheme = host = remote = None
        for hop in reversed(chain):
            if hop.scheme:
                scheme = hop.scheme.lower() if hop.scheme.lower() in ("http", "https") else None
            if hop.host:
                host = hop.host if is_host(hop.host) else None
            if hop.remote == _UNIX:
                if self.unix:
                    continue
                break
            address = parse_address(hop.remote)
            if address is None:
                break
            remote = str(address)
            if remote not in self:
                break
        origin = Origin(scheme, host, remote)
        return None if origin == (None, None, None) else origin


def _x_forwarded_chain(headers: Headers) -> list[Hop] | None:
    """X-Forwarded-For, -Host and -Proto side by side, aligned at their right ends; None when there is none of them.

    A field that has fewer entries than the chain of addresses was replaced, not appended to, by an inner proxy: its
    first entry counts for all hops further left.
    """
    remotes = _entries(headers.get("X-Forwarded-For"))
    hosts = _entries(headers.get("X-Forwarded-Host"))
    schemes = _entries(headers.get("X-Forwarded-Proto"))
    if not (remotes or hosts or schemes):
        return None
    length = max(len(remotes), 1)

    def pad(entries: list[str]) -> list[str]:
        return [""] * (length - len(entries)) + entries[-length:]

    return [Hop(*one) for one in zip(pad(remotes), pad(hosts), pad(schemes), strict=True)]


def _entries(value: str | None) -> list[str]:
    if not value or len(value) > _CHAIN_LIMIT:
        return []
    return [part.strip(" \t") for part in value.split(",")]


def _forwarded_chain(headers: Headers) -> list[Hop] | None:
    """RFC 7239: ``Forwarded: for=192.0.2.60;proto=http;host=x, for="[2001:db8::1]:4711"``."""
    value = headers.get("Forwarded")
    if not value or len(value) > _CHAIN_LIMIT:
        return None
    chain = []
    for element in split_quoted(value, ","):
        _, params = parse_header(";" + element)
        chain.append(Hop(params.get("for", ""), params.get("host", ""), params.get("proto", "")))
    return chain
