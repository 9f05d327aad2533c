"""When a worker has had enough: too much memory, too many requests, too old. Decisions only; who acts is the watch."""

from __future__ import annotations

from dataclasses import dataclass

from kirsch.spec import Pool

#: Limits are stretched by up to so much, each worker's by its own share, so that they do not all go at once.
JITTER = 0.1
#: One that is over memory_soft from its birth on is not replaced all the time: its successor would be, too.
GROWN_S = 5.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is known of a worker at one moment."""

    rss_bytes: int
    requests: int
    age_s: float
    """Since it became ready."""
    share: float
    """Its own share of the jitter, from 0 to 1."""


def is_beyond_bearing(pool: Pool, vitals: Vitals) -> bool:
    """True when it has to be killed at once: the machine's memory is everybody's."""
    return pool.memory_hard is not None and vitals.rss_bytes > pool.memory_hard


def find_cause(pool: Pool, vitals: Vitals) -> str | None:
    """Say why a worker is to be replaced at leisure; None if it is not.

    >>> find_cause(Pool(name="web", max_requests=1000), Vitals(0, 1049, 60.0, 0.5))
    >>> find_cause(Pool(name="web", max_requests=1000), Vitals(0, 1050, 60.0, 0.5))
    '1050 requests, over max_requests'
    """
    stretch = 1 + JITTER * vitals.share
    is_grown = vitals.age_s >= GROWN_S
    if pool.memory_soft is not None and vitals.rss_bytes > pool.memory_soft and is_grown:
        return f"{vitals.rss_bytes} octets, over memory_soft"
    if pool.max_requests is not None and vitals.requests >= int(pool.max_requests * stretch):
        return f"{vitals.requests} requests, over max_requests"
    if pool.max_lifetime_s is not None and vitals.age_s >= pool.max_lifetime_s * stretch:
        return f"{vitals.age_s:.0f} s old, over max_lifetime_s"
    return None


def share_of(ticks: int) -> float:
    """Return a worker's share of the jitter, the same whenever it is asked for, from the moment of its start."""
    return (ticks * 2654435761 % 2**32) / 2**32
