"""What the operator wrote about other hosts behind nginx: an edge's upstream."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

from kirsch.spec.name import Name, Seconds

ADDRESS_RULE = '"ADDRESS:PORT" or "NAME:PORT": "10.0.0.21:80", "[2001:db8::21]:80", "web1.internal:8080"'
STICKY_RULE = "true, or a table { days = 7 }"
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"

Address = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^(?:\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*):[1-9][0-9]{{0,4}}\Z",
        max_length=260,
        description=ADDRESS_RULE,
    ),
]
Resolver = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:\[[0-9A-Fa-f:.]+\]|[0-9.]+)(?::[1-9][0-9]{0,4})?\Z",
        max_length=64,
        description='the address of a DNS server, "10.0.0.2" or "[2001:db8::2]:5353"',
    ),
]
Weight = Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number from 1 to 1000")]
Failures = Annotated[int, msgspec.Meta(ge=0, le=100, description="a number from 0 (never out) to 100")]


class Member(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One host of an upstream."""

    address: Address
    weight: Weight = 1
    """Its share of the requests, beside the others'."""
    down: bool = False
    """Gets nothing: it is drained, or being repaired. Its line stays, so that clients keep their hosts."""
    backup: bool = False
    """Gets something only while none of the others can be reached."""
    max_fails: Failures = 2
    """So many failures within ``fail_timeout_s`` take it out for as long."""
    fail_timeout_s: Seconds = 5.0

    @classmethod
    def parse(cls, value: object) -> Member:
        """Read ``"10.0.0.21:80"``.

        Raises:
            ValueError: with the rule as its text.
        """
        try:
            return cls(address=msgspec.convert(value, Address))
        except msgspec.ValidationError as error:
            raise ValueError(ADDRESS_RULE) from error

    @property
    def host(self) -> str:
        """The address without its port, and without brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.address.rpartition(":")[2])

    @property
    def is_name(self) -> bool:
        """True when a DNS server has to be asked."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


class Sticky(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A client stays with the host that it got, by a cookie."""

    days: Annotated[int, msgspec.Meta(ge=1, le=365, description="a number of days from 1 to 365")] = 1

    @classmethod
    def parse(cls, value: object) -> Sticky:
        """Read ``true``.

        Raises:
            ValueError: with the rule as its text.
        """
        if value is not True:
            raise ValueError(STICKY_RULE)
        return cls()


class Upstream(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Hosts that serve the same, each with an nginx of its own."""

    name: Name
    members: tuple[Member, ...]
    sticky: Sticky | None = None
    connect_timeout_s: Annotated[
        float, msgspec.Meta(ge=0.1, le=60, description="seconds, from 0.1 to a minute (60)")
    ] = 2.0
    """A host that does not take a connection within so long is given up for the next one."""
    timeout_s: Seconds = 3600.0
    """How long nginx waits for a host to say something: longer than any of the hosts' own limits."""
    resolve: bool = False
    """Ask DNS for the addresses of names again and again, as they may change; else the system is asked once, when
    nginx takes up its configuration, and knows the names of its own file, too."""
    resolver: tuple[Resolver, ...] = ()
    """The DNS servers to ask; none: those of the machine."""

    @property
    def tries(self) -> int:
        """To how many hosts one request may be sent."""
        return min(3, max(2, sum(not member.down for member in self.members)))

    @property
    def search_s(self) -> float:
        """How long another host is looked for: less than an answer is waited for, or slow requests would run twice."""
        return min(self.tries * self.connect_timeout_s + 1.0, self.timeout_s / 2)
