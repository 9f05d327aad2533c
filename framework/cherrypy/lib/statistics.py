"""Counting what applications do, in the nested dict ``logging.statistics`` that other libraries may share.

A value that is a function is computed when someone looks: it is called with the dict it stands in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from cherrypy.context import serving
from cherrypy.core.version import VERSION

Scope = dict[Any, Any]


def extrapolate_statistics(scope: Scope) -> Scope:
    """Return a copy of *scope* in which all functions are replaced by their results."""
    result: Scope = {}
    for key, value in list(scope.items()):
        if isinstance(value, dict):
            value = extrapolate_statistics(value)
        elif isinstance(value, list | tuple):
            value = [extrapolate_statistics(one) if isinstance(one, dict) else one for one in value]
        elif isinstance(value, FunctionType) or hasattr(value, "__call__"):  # noqa: B004 - partials count too
            value = value(scope)
        result[key] = value
    return result


def proc_time(s: Scope) -> float:
    """Seconds since the record *s* began."""
    return time.time() - float(s["Start Time"])


def average_uriset_time(s: Scope) -> float:
    """The mean of the record *s*, 0 when it is empty."""
    return s["Sum"] / s["Count"] if s["Count"] else 0.0


def _per(total: str, over: str) -> Callable[[Scope], float]:
    return lambda s: (value(s) if callable(value := s[total]) else value) / _number(s, over)


def _number(s: Scope, key: str) -> float:
    value = s[key](s) if callable(s[key]) else s[key]
    return float(value) or 1.0


def _site_statistics() -> Scope:
    statistics: Scope = getattr(logging, "statistics", None) or {}
    logging.statistics = statistics  # type: ignore[attr-defined]
    return statistics


appstats: Scope = _site_statistics().setdefault("CherryPy Applications", {})
appstats.update(
    {
        "Enabled": True,
        "Bytes Read/Request": _per("Total Bytes Read", "Total Requests"),
        "Bytes Read/Second": _per("Total Bytes Read", "Uptime"),
        "Bytes Written/Request": _per("Total Bytes Written", "Total Requests"),
        "Bytes Written/Second": _per("Total Bytes Written", "Uptime"),
        "Current Time": lambda s: time.time(),
        "Current Requests": 0,
        "Requests/Second": _per("Total Requests", "Uptime"),
        "Server Version": VERSION,
        "Start Time": time.time(),
        "Total Bytes Read": 0,
        "Total Bytes Written": 0,
        "Total Requests": 0,
        "Total Time": 0,
        "Uptime": lambda s: time.time() - s["Start Time"],
        "Requests": {},
    }
)

_counting = threading.Lock()


class ByteCountWrapper:
    """A request body that counts, in ``bytes_read``, what is read of it."""

    def __init__(self, rfile: Any) -> None:
        self.rfile = rfile
        self.bytes_read = 0

    def _count(self, data: bytes) -> bytes:
        self.bytes_read += len(data)
        return data

    def read(self, size: int = -1) -> bytes:
        """Read up to *size* bytes."""
        return self._count(self.rfile.read(size))

    def readline(self, size: int = -1) -> bytes:
        """Read one line, or *size* bytes of it."""
        return self._count(self.rfile.readline(size))

    def readlines(self, sizehint: int = 0) -> list[bytes]:
        """Read lines, about *sizehint* bytes of them; 0: all."""
        lines = []
        total = 0
        while line := self.readline():
            lines.append(line)
            total += len(line)
            if 0 < sizehint <= total:
                break
        return lines

    def close(self) -> None:
        """Close the body inside."""
        self.rfile.close()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._count(next(self.rfile))

    next = __next__

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rfile, name)


class StatsTool:
    """The cpstats tool: counts the requests of the pages that it is on for, while statistics are enabled.

    Configuration: ``uriset`` names the page in 'URI Set Tracking', ``slow_queries`` seconds make a request slow,
    ``slow_queries_count`` of these are kept.
    """

    namespace = "tools"
    _name = "cpstats"
    _point = "on_end_request"
    _priority = 50

    @property
    def callable(self) -> Callable[..., None]:
        """What the hook calls."""
        return self.record_stop

    def __call__(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """Return a decorator that turns this tool on, with *kwargs* as its configuration.

        Raises:
            TypeError: positional arguments were given.
        """
        if args:
            raise TypeError("The 'cpstats' Tool does not accept positional arguments; use keyword arguments.")

        def turn_on(page: Any) -> Any:
            config = dict(getattr(page, "_cp_config", None) or {})
            config["tools.cpstats.on"] = True
            config.update({f"tools.cpstats.{name}": value for name, value in kwargs.items()})
            page._cp_config = config
            return page

        return turn_on

    def _setup(self) -> None:
        """Begin counting the current request."""
        if not appstats.get("Enabled", False):
            return
        request = serving.request
        settings = dict(request.toolmaps.get(self.namespace, {}).get(self._name, {}))
        settings.pop("on", None)
        priority = settings.pop("priority", self._priority)
        request.hooks.attach(self._point, self.record_stop, priority=priority, **settings)
        self.record_start()

    def record_start(self) -> None:
        """Open the record of the current request."""
        request = serving.request
        if request.rfile is not None and not hasattr(request.rfile, "bytes_read"):
            request.rfile = ByteCountWrapper(request.rfile)
            if request.body is not None:
                request.body.fp = request.rfile
        remote = f"{request.remote.ip}:{request.remote.port}"
        # with the request, since a streamed answer may be ended by another thread than the one that began it
        record = request._statistics_record = {
            "Bytes Read": None,
            "Bytes Written": None,
            "Client": remote,
            "End Time": None,
            "Processing Time": proc_time,
            "Request-Line": request.request_line,
            "Response Status": None,
            "Start Time": time.time(),
        }
        with _counting:
            appstats["Current Requests"] += 1
            appstats["Total Requests"] += 1
            appstats["Requests"][_get_threading_ident()] = record

    def record_stop(
        self,
        uriset: str | None = None,
        slow_queries: float = 1.0,
        slow_queries_count: int = 100,
        debug: bool = False,
        **kwargs: Any,
    ) -> None:
        """Close the record of the current request."""
        request, response = serving.request, serving.response
        record = getattr(request, "_statistics_record", None)
        if record is None or record["End Time"] is not None:
            return
        read = getattr(request.rfile, "bytes_read", 0) or 0
        length = str(response.headers.get("Content-Length") or "0")
        written = int(length) if length.isdigit() and not response.stream else 0
        status = getattr(response, "output_status", None) or response.status or ""
        now = time.time()
        took = now - record["Start Time"]
        record.update(
            {
                "Bytes Read": read,
                "Bytes Written": "chunked" if response.stream else written,
                "Response Status": status.decode("latin-1") if isinstance(status, bytes) else str(status),
                "End Time": now,
                "Processing Time": took,
            }
        )
        with _counting:
            appstats["Total Bytes Read"] += read
            appstats["Total Bytes Written"] += written
            appstats["Total Time"] += took
            appstats["Current Requests"] -= 1
            if uriset:
                _track(uriset, took)
            if slow_queries and took > slow_queries:
                slow = appstats.setdefault("Slow Queries", [])
                slow.append(record.copy())
                del slow[: max(len(slow) - slow_queries_count, 0)]


def _track(uriset: str, took: float) -> None:
    tracking = appstats.setdefault("URI Set Tracking", {})
    record = tracking.setdefault(uriset, {"Min": None, "Max": None, "Count": 0, "Sum": 0, "Avg": average_uriset_time})
    record["Min"] = took if record["Min"] is None else min(record["Min"], took)
    record["Max"] = took if record["Max"] is None else max(record["Max"], took)
    record["Count"] += 1
    record["Sum"] += took


def _get_threading_ident() -> int:
    return threading.get_ident()
