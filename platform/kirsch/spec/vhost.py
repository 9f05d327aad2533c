"""What the operator wrote about one virtual host."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

import msgspec

from kirsch.spec.guard import Auth, Maintenance, Rate
from kirsch.spec.name import Name, Text
from kirsch.spec.network import Network
from kirsch.spec.route import Connections
from kirsch.spec.size import Bytes
from kirsch.spec.tls import AcmeClient, Tls

LISTEN_RULE = (
    '"ADDRESS:PORT" or "PORT", with " tls" behind it for HTTPS and " proxy" for the PROXY protocol: "0.0.0.0:80", '
    '"[::]:443 tls", "8080"'
)
_LISTEN = re.compile(
    r"(?:(?P<address>\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost|\*):)?(?P<port>[0-9]{1,5})"
    r"(?P<tls> +tls)?(?P<proxy> +proxy)?\Z"
)
# the length of an answer and what becomes of its connection are nginx's affair
_FRAMING = "connection|content-length|date|keep-alive|server|te|trailer|transfer-encoding|upgrade|x-request-id"
HeaderName = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^(?!(?i:{_FRAMING})\Z)[A-Za-z][A-Za-z0-9-]*\Z",
        max_length=64,
        description="a field name from letters, digits and '-', not one that frames the answer (Content-Length, ...)",
    ),
]
HeaderValue = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[\x21-\x23\x25-\x7e](?:[\x20-\x23\x25-\x7e]*[\x21-\x23\x25-\x7e])?\Z",
        max_length=3000,
        description="printable ASCII without '$', which nginx would take for a variable, and without outer blanks",
    ),
]
ErrorStatus = Annotated[str, msgspec.Meta(pattern=r"^[45][0-9]{2}\Z", description='a status, "400" to "599"')]
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
ServerName = Annotated[
    str,
    msgspec.Meta(
        # nginx's idiom "_" would be a name that nobody asks for
        pattern=rf"^(?!_\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\Z",
        max_length=253,
        description='a host name, "shop.example" or "*.shop.example"; without names, a vhost takes every name',
    ),
]


class Listen(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One address and port, bound by nginx; ``str()`` gives the operator's form back."""

    address: Text
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port from 1 to 65535")]
    tls: bool = False
    proxy: bool = False
    """Every connection begins with a PROXY header (version 1 or 2), as a balancer of connections sends it."""

    @classmethod
    def parse(cls, value: object) -> Listen:
        """Read ``"0.0.0.0:443 tls"``; a port alone means every IPv4 address.

        Raises:
            ValueError: with the rule as its text.
        """
        match = _LISTEN.match(value.strip()) if isinstance(value, str) else None
        if match is None or not 1 <= int(match["port"]) <= 65535:
            raise ValueError(LISTEN_RULE)
        address = {None: "0.0.0.0", "*": "0.0.0.0", "localhost": "127.0.0.1"}.get(match["address"], match["address"])
        try:
            parsed = ipaddress.ip_address(str(address).strip("[]"))
        except ValueError as error:
            raise ValueError(LISTEN_RULE) from error
        if (parsed.version == 6) != str(address).startswith("["):
            raise ValueError(LISTEN_RULE)
        return cls(address=str(parsed), port=int(match["port"]), tls=bool(match["tls"]), proxy=bool(match["proxy"]))

    @property
    def endpoint(self) -> str:
        """``0.0.0.0:80`` or ``[::]:80``."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """Where a browser on this machine would go: ``http://127.0.0.1:8080/``."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.address)
        host = host or (f"[{self.address}]" if ":" in self.address else self.address)
        usual = self.port == (443 if self.tls else 80)
        return f"{'https' if self.tls else 'http'}://{host}{'' if usual else f':{self.port}'}/"

    def __str__(self) -> str:
        return f"{self.endpoint}{' tls' if self.tls else ''}{' proxy' if self.proxy else ''}"


class Vhost(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The names and addresses under which apps are reached."""

    name: Name
    names: tuple[ServerName, ...] = ()
    """Host names; none means every name."""
    aliases: tuple[ServerName, ...] = ()
    """Further names, whose requests are sent to the first of ``names``."""
    www: Literal["add", "remove"] | None = None
    """Send ``shop.example`` to ``www.shop.example`` (add), or the other way round (remove)."""
    redirect_https: bool = False
    """Send requests that come without TLS to the same place with it."""
    listen: tuple[Listen, ...] = (Listen(address="0.0.0.0", port=8080),)
    apps: tuple[Name, ...] = ()
    """The apps served here; the loader fills in all apps when the operator names none."""
    upstream: Name | None = None
    """Other hosts that get everything, instead of apps."""
    tls: Tls | None = None
    acme: Literal[True] | AcmeClient | None = None
    """Who answers the HTTP-01 challenges of a certificate authority, on the addresses without TLS."""
    http2: bool = True
    """HTTP/2 where TLS is spoken."""
    http3: bool = False
    """HTTP/3 (QUIC), too: connections over it may break at a reload of nginx's."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whom to believe who the client is: by the PROXY header where ``listen`` says so, else by X-Forwarded-For."""
    max_body: Bytes = Bytes(100 * 2**20)
    """The largest request body that is let through, in octets."""
    maintenance: Maintenance = Maintenance(on=False)
    """Answer every request with the maintenance page, but for those of a few."""
    compress: bool = True
    """Compress what shrinks, for clients that can read it: gzip, and Brotli and Zstandard where nginx has them."""
    rate: Rate | None = None
    connections: Connections | None = None
    """How many connections one client may have at a time."""
    auth: Auth | None = None
    allow: tuple[Network, ...] = ()
    """Who may come; everybody else gets 403."""
    deny: tuple[Network, ...] = ()
    """Who may not."""
    error_pages: dict[ErrorStatus, Text] = {}
    """What nginx shows with an error of its own: a file below the stack's folder for each status."""
    security: Literal["off", "basic", "strict"] = "off"
    """Fields that make browsers careful, where the application sends none of its own by that name."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Further fields of every answer, where the application sends none of its own by that name."""

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names under which apps answer."""
        return tuple(dict.fromkeys(self._canonical(name) for name in self.names))

    @property
    def redirected_names(self) -> dict[str, tuple[str, ...]]:
        """The names that only send people on: where to, and from which names."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            target = self._canonical(name)
            bare = target.removeprefix("www.")
            other = bare if target != bare else f"www.{bare}"
            if self.www is not None and not target.startswith("*.") and other not in found.get(target, ()):
                found.setdefault(target, []).append(other)
        if self.aliases and self.names:
            found.setdefault(self.served_names[0], []).extend(self.aliases)
        return {target: tuple(dict.fromkeys(names)) for target, names in found.items()}

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name that leads here."""
        return (*self.served_names, *(name for names in self.redirected_names.values() for name in names))

    def _canonical(self, name: str) -> str:
        if self.www is None or name.startswith("*."):
            return name
        bare = name.removeprefix("www.")
        return bare if self.www == "remove" else f"www.{bare}"
