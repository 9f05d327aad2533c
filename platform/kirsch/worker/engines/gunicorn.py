"""``engine = "gunicorn"``: gunicorn's threaded worker (gthread), without its arbiter, inside the worker process.

gunicorn's own way to stop (SIGTERM to a gthread worker) closes idle kept connections: at once in older releases, after
two seconds in newer ones. nginx may be writing a POST into one of them at that instant, and may not repeat it: 502. So
draining here is not stopping: the worker goes on accepting and answering, each answer is the last of its connection,
nginx closes its idle ones after its own ``keepalive_timeout``, and only with none left does gunicorn stop.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

import cherrypy
from kirsch.link.order import Order
from kirsch.worker.engines.foreign import ForeignEngine
from kirsch.worker.engines.site import (
    bind,
    has_waiting,
    is_bus_started,
    make_production_like,
    settle_config,
    start_bus,
    wait_until_quiet,
)
from kirsch.worker.options import check_options
from kirsch.worker.tracing import find_tracing, trace_site
from kirsch.worker.voice import Voice
from kirsch.worker.wsgi_account import WSGIAccount

log = logging.getLogger(__name__)

#: Settings that the platform decides on, and what an operator writes instead.
OURS: Mapping[str, str] = {
    "bind": "the worker's socket is the platform's; write [vhost.NAME] listen",
    "workers": "write workers in the pool",
    "threads": "write threads in the pool",
    "worker_class": "it is gthread: draining is built on it",
    "timeout": "write request_deadline_s in the pool",
    "graceful_timeout": "write drain_s in the pool",
    "max_requests": "write max_requests in the pool",
    "max_requests_jitter": "write max_requests in the pool",
    "keepalive": "it must be longer than nginx's",
    "preload_app": "write preload in the pool",
    "daemon": "the supervisor is the parent",
    "pidfile": "see kirsch status",
    "reload": "deploy again",
    "user": "write user in the pool",
    "group": "write user in the pool",
    "chdir": "write directory in the app",
    "raw_env": "write env in the app",
    "pythonpath": "write directory in the app",
    "wsgi_app": "write entry in the app",
    "certfile": "nginx speaks TLS; write tls in the vhost",
    "keyfile": "nginx speaks TLS; write tls in the vhost",
    "forwarded_allow_ips": "the platform knows its proxies",
    "proxy_protocol": "nginx speaks HTTP to workers",
    "reuse_port": "the worker's socket is the platform's",
}
#: Connections beyond this are left in the listening queue; nginx keeps at most 1024 a process of its own.
CONNECTIONS = 4096


def settings_of(order: Order) -> dict[str, Any]:
    """Return gunicorn's settings for a worker, without those that the pool says.

    An older gunicorn may not have all of them.
    """
    return {
        "threads": order.threads,
        "worker_connections": CONNECTIONS,
        # longer than nginx's 3 s, so that nginx is always the one that closes
        "keepalive": int(order.limits.idle_s),
        "graceful_timeout": 1,
        "timeout": 0,  # there is no arbiter to kill by it; the supervisor watches request_deadline_s
        "loglevel": "warning",
        "errorlog": "-",
        "accesslog": None,  # nginx writes it
        # what nginx lets through (large_client_header_buffers 4 8k), and the fields that it adds
        "limit_request_line": 8190,
        "limit_request_fields": 200,
        "limit_request_field_size": 32768,
        # SECURITY: SCRIPT_NAME and PATH_INFO as header fields are believed of any Unix socket's peer otherwise
        "forwarder_headers": "",
        "secure_scheme_headers": {},  # `origin` reads them
    }


class SeatApplication(BaseApplication):  # type: ignore[misc]
    """The site with its settings, as gunicorn wants to be told."""

    def __init__(self, site: Any, order: Order) -> None:
        self._site = site
        self._order = order
        super().__init__()

    def do_load_config(self) -> None:
        """Load the settings; gunicorn's own way would end the process at a mistake."""
        self.load_default_config()
        self.load_config()

    def load_config(self) -> None:
        """Take our settings over, then the pool's.

        Raises:
            SuperviseError: one of the pool's is the platform's, or gunicorn has no such setting.
            ValueError, TypeError: it has a value that gunicorn refuses.
        """
        known, options = self.cfg.settings, self._order.engine_options
        check_options("gunicorn", options, OURS, known)
        ours = {name: value for name, value in settings_of(self._order).items() if name in known}
        for name, value in (ours | options).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The site."""
        return self._site


class SeatWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker whose connections can be told to end, and that leaves signals to the process it is in."""

    is_draining = False
    epoch = 0

    def init_signals(self) -> None:
        """Signals ring in the main thread of the process."""

    def is_parent_alive(self) -> bool:
        """Workers outlive their supervisor."""
        return True

    def enqueue_req(self, conn: Any) -> None:
        """Note when the connection was made, and hand it to a thread."""
        if not hasattr(conn, "kirsch_epoch"):
            conn.kirsch_epoch = self.epoch
        super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer; with ``Connection: close`` where the connection is to end."""
        if self.is_draining or conn.kirsch_epoch != self.epoch:
            req.force_close()
        return super().handle_request(req, conn)


class GunicornEngine(ForeignEngine):
    """gunicorn on the worker's Unix socket, beside the engine bus."""

    may_finalize = True

    def __init__(self, order: Order, voice: Voice) -> None:
        super().__init__(order, voice)
        self._worker: SeatWorker
        self._thread = threading.Thread(target=self._run, name="gunicorn", daemon=True)

    def prepare(self) -> None:
        """Make the process production-like, and refuse wrong options before anything is imported.

        Raises:
            SuperviseError: an option is not for the pool to say.
            ValueError: it has a value that gunicorn refuses.
        """
        site = trace_site(WSGIAccount(cherrypy.tree, self.voice), find_tracing(self.voice))
        self._application = SeatApplication(site, self.order)
        make_production_like()

    def start(self, path: str) -> None:
        """Serve on *path*.

        Raises:
            OSError: it cannot be bound.
            ChannelFailures: a listener of the bus failed to start.
        """
        settle_config(self.order, {"server.socket_file": path})
        self._path = path
        self._listener = bind(path)
        start_bus()
        cfg = self._application.cfg
        logger = cfg.logger_class(cfg)
        self._worker = SeatWorker(1, os.getppid(), [self._listener], self._application, 0, cfg, logger)
        self._worker.pid = os.getpid()
        self._thread.start()

    def _run(self) -> None:
        try:
            self._worker.init_process()
        except Exception:
            log.exception("gunicorn ended")

    def is_well(self) -> bool:
        """True as long as the bus is started and gunicorn's loop turns."""
        return is_bus_started() and self._thread.is_alive()

    def shed(self) -> None:
        """Make the next answer of every connection that is open now its last."""
        self._worker.epoch += 1

    def drain(self, deadline_s: float) -> bool:
        """Make every answer the last of its connection; True once no connection is left."""
        worker, listener = self._worker, self._listener
        worker.is_draining = True
        return wait_until_quiet(lambda: worker.nr_conns > 0 or has_waiting(listener), deadline_s)

    def stop(self) -> None:
        """Stop gunicorn, then the bus with all that the applications subscribed."""
        self._worker.alive = False
        if hasattr(self._worker, "method_queue"):
            self._worker.method_queue.defer(lambda: None)  # its loop looks up once a second by itself
        self._thread.join(2.0)
        Path(self._path).unlink(missing_ok=True)
        cherrypy.engine.exit()
