"""What all engines do alike with the site that they serve: its settings, its bus, its socket."""

from __future__ import annotations

import functools
import logging
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cherrypy
from kirsch.link.order import Order
from kirsch.worker.records import EARLY

#: The supervisor opens the socket to nginx's group when the worker is ready; until then it is ours alone.
SOCKET_MODE = 0o600
#: How long no connection may be seen before draining is over: one that nginx made just before its link moved may still
#: lie in the listening queue.
SETTLE_S = 0.1
#: Connections that may wait to be accepted; what the kernel allows cuts it. gunicorn says 2048, uWSGI 100, and with a
#: hundred a burst behind nginx ends in "Resource temporarily unavailable" and 502.
BACKLOG = 4096


@functools.cache
def make_production_like() -> None:
    """Before the applications are imported: one that starts the engine at import gets no server yet.

    Once a process: a worker that was forked after the imports must not undo what those have set.
    """
    cherrypy.config.update({"environment": "production", "engine.autoreload.on": False})
    cherrypy.server.unsubscribe()
    handler = logging.StreamHandler(sys.stderr)
    handler.name = EARLY
    handler.setFormatter(logging.Formatter("%(message)s"))
    cherrypy.log.error_log.addHandler(handler)


def settle_config(order: Order, more: dict[str, Any]) -> None:
    """After the applications' own configuration: where and how a worker serves is the stack's affair."""
    cherrypy.config.update(
        {
            "engine.autoreload.on": False,
            "checker.on": False,
            "server.thread_pool": order.threads,
            "server.max_request_body_size": order.limits.body_bytes,
            "server.trusted_proxies": list(order.trusted_proxies),
            **more,
        }
    )


def start_bus() -> None:
    """Start the engine, unless an application has done so at its import.

    Raises:
        ChannelFailures: a listener of the bus failed to start.
    """
    if not is_bus_started():
        cherrypy.engine.start()


def is_bus_started() -> bool:
    """True while the engine runs."""
    return bool(cherrypy.engine.state is cherrypy.engine.states.STARTED)


def allowed_backlog() -> int:
    """The longest listening queue that the kernel grants."""
    try:
        return min(BACKLOG, int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return 128


def bind(path: str) -> socket.socket:
    """Return a listening Unix socket at *path* that only its owner can connect to.

    Raises:
        OSError: it cannot be bound.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, SOCKET_MODE)  # before it listens: nobody can have connected with looser rights
        listener.listen(allowed_backlog())
    except BaseException:
        listener.close()
        raise
    return listener


def has_waiting(listener: socket.socket) -> bool:
    """True when a connection waits to be accepted."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def wait_until_quiet(is_busy: Callable[[], bool], deadline_s: float) -> bool:
    """Return True once *is_busy* has said no for ``SETTLE_S`` without interruption; False when the time ran out."""
    deadline = time.monotonic() + deadline_s
    quiet_since: float | None = None
    while (now := time.monotonic()) < deadline:
        if is_busy():
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now
        elif now - quiet_since >= SETTLE_S:
            return True
        time.sleep(0.01)
    return False
