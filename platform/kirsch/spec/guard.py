"""What the operator wrote about who may come in, and how often: for a whole vhost, or for one route."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from kirsch.spec.name import Text
from kirsch.spec.network import Network

RATE_RULE = '"10/s", "100/m", or a table { limit = "10/s", burst = 20, per = "client" } (per: client, all)'
MAINTENANCE_RULE = "true, false, or a table { bypass = [NETWORKS], retry_after_s = 300 }"
_RATE = re.compile(r"([1-9][0-9]{0,5})/([sm])\Z")

RateText = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,5}/[sm]\Z", description=RATE_RULE)]
UserName = Annotated[
    str,
    msgspec.Meta(
        # ':' ends a name in the file of passwords, '#' at its begin makes a remark of the line
        pattern=r"^(?!#)[^\x00-\x1f\x7f-\x9f:\ud800-\udfff]+\Z",
        max_length=200,
        description="the name of a user: any text without ':' and control characters that does not begin with '#'",
    ),
]
PasswordHash = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:\$2[aby]\$|\$5\$|\$6\$|\$apr1\$|\{SSHA\})[A-Za-z0-9./$+=]+\Z",
        max_length=300,
        description='a hash as "htpasswd -nB USER" or "openssl passwd -6" prints it: $2y$, $5$, $6$, $apr1$, {SSHA}',
    ),
]
Realm = Annotated[
    str,
    msgspec.Meta(
        # nginx prints it between quotation marks as it is, and takes the word "off" for a switch
        pattern=r"^(?!off\Z)[\x20-\x21\x23\x25-\x5b\x5d-\x7e]+\Z",
        max_length=200,
        description="printable ASCII without quotation marks, backslashes and '$', not the word off",
    ),
]


class Rate(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How often one may ask: more is answered 429."""

    limit: RateText
    burst: Annotated[int, msgspec.Meta(ge=0, le=100000, description="a number from 0 to 100000")] = 20
    """How many requests may come faster, all at once."""
    per: Literal["client", "all"] = "client"
    """Each client's address by itself, or everybody together."""

    @classmethod
    def parse(cls, value: object) -> Rate:
        """Read ``"10/s"``.

        Raises:
            ValueError: with the rule as its text.
        """
        if not isinstance(value, str) or not _RATE.match(value):
            raise ValueError(RATE_RULE)
        return cls(limit=value)


class Auth(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Basic authentication (RFC 7617), asked for by nginx before anything reaches an app."""

    realm: Realm = "restricted"
    users: dict[UserName, PasswordHash] = {}
    users_file: Text | None = None
    """A file of ``name:hash`` lines on the host, relative to the deploy root, instead of ``users``."""


class Maintenance(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everybody gets the maintenance page, but for those who may go on."""

    on: bool = True
    bypass: tuple[Network, ...] = ()
    """Who sees the site as ever."""
    retry_after_s: Annotated[int, msgspec.Meta(ge=1, le=604800, description="seconds, from 1 to a week (604800)")] = 60

    @classmethod
    def parse(cls, value: object) -> Maintenance:
        """Read ``true`` or ``false``.

        Raises:
            ValueError: with the rule as its text.
        """
        if not isinstance(value, bool):
            raise ValueError(MAINTENANCE_RULE)
        return cls(on=value)

    def __bool__(self) -> bool:
        return self.on
