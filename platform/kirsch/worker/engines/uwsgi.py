"""``engine = "uwsgi"``: uWSGI's threads, inside the worker process, without its master.

``pyuwsgi`` is uWSGI as a module: it runs in threads of its own, beside the main thread that hears the signals. It is
started before the applications are imported, behind a closed gate: those that ``import uwsgi`` find it, and its
handlers of signals are set before the worker's.

uWSGI's ``http-socket`` closes each connection after its answer without saying so, and a server that may keep
connections (``http11-socket``) gives a thread to each of them. nginx would take the first for a connection to keep and
write its next POST into it; so every answer says ``Connection: close`` here. It does not frame what comes in pieces
either; without that a killed worker's half answer looks whole. `uwsgi_framing` does both.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyuwsgi

import cherrypy
from kirsch.errors import SuperviseError
from kirsch.link import uwsgi
from kirsch.link.order import Order
from kirsch.worker.engines.foreign import ForeignEngine
from kirsch.worker.engines.site import (
    allowed_backlog,
    bind,
    has_waiting,
    is_bus_started,
    make_production_like,
    settle_config,
    start_bus,
    wait_until_quiet,
)
from kirsch.worker.engines.uwsgi_framing import Framed
from kirsch.worker.engines.uwsgi_gate import gate
from kirsch.worker.options import check_options
from kirsch.worker.tracing import find_tracing, trace_site
from kirsch.worker.wsgi_account import WSGIAccount

#: Options that the platform decides on, and what an operator writes instead.
OURS: Mapping[str, str] = {
    **dict.fromkeys(
        ("http", "http-socket", "http11-socket", "https", "https-socket", "socket", "uwsgi-socket"),
        "the worker's socket is the platform's; write [vhost.NAME] listen",
    ),
    **dict.fromkeys(("processes", "workers", "cheaper"), "write workers in the pool"),
    **dict.fromkeys(("threads", "async", "gevent", "ugreen"), "write threads in the pool"),
    **dict.fromkeys(("module", "wsgi", "wsgi-file", "mount", "callable", "file"), "write entry in the app"),
    **dict.fromkeys(("master", "lazy-apps", "emperor", "mule", "spooler"), "the supervisor is the only parent"),
    **dict.fromkeys(("daemonize", "daemonize2", "logto", "logto2"), "the worker's output is in the platform's log"),
    **dict.fromkeys(("uid", "gid"), "write user in the pool"),
    **dict.fromkeys(("chdir", "chdir2", "pythonpath", "virtualenv", "home"), "write directory in the app"),
    "env": "write env in the app",
    "harakiri": "write request_deadline_s in the pool",
    "max-requests": "write max_requests in the pool",
    "reload-on-rss": "write memory_soft in the pool",
    "evil-reload-on-rss": "write memory_hard in the pool",
    "pidfile": "see kirsch status",
    "enable-threads": "it is always on",
    "single-interpreter": "it is always on",
}
#: How long uWSGI may take from its start to its first answer.
START_S = 20.0


def render_ini(order: Order, descriptor: int) -> str:
    """Return uWSGI's configuration for a worker that listens on *descriptor*.

    Raises:
        SuperviseError: ``engine_options`` has one that is the platform's.
    """
    check_options("uwsgi", order.engine_options, OURS)
    deadline = str(max(1, int(order.limits.request_deadline_s)))
    lines = {
        "strict": "true",  # a misspelt option ends the boot; uWSGI ignores it otherwise
        "http-socket" if order.protocol == "http" else "socket": f"fd://{descriptor}",
        "module": "kirsch.worker.engines.uwsgi_gate:gate",
        "need-app": "true",
        "single-interpreter": "true",
        "enable-threads": "true",  # without it the bus's threads stand still
        "threads": str(order.threads),
        "listen": str(allowed_backlog()),
        "buffer-size": "65535",  # of a request's head; the 4 KiB by default are less than nginx lets through
        "socket-timeout": deadline,  # the 4 s by default cut answers whose client reads slowly
        "close-on-exec": "true",  # or what a page starts by os.system keeps its client's connection open
        "die-on-term": "true",
        "ignore-sigpipe": "true",
        "ignore-write-errors": "true",  # a client that went away is no error; the application is told all the same
        "disable-logging": "true",  # nginx writes the access log
    }
    lines |= {name: _text(value) for name, value in order.engine_options.items()}
    for name, value in lines.items():
        if "\n" in name + value:
            raise SuperviseError(f"engine_options.{name!r} must not contain line breaks")
    return "[uwsgi]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


class UWSGIEngine(ForeignEngine):
    """uWSGI on the worker's Unix socket, beside the engine bus."""

    # its threads are C's: they go on while the interpreter is taken down
    may_finalize = False

    def prepare(self) -> None:
        """Start uWSGI behind the closed gate.

        Raises:
            OSError: the socket cannot be bound.
            SuperviseError: an option is not for the pool to say, or uWSGI did not come up.
        """
        self._path = self.order.socket_path(os.getpid())
        self._listener = bind(self._path)
        ini = Path(f"{self._path}.ini")
        ini.write_text(render_ini(self.order, self._listener.fileno()), encoding="utf-8")
        make_production_like()
        sys.stdout.flush()
        threading.Thread(target=pyuwsgi.run, args=(["--ini", str(ini)],), name="uwsgi", daemon=True).start()
        try:
            # a configuration that uWSGI refuses ends the process; its own words are in the log
            self._wait_until_up()
        finally:
            ini.unlink(missing_ok=True)

    def _wait_until_up(self) -> None:
        """Wait for its first answer, which is the gate's."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(START_S)
            line.connect(self._path)  # it waits in the listening queue
            is_http = self.order.protocol == "http"
            http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            line.sendall(http if is_http else uwsgi.ask("/", {"Host": "localhost"}))
            try:
                said = line.recv(64)
            except TimeoutError as error:
                raise SuperviseError(f"uWSGI did not come up in {START_S:g} s") from error
        if not said.startswith(b"HTTP/1.1 503 "):
            raise SuperviseError(f"uWSGI did not come up: it says {said!r}")

    def start(self, path: str) -> None:
        """Open the gate; *path* is where uWSGI listens already.

        Raises:
            ChannelFailures: a listener of the bus failed to start.
        """
        settle_config(self.order, {"server.socket_file": path})
        start_bus()
        gate.open_for(
            Framed(trace_site(WSGIAccount(cherrypy.tree, self.voice), find_tracing(self.voice)), self.order.protocol)
        )

    def is_well(self) -> bool:
        """True as long as the bus is started; uWSGI that ends ends the process."""
        return is_bus_started()

    def shed(self) -> None:
        """Do nothing: each answer is its connection's last anyway."""

    def drain(self, deadline_s: float) -> bool:
        """Wait until no thread is inside of a request, and none waits to be accepted."""
        return wait_until_quiet(lambda: _is_busy() or has_waiting(self._listener), deadline_s)

    def stop(self) -> None:
        """Stop the bus with all that the applications subscribed; uWSGI ends with the process."""
        self._listener.close()
        Path(self._path).unlink(missing_ok=True)
        cherrypy.engine.exit()


def _is_busy() -> bool:
    """True while one of uWSGI's threads has a connection, from its acceptance to its end."""
    return bool(_uwsgi().workers()[0]["status"] != b"idle")


def _uwsgi() -> Any:
    return sys.modules["uwsgi"]  # there once pyuwsgi runs
