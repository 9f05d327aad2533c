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

X_FOR, X_HOST, X_PROTO = "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"
X_PORT, X_PREFIX = "X-Forwarded-Port", "X-Forwarded-Prefix"

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?", re.ASCII)
_HAS_PORT = re.compile(r":[0-9]{1,5}\Z")
_PREFIX_LIMIT = 200
# no "//" and no dot segments: it goes into links, where a browser would resolve them
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~@:+-]+)+", re.ASCII)
_NO = frozenset(("off", "0", "no", "false"))
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Origin(NamedTuple):
    """What trusted proxies say of the client; None where they say nothing that can be believed.

    Attributes:
        scheme: 'http' or 'https'.
        host: the Host the client asked for, with port if it sent one.
        remote: the client's address.
        prefix: the beginning of the client's path that proxies took off ('/shop'); never '' or ending in a slash.
    """

    scheme: str | None
    host: str | None
    remote: str | None
    prefix: str | None = None


_NOTHING = Origin(None, None, None)


class Headers(Protocol):
    """What is asked of header maps here."""

    def get(self, key: str, default: None = None, /) -> str | None:
        """The joined value of a field, or None."""


class Hop(NamedTuple):
    """One element of a chain of proxies, as one of them wrote it: all texts unchecked, '' if not given."""

    remote: str
    host: str
    scheme: str
    port: str = ""
    prefix: str = ""


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


def parse_scheme(field: str, value: str) -> str:
    """Read what the field named *field* says of the client's scheme; '' if nothing.

    Fields like 'X-Forwarded-Ssl: on', 'Front-End-Https: on' and Azure's 'X-Arr-Ssl: 2048|256|...' say https by being
    there.
    """
    seen = value.lower()
    if seen and seen not in _DEFAULT_PORTS and any(word in field.lower() for word in ("ssl", "https")):
        return "" if seen in _NO else "https"
    return seen


def named_hosts(value: str) -> tuple[str, ...]:
    """The names under which to look up what a Host or X-Forwarded-Host field says, best first.

    ``Shop.Example.:8080, inner`` gives ``shop.example:8080`` and ``shop.example``; what is no host gives none.
    """
    host = value.partition(",")[0].strip(" \t").lower()
    if not is_host(host):
        return ()
    port = _HAS_PORT.search(host)
    name = (host[: port.start()] if port else host).removesuffix(".")
    return (name + port[0], name) if port else (name,)


class Trust:
    """The proxies whose word is taken.

    Args:
        networks: addresses ('127.0.0.1'), networks ('10.0.0.0/8', 'fd00::/8'), and 'unix:' for peers on Unix sockets.
        prefer: the family of headers to read when both are there, 'x-forwarded' or 'forwarded'; a proxy that sets only
            one family hands the client's forgery of the other through.
        remote: the field with the client's address. Any other name than X-Forwarded-For's is of a field that holds one
            address ('X-Real-IP'), and then X-Forwarded-For is not read at all; None leaves the address alone.
        host: the field with the host the client asked for, or None.
        scheme: the field with the client's scheme, or None.

    Raises:
        ValueError: an entry is neither an address nor a network; the message names it.

    >>> Trust(['10.0.0.0/8']).resolve('10.0.0.1', {'X-Forwarded-For': '6.6.6.6, 192.0.2.7'})
    Origin(scheme=None, host=None, remote='192.0.2.7')
    """

    def __init__(
        self,
        networks: Iterable[str] = (),
        *,
        prefer: str = "x-forwarded",
        remote: str | None = X_FOR,
        host: str | None = X_HOST,
        scheme: str | None = X_PROTO,
    ) -> None:
        if isinstance(networks, str):
            networks = [part for part in re.split(r"[,\s]+", networks) if part]
        if prefer not in ("x-forwarded", "forwarded"):
            raise ValueError(f"prefer must be 'x-forwarded' or 'forwarded', not {prefer!r}")
        self.unix = False
        self.networks = []
        self.prefer = prefer
        # header maps are asked by title; '' is the name of no field
        self._remote, self._host, self._scheme = ((name or "").title() for name in (remote, host, scheme))
        self._is_usual = (self._remote, self._host, self._scheme) == (X_FOR, X_HOST, X_PROTO)
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
        # fields of one's own choice are the ones to read: a Forwarded beside them is the client's
        families = [self._x_forwarded_chain] + ([_forwarded_chain] if self._is_usual else [])
        if self.prefer == "forwarded":
            families.reverse()
        chain = next((found for read in families if (found := read(headers)) is not None), [])
        origin = self._walk(chain, headers)
        if self._is_usual and not any(hop.remote for hop in chain):
            # nobody keeps a chain: nginx's customary field, which holds one address
            address = parse_address(headers.get("X-Real-Ip") or "")
            origin = origin if address is None else origin._replace(remote=str(address))
        return None if origin == _NOTHING else origin

    def _walk(self, chain: list[Hop], headers: Headers) -> Origin:
        """Go from the right, the hop nearest to us, to the first that is not one of our proxies."""
        scheme = host = remote = None
        port = prefix = ""
        for hop in reversed(chain):
            if hop.scheme:
                seen = parse_scheme(self._scheme, hop.scheme)
                scheme = seen if seen in _DEFAULT_PORTS else None
            if hop.host:
                host = hop.host if is_host(hop.host) else None
            port = hop.port or port
            prefix = _parse_prefix(hop.prefix) + prefix
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
        if host is None and port and not any(hop.host for hop in chain):
            host = _with_port(headers.get("Host") or "", port, scheme)
        return Origin(scheme, host, remote, prefix if 0 < len(prefix) <= _PREFIX_LIMIT else None)

    def _x_forwarded_chain(self, headers: Headers) -> list[Hop] | None:
        """X-Forwarded-For, -Host, -Proto, -Port and -Prefix side by side, aligned at the right; None without any.

        A field that has fewer entries than the chain of addresses was replaced, not appended to, by an inner proxy: its
        first entry counts for all hops further left.
        """
        remotes = _entries(headers.get(self._remote)) if self._remote else []
        if self._remote != X_FOR and len(remotes) > 1:
            remotes = []  # a field of one address with two: one of them is the client's own
        others = [
            _entries(headers.get(name)) if name else []
            for name in (self._host, self._scheme, X_PORT if self._host else "", X_PREFIX if self._host else "")
        ]
        if not (remotes or any(others)):
            return None
        length = max(len(remotes), 1)
        return [Hop(*one) for one in zip(*(_pad(entries, length) for entries in (remotes, *others)), strict=True)]


def _pad(entries: list[str], length: int) -> list[str]:
    return [""] * (length - len(entries)) + entries[-length:]


def _with_port(host: str, port: str, scheme: str | None) -> str | None:
    """The Host field completed by the port that a proxy tells of; None where that adds nothing.

    Asked only where no proxy names the host: who does names it with its port.
    """
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536) or _HAS_PORT.search(host):
        return None
    if scheme is None or port == _DEFAULT_PORTS[scheme]:
        return None
    whole = f"{host}:{port}"
    return whole if is_host(whole) else None


def _parse_prefix(text: str) -> str:
    """``/shop/`` gives ``/shop``; whatever is no path in plain letters gives ''."""
    text = text.rstrip("/")
    return text if len(text) <= _PREFIX_LIMIT and _PREFIX.fullmatch(text) else ""


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
