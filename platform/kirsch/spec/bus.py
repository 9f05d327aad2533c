"""What the operator wrote about the bus between processes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kirsch.spec.size import Bytes

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
    message: Bytes = Bytes(256 * 2**10)
    """The largest message, with everything around it."""
    queue: Annotated[int, msgspec.Meta(ge=10, le=100_000, description="a number from 10 to 100000")] = 1000
    """Messages that may wait for one worker."""
    queue_size: Bytes = Bytes(8 * 2**20)
    """What they may take together."""
    when_full: Literal["refuse", "drop_oldest"] = "refuse"
    """What becomes of messages for a worker whose queue is full: the new one, or the oldest, is told as failed."""
