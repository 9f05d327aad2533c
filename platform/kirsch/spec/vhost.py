"""What the operator wrote about one virtual host."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

import msgspec

from kirsch.spec.name import Name, Text
from kirsch.spec.size import Bytes

LISTEN_RULE = '"ADDRESS:PORT" or "PORT", with " tls" behind it for HTTPS: "0.0.0.0:80", "[::]:443 tls", "8080"'
_LISTEN = re.compile(r"(?:(?P<address>\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost|\*):)?(?P<port>[0-9]{1,5})(?P<tls> +tls)?\Z")
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
        return cls(address=str(parsed), port=int(match["port"]), tls=bool(match["tls"]))

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
        return f"{self.endpoint}{' tls' if self.tls else ''}"


class Tls(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Certificate chain and key: PEM files, relative to the deploy root on the host (``shared/tls/shop.pem``)."""

    certificate: Text
    key: Text


class Vhost(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The names and addresses under which apps are reached."""

    name: Name
    names: tuple[ServerName, ...] = ()
    """Host names; none means every name."""
    listen: tuple[Listen, ...] = (Listen(address="0.0.0.0", port=8080),)
    apps: tuple[Name, ...] = ()
    """The apps served here; the loader fills in all apps when the operator names none."""
    tls: Tls | None = None
    max_body: Bytes = Bytes(100 * 2**20)
    """The largest request body that is let through, in octets."""
    maintenance: bool = False
    """Answer every request with the maintenance page."""
