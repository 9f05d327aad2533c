"""What the operator wrote about the bus between processes."""

from __future__ import annotations

from typing import Annotated

import msgspec

BusUrl = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:local|(?:redis|rediss|redis\+unix|unix)://[^\s\x00-\x1f\x7f]+)\Z",
        description='"local", or "redis://host:port/db" once there is more than one host',
    ),
]


class Bus(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where the processes of a stack meet."""

    url: BusUrl = "local"
