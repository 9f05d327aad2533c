"""Log records of a worker: each carries the id of the request that it was made in, as text or as JSON.

The id is found when a record is made, so a request that logs nothing pays nothing: by a context variable (grafted ASGI
applications), by what the thread is inside of (the scoreboard's row), or by the request that a coroutine carries.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections import OrderedDict
from contextvars import ContextVar
from typing import Any

import cherrypy
from kirsch.link.order import Order
from kirsch.scoreboard import Writer

#: The id of a request that neither a thread's row nor CherryPy knows; applications may set it for work of their own.
request_id: ContextVar[str] = ContextVar("kirsch_request_id", default="")

#: The name of the handler that shows CherryPy's log until this one does.
EARLY = "kirsch-early"
FAULTS_KEPT = 64
#: What CherryPy's own log begins a line with; the record has the time.
_OWN_TIME = re.compile(r"\[\d\d/\w{3}/\d{4}:[\d:]{8}\] ")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id", "trace_id", "taskName"}


class Records:
    """What makes and shows the records of this process.

    Args:
        order: says how they look, and who the worker is.
        writer: the rows of its threads.
    """

    def __init__(self, order: Order, writer: Writer) -> None:
        self._order = order
        self._writer = writer
        self._faults: OrderedDict[str, str] = OrderedDict()
        self._make = logging.getLogRecordFactory()

    def install(self) -> Records:
        """Have every record carry its request's id, and those that nobody else shows go to standard error."""
        logging.setLogRecordFactory(self.make)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JSONForm(self._order.name) if self._order.log == "json" else TextForm())
        for early in [one for one in cherrypy.log.error_log.handlers if one.name == EARLY]:
            cherrypy.log.error_log.removeHandler(early)
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        # PERF: a line that somebody reads has to be formatted; nginx writes one for each request already
        cherrypy.log.access_log.propagate = self._order.access_log
        return self

    def make(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Make a record: the factory that ``logging`` calls."""
        record = self._make(*args, **kwargs)
        record.request_id = found = self.current_id()
        record.trace_id = current_trace() if found else ""
        if found and isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            self._note(found, record.exc_info[1])
        return record

    def current_id(self) -> str:
        """Return the id of the request that this thread, or this coroutine, works for; empty outside of any."""
        given = request_id.get()
        if given:
            return given
        mine = threading.get_ident()
        for row in tuple(self._writer.rows):
            if row.ident == mine and row.is_inside:
                return row.request_id
        return _carried("X-Request-ID")

    def fault_of(self, found: str) -> str:
        """Return the last exception that was logged in the request *found*; empty for none."""
        return self._faults.get(found, "")

    def _note(self, found: str, error: BaseException) -> None:
        self._faults[found] = f"{type(error).__name__}: {error}".partition("\n")[0][:500]
        self._faults.move_to_end(found)
        while len(self._faults) > FAULTS_KEPT:
            self._faults.popitem(last=False)


class NamedRequests:
    """An ASGI application whose records carry the request's id: all of them run in one thread, on no row."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or the lifespan."""
        found = next((value for name, value in scope.get("headers") or () if name == b"x-request-id"), b"")
        token = request_id.set(found.decode("latin-1"))
        try:
            await self.app(scope, receive, send)
        finally:
            request_id.reset(token)


class TextForm(logging.Formatter):
    """``2026-11-21T21:00:00.123Z INFO shop [6f0c…] the message``, a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        about = getattr(record, "request_id", "")
        return f"{moment(record)} {record.levelname} {record.name} {f'[{about}] ' if about else ''}{_message(record)}"


class JSONForm(logging.Formatter):
    """One JSON object a line, in ASCII: time, level, logger, worker, pid, request_id, trace_id, message, exception.

    What an application gave as ``extra`` is there under its own name; an access line that is JSON is taken apart.
    """

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        record.message = record.getMessage()
        entry: dict[str, Any] = {
            "time": moment(record),
            "level": record.levelname,
            "logger": record.name,
            "worker": self._worker,
            "pid": os.getpid(),
            "request_id": getattr(record, "request_id", "") or None,
            "trace_id": getattr(record, "trace_id", "") or None,
            "message": _message(record),
        }
        if record.name.startswith("cherrypy.access") and record.message.startswith("{"):
            own = json.loads(record.message)
            entry |= {"message": f"{own.get('method')} {own.get('path')} {own.get('status')}"}
            entry |= {name: value for name, value in own.items() if name not in entry}
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD and name not in entry}
        if record.exc_info:
            entry["exception"] = record.exc_text or self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = record.stack_info
        return json.dumps({name: value for name, value in entry.items() if value is not None}, default=str)


def moment(record: logging.LogRecord) -> str:
    """Return when *record* was made, in UTC: ``2026-11-21T21:00:00.123Z``."""
    at = time.gmtime(record.created)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', at)}.{int(record.created % 1 * 1000):03d}Z"


def current_trace() -> str:
    """Return the trace that the current request of CherryPy's belongs to (``traceparent``); empty without one."""
    return _carried("traceparent")[3:35]


def _carried(name: str) -> str:
    request = cherrypy.serving.request
    if getattr(request, "app", None) is None:
        return ""
    return str(request.headers.get(name) or "")


def _message(record: logging.LogRecord) -> str:
    text = record.message
    if record.name.startswith("cherrypy.error"):
        own = _OWN_TIME.match(text)
        return text[own.end() :].strip() if own else text
    return text
