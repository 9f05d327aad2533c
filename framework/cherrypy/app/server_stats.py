"""What a running server tells about itself, under the names that CherryPy's users read."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from cherrypy.app.server_settings import MOST_THREADS, number
from cherrypy.httpd.message import Answer, Message, Responder


class Pool:
    """The threads of a server as ``httpserver.requests``.

    Threads of ``httpd`` are equal and wait for nobody's queue. While all of them are busy more are started, up to
    ``max``; what is beyond ``min`` leaves when it has had nothing to do for half a minute (not the one that polls).
    """

    def __init__(self, server: Any) -> None:
        self.server = server
        self.min: int = server.numthreads
        most = number(getattr(server.server_adapter, "thread_pool_max", None) or -1)
        self.max: float = most if most > 0 else math.inf

    @property
    def threads_max(self) -> int:
        """Up to how many threads there are by need; 0 for a fixed number."""
        return 0 if math.isinf(self.max) else int(self.max)

    @property
    def idle(self) -> int:
        """Number of threads without a request."""
        stats = self.server.native_stats()
        return stats.threads_idle if stats is not None else 0

    @property
    def qsize(self) -> int:
        """Number of connections that wait for a thread; those of Unix sockets count once they are accepted."""
        running = self.server._running
        return running.waiting() if running is not None else 0

    @property
    def _threads(self) -> range:
        stats = self.server.native_stats()
        return range(stats.threads_idle + stats.threads_busy if stats is not None else 0)

    def grow(self, amount: int) -> None:
        """Start *amount* more threads, up to ``max``; of a stopped server, from the next start on."""
        running = self.server._running
        if running is not None:
            running.grow(amount, self.threads_max or MOST_THREADS)
            return
        self.server.numthreads += amount
        self.min = self.server.numthreads

    def shrink(self, amount: int) -> None:
        """Have *amount* fewer threads from the next start on, one at least; added ones leave by themselves."""
        if self.server._running is None:
            self.server.numthreads = max(1, self.server.numthreads - amount)
            self.min = self.server.numthreads


class Statistics(dict[str, Any]):
    """``httpserver.stats``: values, and callables that take the dict they are in, as ``lib.cpstats`` evaluates them.

    Times are measured while "Enabled" is true, which costs a request 0.5 µs. "Work Time" is what threads have spent
    inside handlers, in seconds, waiting included; throughputs are octets a second of that, as CherryPy's are. Octets of
    a thread are those that it has moved: whoever polls reads and writes for all.
    """

    def __init__(self, server: Any, is_enabled: bool) -> None:
        self._server = server
        self._start_time = 0.0
        self._records = threading.local()
        super().__init__(
            {
                "Enabled": is_enabled,
                "Bind Address": lambda s: repr(server.bind_addr),
                "Run time": lambda s: self._run_time_s() if s["Enabled"] else -1,
                "Accepts": lambda s: self._count("accepted"),
                "Accepts/sec": lambda s: self._count("accepted") / (self._run_time_s() or 1),
                "Queue": lambda s: server.requests.qsize,
                "Threads": lambda s: len(server.requests._threads),
                "Threads Idle": lambda s: server.requests.idle,
                "Socket Errors": lambda s: self._count("socket_errors"),
                "Requests": lambda s: self._count("requests"),
                "Bytes Read": lambda s: self._count("bytes_in"),
                "Bytes Written": lambda s: self._count("bytes_out"),
                "Work Time": lambda s: sum(one["Work Time"] for one in list(s["Worker Threads"].values())),
                "Read Throughput": lambda s: _rate(self._count("bytes_in"), s["Work Time"](s)),
                "Write Throughput": lambda s: _rate(self._count("bytes_out"), s["Work Time"](s)),
                "Worker Threads": {},
            }
        )

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if key == "Enabled":
            self._server.rewire()

    def timed(self, respond: Responder) -> Responder:
        """*respond*, with the time that each thread spends in it added up."""
        records = self._records
        clock = time.perf_counter

        def respond_timed(message: Message) -> Answer:
            begin = clock()
            try:
                return respond(message)
            finally:
                try:
                    record = records.mine
                except AttributeError:
                    record = records.mine = self._record()
                record["Requests"] += 1
                record["Work Time"] += clock() - begin

        return respond_timed

    def _record(self) -> dict[str, Any]:
        """The entry of the current thread."""
        name = threading.current_thread().name
        record: dict[str, Any] = self["Worker Threads"].setdefault(
            name,
            {
                "Requests": 0,
                "Bytes Read": lambda s: self._moved(name)[0],
                "Bytes Written": lambda s: self._moved(name)[1],
                "Work Time": 0.0,
                "Read Throughput": lambda s: _rate(self._moved(name)[0], s["Work Time"]),
                "Write Throughput": lambda s: _rate(self._moved(name)[1], s["Work Time"]),
            },
        )
        return record

    def _moved(self, thread: str) -> tuple[int, int]:
        running = self._server._running
        return running.thread_counters().get(thread, (0, 0, 0))[1:] if running is not None else (0, 0)

    def started(self) -> None:
        """Begin anew."""
        self._start_time = time.monotonic()
        self._records = threading.local()
        self["Worker Threads"].clear()
        self._server.rewire()

    def _run_time_s(self) -> float:
        return time.monotonic() - self._start_time if self._start_time else 0.0

    def _count(self, name: str) -> int:
        stats = self._server.native_stats()
        return int(getattr(stats, name, 0)) if stats is not None and self["Enabled"] else 0


def _rate(count: float, seconds: float) -> float:
    return count / seconds if seconds else 0.0
