"""What the operator wrote about one pool of workers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kirsch.spec.name import Name, Seconds, Text
from kirsch.spec.size import Bytes

MAX_WORKERS = 256
WORKERS_RULE = f'a number from 1 to {MAX_WORKERS}, "auto" (one a core), or a table {{ min = 2, max = 8 }}'
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_WORKERS, description=f"a number from 1 to {MAX_WORKERS}")]
Share = Annotated[float, msgspec.Meta(gt=0, le=1, description="a share, more than 0 and at most 1")]
Lifetime = Annotated[float, msgspec.Meta(ge=1, le=2592000, description="seconds, from 1 to 30 days (2592000)")]
Nice = Annotated[int, msgspec.Meta(ge=-20, le=19, description="a number from -20 (first) to 19 (last)")]
Cpu = Annotated[int, msgspec.Meta(ge=0, le=4095, description="number of a processor, from 0")]
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


class Rolling(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How workers are replaced by those of another release."""

    parallel: Count | None = None
    """How many at once after the first, which goes ahead alone; None for as many as there are cores."""
    min_ready: Count | None = None
    """How many have to serve at any moment. None for all: each old one stays until its successor is ready. Fewer
    lets old ones end first, where memory is short."""
    bake_s: Annotated[float, msgspec.Meta(ge=0, le=3600, description="seconds, from 0 to an hour (3600)")] = 2.0
    """How long the new workers have to stay well before the old ones go; else these get everything back."""
    standby: bool = False
    """Keep the old workers, idle, until the next roll: going back to them takes no boot."""


class Scaling(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When the number of workers follows the load, between ``min`` and ``max``."""

    auto: bool = True
    """False leaves the number to ``kirsch scale``."""
    up_at: Share = 0.75
    """Load of the pool (busy threads or processor, the larger; 1 is all it can do) from which on it grows."""
    down_at: Share = 0.3
    """Load under which it shrinks, one by one."""
    up_after_s: Seconds = 6.0
    """How long the load has to be high before."""
    queue_s: Seconds = 0.1
    """Mean time between nginx and a free thread from which on the pool grows, whatever its load; under a quarter of it
    the pool may shrink."""
    down_after_s: Seconds = 120.0
    """How long it has to be low before."""


class Limits(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the kernel lets one worker have; None leaves what the supervisor has itself."""

    open_files: Annotated[int, msgspec.Meta(ge=64, description="a number from 64")] | None = None
    address_space: Bytes | None = None
    core: Bytes | None = None
    """Size of core dumps; 0 for none."""


class Pool(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The processes that serve the same set of apps."""

    name: Name
    engine: Literal["native", "gunicorn", "uwsgi"] = "native"
    protocol: Literal["http", "uwsgi"] = "http"
    """How nginx speaks to the workers; ``uwsgi`` with the engine of that name."""
    engine_options: dict[Text, str | int | float | bool] = {}
    """Settings of gunicorn or uWSGI by their own names, besides those that are the platform's."""
    workers: Workers = Workers(min=2, max=2)
    threads: Threads = 10
    preload: bool = False
    """Import the apps once a generation, and fork the workers from there: they share what the imports have made."""
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
    alert: Text | None = None
    """Command for ``sh`` that tells somebody of an alert: the event is JSON on its standard input."""
    log: Literal["text", "json"] = "text"
    """How records of the workers' logs look: lines for people, or a JSON object a line."""
    access_log: bool = False
    """Whether CherryPy's access lines go to the workers' logs, beside nginx's."""
    capture: Annotated[int, msgspec.Meta(ge=0, le=64, description="a number from 0 to 64")] = 5
    """How many failed requests (5xx) of each handler a worker keeps for ``kirsch replay``."""
    capture_body: Bytes | None = None
    """How much of their bodies it keeps, up to 4 KiB; None for nothing: bodies are secrets as often as not."""
    user: Text | None = None
    """Who the workers run as, when the supervisor is root."""
    group: Text | None = None
    """Their group; None for the user's own."""
    max_lifetime_s: Lifetime | None = None
    """Age at which a worker is replaced."""
    quarantine_s: Seconds = 30.0
    """How long a worker that did not drain in ``drain_s`` may still be, out of everybody's way, before it is killed."""
    hold_s: Seconds = 15.0
    """How long a request may wait while no worker is there."""
    hold_limit: Annotated[int, msgspec.Meta(ge=0, le=100000, description="a number from 0 to 100000")] = 512
    """How many may wait; the others get 503 at once."""
    roll: Rolling = Rolling()
    scale: Scaling = Scaling()
    limits: Limits = Limits()
    nice: Nice | None = None
    cpus: tuple[Cpu, ...] = ()
    """Processors that the workers may use; none for all."""
    pin: bool = False
    """Give each worker one processor, in turn."""
