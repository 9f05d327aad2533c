"""``engine = "native"``: CherryPy's own server and bus, on the worker's Unix socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cherrypy
from cherrypy._cpwsgi_server import CPWSGIServer
from kirsch.link.order import Order
from kirsch.worker.account import Account
from kirsch.worker.engines.site import (
    SOCKET_MODE,
    is_bus_started,
    make_production_like,
    settle_config,
    start_bus,
    wait_until_quiet,
)
from kirsch.worker.options import refuse_options
from kirsch.worker.tracing import find_tracing, trace_messages
from kirsch.worker.voice import Voice

#: How long one look at the open connections takes while draining.
LOOK_S = 0.02


class WorkerServer(CPWSGIServer):
    """CherryPy's server with every request on the scoreboard."""

    def __init__(self, adapter: Any, voice: Voice) -> None:
        self._voice = voice
        super().__init__(adapter)

    def responder(self) -> Callable[[Any], Any]:
        """The site's responder, accounted for."""
        # PERF: the bound method: calling an object by its class's __call__ takes 0.1 us more
        return trace_messages(Account(super().responder(), self._voice).__call__, find_tracing(self._voice))


class NativeEngine:
    """The documented engine and server objects, configured by the order."""

    may_finalize = True

    def __init__(self, order: Order, voice: Voice) -> None:
        self.order = order
        self.voice = voice

    def prepare(self) -> None:
        """Make the process production-like."""
        refuse_options("native", self.order.engine_options)
        make_production_like()

    def start(self, path: str) -> None:
        """Serve on *path*.

        Raises:
            OSError: it cannot be bound.
            ChannelFailures: a listener of the bus failed to start.
        """
        settle_config(
            self.order,
            {
                "server.socket_file": path,
                "server.socket_mode": SOCKET_MODE,
                "server.socket_timeout": self.order.limits.idle_s,
            },
        )
        cherrypy.server.httpserver = WorkerServer(cherrypy.server, self.voice)
        cherrypy.server.subscribe()
        if is_bus_started():
            cherrypy.server.start()
        else:
            start_bus()

    def is_well(self) -> bool:
        """True as long as the bus is started and the server accepts."""
        return is_bus_started() and bool(cherrypy.server.httpserver.ready)

    def shed(self) -> None:
        """Make the next answer of every connection that is open now its last."""
        cherrypy.server.httpserver.shed()

    def ask_to_leave(self) -> None:
        """Ask streams and WebSockets to come to an end; everything else goes on."""
        cherrypy.server.httpserver.ask_to_leave()

    def drain(self, deadline_s: float) -> bool:
        """Make every answer the last of its connection; True once no connection is left."""
        server: WorkerServer = cherrypy.server.httpserver
        return wait_until_quiet(lambda: not server.drain(LOOK_S), deadline_s)

    def stop(self) -> None:
        """Stop the bus, and with it the server, the monitors and whatever the applications subscribed."""
        cherrypy.server.shutdown_timeout = 1
        cherrypy.engine.exit()
