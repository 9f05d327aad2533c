"""What nginx answered, counted: one line of its access log at a time, and its own ``stub_status``.

Contract: the supervisor has one :class:`NginxTally`; whoever serves metrics yields from :func:`nginx_families` of its
``snapshot()``. Memory is bounded: series are vhosts times statuses of upstreams, with ``overflow`` beyond the limit.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from kirsch.observe.accesslog import AccessLine, number
from kirsch.scoreboard import BOUNDS_S

SERIES_LIMIT = 4000
OVERFLOW = "overflow"
#: What ``$upstream_cache_status`` may be; anything else is counted as nothing.
CACHE_STATES = frozenset({"MISS", "BYPASS", "EXPIRED", "STALE", "UPDATING", "REVALIDATED", "HIT"})


@dataclass(slots=True)
class _Latency:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0

    def add(self, took_s: float) -> None:
        self.buckets[bisect_left(BOUNDS_S, took_s)] += 1
        self.total_s += took_s


@dataclass(frozen=True, slots=True)
class Latency:
    """A histogram: counts by ``BOUNDS_S`` and beyond, not cumulated, and their sum in seconds."""

    buckets: tuple[int, ...]
    total_s: float


@dataclass(frozen=True, slots=True)
class StubStatus:
    """nginx's own counters since its start, and its connections now."""

    accepted: int
    handled: int
    requests: int
    active: int
    reading: int
    writing: int
    waiting: int


@dataclass(frozen=True, slots=True)
class NginxTraffic:
    """What was counted up to one moment; keys with vhosts are (vhost, …)."""

    requests: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """By vhost, status, status of the last upstream that was tried ("none": nginx answered by itself)."""
    latency: Mapping[str, Latency] = field(default_factory=dict)
    upstream_latency: Mapping[str, Latency] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    """Tries beyond the first, by vhost."""
    sent_bytes: Mapping[str, int] = field(default_factory=dict)
    cache: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By vhost and nginx's cache status."""
    causes: Mapping[str, int] = field(default_factory=dict)
    """Requests that failed, by cause (``kirsch why``)."""
    received: int = 0
    malformed: int = 0
    dropped: int = 0
    """At least so many lines did not arrive."""
    status: StubStatus | None = None


class NginxTally:
    """Counts lines; one thread adds, any may take a snapshot."""

    def __init__(self, series_limit: int = SERIES_LIMIT) -> None:
        self._limit = series_limit
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, str], int] = {}
        self._latency: dict[str, _Latency] = {}
        self._upstream: dict[str, _Latency] = {}
        self._retries: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._cache: dict[tuple[str, str], int] = {}
        self._causes: dict[str, int] = {}
        self._received = self._malformed = self._dropped = 0
        self._base: int | None = None
        self._status: StubStatus | None = None

    def add(self, line: AccessLine | None) -> None:
        """Count one line; None for one that could not be read."""
        with self._lock:
            self._received += 1
            if line is None:
                self._malformed += 1
                return
            vhost = self._vhost(line)
            tried = line.answers
            key = (vhost, line.status, tried[-1] if tried else "none")
            if key not in self._requests and len(self._requests) >= self._limit:
                key = (OVERFLOW, OVERFLOW, OVERFLOW)
            self._requests[key] = self._requests.get(key, 0) + 1
            self._latency.setdefault(vhost, _Latency()).add(line.took_s)
            if line.tries:
                self._upstream.setdefault(vhost, _Latency()).add(number(line.response_s))
                self._retries[vhost] = self._retries.get(vhost, 0) + len(line.tries) - 1
            if line.body_bytes.isdigit():
                self._bytes[vhost] = self._bytes.get(vhost, 0) + int(line.body_bytes)
            if line.cache in CACHE_STATES:
                place = (vhost, line.cache)
                self._cache[place] = self._cache.get(place, 0) + 1

    def blame(self, cause: str) -> None:
        """Count a failed request's cause: a key of the catalogue, so their number is bounded."""
        with self._lock:
            self._causes[cause] = self._causes.get(cause, 0) + 1

    def see_status(self, status: StubStatus) -> None:
        """Take nginx's own counts: what it has answered and we have not heard of was dropped.

        Requests that are under way are counted there already, so the number is a lower bound, and never falls.
        """
        with self._lock:
            before, self._status = self._status, status
            if self._base is None or before is None or status.requests < before.requests:
                # the first look, or another nginx: from here on
                self._base = status.requests - self._received - self._dropped
                return
            missing = status.requests - self._base - self._received - status.reading - status.writing
            self._dropped = max(self._dropped, missing)

    def snapshot(self) -> NginxTraffic:
        """Return what was counted so far."""
        with self._lock:
            return NginxTraffic(
                requests=dict(self._requests),
                latency={name: Latency(tuple(one.buckets), one.total_s) for name, one in self._latency.items()},
                upstream_latency={
                    name: Latency(tuple(one.buckets), one.total_s) for name, one in self._upstream.items()
                },
                retries=dict(self._retries),
                sent_bytes=dict(self._bytes),
                cache=dict(self._cache),
                causes=dict(self._causes),
                received=self._received,
                malformed=self._malformed,
                dropped=self._dropped,
                status=self._status,
            )

    def _vhost(self, line: AccessLine) -> str:
        """A vhost is its first name; what belongs to none (wrong names, our own marker) is ``none``."""
        name = line.vhost or "none"
        return name if name in self._latency or len(self._latency) < self._limit else OVERFLOW


def parse_stub_status(text: str) -> StubStatus | None:
    """Read what nginx answers at ``stub_status``; None when it is no such answer."""
    words = text.split()
    try:
        start = words.index("requests") + 1
        accepted, handled, requests = (int(word) for word in words[start : start + 3])
        now = {words[at].lower(): int(words[at + 1]) for at in range(start + 3, len(words) - 1, 2)}
        active = int(words[words.index("connections:") + 1])
        return StubStatus(accepted, handled, requests, active, now["reading:"], now["writing:"], now["waiting:"])
    except (ValueError, KeyError, IndexError):
        return None


def nginx_families(traffic: NginxTraffic) -> Iterator[Metric]:
    """Yield the families of *traffic*."""
    requests = CounterMetricFamily(
        "kirsch_nginx_requests", "Requests that nginx answered.", labels=["vhost", "status", "upstream_status"]
    )
    for (vhost, status, upstream), count in traffic.requests.items():
        requests.add_metric([vhost, status, upstream], count)
    yield requests
    yield _histogram("kirsch_nginx_request_duration_seconds", "From the first octet to the last.", traffic.latency)
    yield _histogram(
        "kirsch_nginx_upstream_duration_seconds",
        "What workers took of it, all tries together.",
        traffic.upstream_latency,
    )
    for name, text, counts in (
        ("kirsch_nginx_retries", "Tries of further workers.", traffic.retries),
        ("kirsch_nginx_sent_bytes", "Octets of bodies that were sent.", traffic.sent_bytes),
    ):
        family = CounterMetricFamily(name, text, labels=["vhost"])
        for vhost, count in counts.items():
            family.add_metric([vhost], count)
        yield family
    cache = CounterMetricFamily("kirsch_nginx_cache", "What the cache did.", labels=["vhost", "state"])
    for (vhost, state), count in traffic.cache.items():
        cache.add_metric([vhost, state.lower()], count)
    yield cache
    causes = CounterMetricFamily("kirsch_failures", "Requests that failed, as `kirsch why` judges.", labels=["cause"])
    for cause, count in traffic.causes.items():
        causes.add_metric([cause], count)
    yield causes
    lines = CounterMetricFamily("kirsch_nginx_log_lines", "Lines of nginx by their fate.", labels=["fate"])
    for fate, count in (
        ("counted", traffic.received - traffic.malformed),
        ("malformed", traffic.malformed),
        ("dropped", traffic.dropped),
    ):
        lines.add_metric([fate], count)
    yield lines
    yield from _status(traffic.status)


def _status(status: StubStatus | None) -> Iterator[Metric]:
    if status is None:
        return
    connections = GaugeMetricFamily("kirsch_nginx_connections", "Connections of clients now.", labels=["state"])
    for state in ("active", "reading", "writing", "waiting"):
        connections.add_metric([state], getattr(status, state))
    yield connections
    for name in ("accepted", "handled"):
        yield CounterMetricFamily(
            f"kirsch_nginx_connections_{name}", f"Connections that nginx has {name}.", value=getattr(status, name)
        )


def _histogram(name: str, text: str, found: Mapping[str, Latency]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["vhost"])
    for vhost, one in found.items():
        total, buckets = 0, []
        for bound, count in zip([*map(str, BOUNDS_S), "+Inf"], one.buckets, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric([vhost], buckets, one.total_s)
    return family
