"""``engine = "native"``: CherryPy's own server and bus, on the worker's Unix socket."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import cherrypy
from cherrypy._cpwsgi_server import CPWSGIServer
from kirsch.link.order import Order
from kirsch.worker.account import Account
from kirsch.worker.voice import Voice

#: The supervisor opens the socket to nginx's group when the worker is ready; until then it is ours alone.
SOCKET_MODE = 0o600
#: How long no connection may be seen before draining is over: one that nginx made just before its link moved may still
#: lie in the listening queue.
SETTLE_S = 0.1


class WorkerServer(CPWSGIServer):
    """CherryPy's server with every request on the scoreboard."""

    def __init__(self, adapter: Any, voice: Voice) -> None:
        self._voice = voice
        super().__init__(adapter)

    def responder(self) -> Callable[[Any], Any]:
        """The site's responder, accounted for."""
        # PERF: the bound method: calling an object by its class's __call__ takes 0.1 us more
        return Account(super().responder(), self._voice).__call__


class NativeEngine:
    """The documented engine and server objects, configured by the order."""

    def __init__(self, order: Order, voice: Voice) -> None:
        self.order = order
        self.voice = voice

    def prepare(self) -> None:
        """Make the process production-like; an application that starts the engine at import gets no server yet."""
        cherrypy.config.update({"environment": "production", "engine.autoreload.on": False})
        cherrypy.server.unsubscribe()
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        cherrypy.log.error_log.addHandler(handler)

    def start(self, path: str) -> None:
        """Serve on *path*.

        Raises:
            OSError: it cannot be bound.
            ChannelFailures: a listener of the bus failed to start.
        """
        limits = self.order.limits
        # after the applications' own configuration: where and how a worker serves is the stack's affair
        cherrypy.config.update(
            {
                "engine.autoreload.on": False,
                "checker.on": False,
                "server.socket_file": path,
                "server.socket_mode": SOCKET_MODE,
                "server.thread_pool": self.order.threads,
                "server.socket_timeout": limits.idle_s,
                "server.max_request_body_size": limits.body_bytes,
                "server.trusted_proxies": list(self.order.trusted_proxies),
            }
        )
        cherrypy.server.httpserver = WorkerServer(cherrypy.server, self.voice)
        cherrypy.server.subscribe()
        if cherrypy.engine.state is cherrypy.engine.states.STARTED:
            cherrypy.server.start()
        else:
            cherrypy.engine.start()

    def is_well(self) -> bool:
        """True as long as the bus is started and the server accepts."""
        return cherrypy.engine.state is cherrypy.engine.states.STARTED and bool(cherrypy.server.httpserver.ready)

    def shed(self) -> None:
        """Make the next answer of every connection that is open now its last."""
        cherrypy.server.httpserver.shed()

    def drain(self, deadline_s: float) -> bool:
        """Make every answer the last of its connection; True once no connection is left."""
        server: WorkerServer = cherrypy.server.httpserver
        deadline = time.monotonic() + deadline_s
        quiet_since: float | None = None
        while time.monotonic() < deadline:
            if not server.drain(0.02):
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= SETTLE_S:
                return True
            else:
                time.sleep(0.01)
        return False

    def stop(self) -> None:
        """Stop the bus, and with it the server, the monitors and whatever the applications subscribed."""
        cherrypy.server.shutdown_timeout = 1
        cherrypy.engine.exit()
