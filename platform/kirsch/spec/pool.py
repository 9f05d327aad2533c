"""What the operator wrote about one pool of workers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kirsch.spec.name import Name, Seconds, Text
from kirsch.spec.size import Bytes

MAX_WORKERS = 256
WORKERS_RULE = f'a number from 1 to {MAX_WORKERS}, "auto" (one a core), or a table {{ min = 2, max = 8 }}'
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_WORKERS, description=f"a number from 1 to {MAX_WORKERS}")]
Threads = Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number from 1 to 1000")]


class Workers(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How many processes: ``min`` are kept, ``max`` is the number of slots that nginx knows."""

    min: Count
    max: Count

    @classmethod
    def parse(cls, value: object, cores: int) -> Workers:
        """Read ``4`` or ``"auto"``; *cores* is what "auto" goes by (never fewer than two, so that a roll can overlap).

        Raises:
            ValueError: with the rule as its text.
        """
        if value == "auto":
            count = min(max(2, cores), MAX_WORKERS)
            return cls(min=count, max=count)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WORKERS:
            return cls(min=value, max=value)
        raise ValueError(WORKERS_RULE)


class Pool(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The processes that serve the same set of apps."""

    name: Name
    engine: Literal["native", "gunicorn", "uwsgi"] = "native"
    workers: Workers = Workers(min=2, max=2)
    threads: Threads = 10
    request_deadline_s: Seconds = 60.0
    """The longest that one request may take; nginx waits a little longer."""
    drain_s: Seconds = 30.0
    """How long a worker that is told to go may finish its requests."""
    boot_timeout_s: Seconds = 60.0
    """From spawn to ready."""
    memory_soft: Bytes | None = None
    """Resident octets above which a worker is replaced at leisure."""
    memory_hard: Bytes | None = None
    """Resident octets above which a worker is killed."""
    max_requests: Annotated[int, msgspec.Meta(ge=1, description="a number from 1")] | None = None
    """Requests after which a worker is replaced."""
    user: Text | None = None
    """Who the workers run as, when the supervisor is root."""
