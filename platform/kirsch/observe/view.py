"""A stack at one moment, as values: what the command line, Prometheus and the status page are shown."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import kirsch
from kirsch.observe.captures import Capture
from kirsch.observe.deploys import Deploy
from kirsch.observe.effective import Group
from kirsch.observe.history import Past
from kirsch.observe.nginx_metrics import NginxTraffic
from kirsch.scoreboard import CheckState, Counters, Handled, Running

#: Columns of the history that the status has: as many as fit beside a line of a terminal.
RECENT = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerView:
    """One seat with its worker, or an earlier worker that still drains. Times are Unix time."""

    name: str
    state: str
    pid: int | None = None
    generation: int | None = None
    release: str | None = None
    since: float | None = None
    slots: tuple[int, ...] = ()
    counters: Counters = field(default_factory=Counters)
    rss_bytes: int = 0
    restarts: int = 0
    is_ill: bool = False
    running: tuple[Running, ...] = ()
    report: Mapping[str, Any] | None = None
    """Why it failed, if it did."""
    note: str = ""
    """What it wants its operator to know though it serves: ``app legacy is broken: …``."""
    checks: tuple[CheckState, ...] = ()
    """How its applications' health checks stand."""
    started: float = 0.0
    """When the process began; 0 where there is none."""
    collections: tuple[int, ...] = ()
    """Runs of its garbage collector, by generation."""

    @property
    def is_unwell(self) -> bool:
        """True while a critical check fails."""
        return any(check.critical and check.state == "failing" for check in self.checks)

    def to_status(self) -> dict[str, Any]:
        """Return what the control protocol says of a worker."""
        return {
            "name": self.name,
            "pid": self.pid,
            "state": self.state,
            "generation": self.generation,
            "release": self.release,
            "since": self.since,
            "slots": list(self.slots),
            "requests": self.counters.finished,
            "in_flight": self.counters.in_flight,
            "rss_bytes": self.rss_bytes,
            "durations": list(self.counters.by_duration()),
            "restarts": self.restarts,
            "is_ill": self.is_ill,
            "running": [_running(one) for one in self.running],
            "report": dict(self.report) if self.report is not None else None,
            "note": self.note,
            "checks": [check_to_status(check) for check in self.checks],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolView:
    """One pool; the counters are those of all its workers that ever were."""

    name: str
    engine: str
    slots: int
    workers: tuple[WorkerView, ...]
    counters: Counters = field(default_factory=Counters)
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Ends of workers that nobody had asked for, by cause."""
    drains: Mapping[str, int] = field(default_factory=dict)
    """Workers that were asked to go, by how they went: ``done``, ``killed``."""
    handled: tuple[Handled, ...] = ()
    """What all its workers that ever were have answered, by page handler."""
    metrics_dir: str = ""
    """Where its applications' own metrics are kept."""
    alerts: Mapping[str, int] = field(default_factory=dict)
    """Alerts since the supervisor's start, by kind."""
    lost: int = 0
    """Requests that were inside workers when those ended."""
    held: int = 0
    """Requests that wait for a worker right now."""
    refused: int = 0
    """Requests that waited too long for one."""
    wanted: int = 0
    """How many workers there shall be."""
    is_fixed: bool = False
    """True when the operator has said how many."""
    is_paused: bool = False
    load: float | None = None
    """How busy the pool is: 1 is all that it can do; None before it was measured."""
    queue_s: float | None = None
    """How long requests wait between nginx and a thread, in the mean of the last second; None: not yet measured."""

    @property
    def ready(self) -> int:
        """Number of workers that serve."""
        return sum(worker.state == "ready" for worker in self.workers)

    def to_status(self) -> dict[str, Any]:
        """Return what the control protocol says of a pool."""
        return {
            "name": self.name,
            "engine": self.engine,
            "slots": self.slots,
            "workers": [worker.to_status() for worker in self.workers],
            "restarts": dict(self.restarts),
            "alerts": dict(self.alerts),
            "held": self.held,
            "refused": self.refused,
            "wanted": self.wanted,
            "fixed": self.is_fixed,
            "paused": self.is_paused,
            "load": round(self.load, 3) if self.load is not None else None,
            "queue_s": round(self.queue_s, 4) if self.queue_s is not None else None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class StackView:
    """A whole stack on one host."""

    stack: str
    release: str
    generation: int
    pid: int
    started: float
    pools: tuple[PoolView, ...]
    nginx: Mapping[str, Any] | None = None
    nginx_restarts: int = 0
    admin: str | None = None
    log_dir: str = ""
    degraded: tuple[str, ...] = ()
    rolls: Mapping[str, int] = field(default_factory=dict)
    """Rolls since the supervisor's start, by outcome."""
    is_rolling: bool = False
    events: tuple[Mapping[str, Any], ...] = ()
    """What happened last, oldest first."""
    certificates: Mapping[str, float] = field(default_factory=dict)
    """When the certificate of a vhost ends (Unix time)."""
    traffic: NginxTraffic | None = None
    """What nginx has answered, as its own log tells."""
    bus: Mapping[str, Any] = field(default_factory=dict)
    """Members, leases and counts of the bus between processes."""
    past: Past = field(default_factory=Past)
    """The last hour."""
    deploys: tuple[Deploy, ...] = ()
    """The last deploys of this host, oldest first."""
    failures: tuple[Capture, ...] = ()
    """The last failed requests that workers have kept, newest first."""
    configuration: tuple[Group, ...] = ()
    """What is in effect, without its secrets."""

    @property
    def is_ready(self) -> bool:
        """True when every pool has somebody who serves, and nginx is there to ask them."""
        has_front = self.nginx is None or self.nginx.get("pid") is not None
        return has_front and all(pool.ready for pool in self.pools)

    def to_status(self) -> dict[str, Any]:
        """Return the result of the control verb ``status``."""
        return {
            "stack": self.stack,
            "version": kirsch.__version__,
            "python": sys.executable,
            "release": self.release,
            "generation": self.generation,
            "pid": self.pid,
            "started": self.started,
            "nginx": dict(self.nginx) if self.nginx is not None else None,
            "pools": [pool.to_status() for pool in self.pools],
            "admin": self.admin,
            "log_dir": self.log_dir,
            "degraded": list(self.degraded),
            "rolling": self.is_rolling,
            "bus": dict(self.bus),
            "recent": [[column.requests, column.server_errors] for column in self.past.columns[-RECENT:]],
        }


def check_to_status(check: CheckState) -> dict[str, Any]:
    """Return what is told of a health check: ``{"name": "db", "state": "failing", …}``."""
    return {
        "name": check.name,
        "state": check.state,
        "critical": check.critical,
        "duration_s": round(check.duration_s, 4),
        "changed": check.changed,
        "message": check.message,
    }


def _running(one: Running) -> dict[str, Any]:
    return {
        "line": one.line,
        "for_s": round(one.for_s, 3),
        "handler": one.handler,
        "request_id": one.request_id,
        "phase": one.phase,
        "thread": one.thread,
    }
