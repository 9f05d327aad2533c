"""HTTP servers as listeners of the bus: started after everything else, stopped before it."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from cherrypy.process import ports
from cherrypy.process.ports import client_host, wait_for_free_port, wait_for_occupied_port
from cherrypy.process.ports import safe_wait as _safe_wait
from cherrypy.process.wspbus import Bus

__all__ = [
    "FlupCGIServer",
    "FlupFCGIServer",
    "FlupSCGIServer",
    "ServerAdapter",
    "Timeouts",
    "_safe_wait",
    "client_host",
    "wait_for_free_port",
    "wait_for_occupied_port",
]

POLL_S = 0.005


class Timeouts:
    """How long, in seconds, a port may take to become occupied after a start, and free before it."""

    occupied: float = 5
    free: float = 1


class ServerAdapter:
    """Runs an HTTP server object in a thread of its own between the bus's 'start' and 'stop'.

    Args:
        bus: the bus.
        httpserver: an object with ``start()`` (blocks until stopped), ``stop()`` and ``ready``. One whose
            ``bound_when_ready`` is true binds before it says ready, and is believed.
        bind_addr: (host, port), or the path of a Unix socket; for descriptions and port checks.

    Attributes:
        interrupt: the exception that ended the server thread, None while it is well.
        running: True between start and stop.
    """

    _has_ended = False

    def __init__(self, bus: Bus, httpserver: Any = None, bind_addr: Any = None) -> None:
        self.bus: Any = bus
        self.httpserver = httpserver
        self.bind_addr = bind_addr
        self.interrupt: BaseException | None = None
        self.running = False

    def subscribe(self) -> None:
        """Start and stop with the bus."""
        self.bus.subscribe("start", self.start)
        self.bus.subscribe("stop", self.stop)

    def unsubscribe(self) -> None:
        """Leave the bus alone."""
        self.bus.unsubscribe("start", self.start)
        self.bus.unsubscribe("stop", self.stop)

    def start(self) -> None:
        """Start the server, and return when it accepts connections.

        Raises:
            ValueError: there is no server object.
            OSError: the address is taken, or cannot be bound.
        """
        if self.running:
            self.bus.log(f"Already serving on {self.description}")
            return
        self.interrupt = None
        self._has_ended = False
        if not self.httpserver:
            raise ValueError("No HTTP server has been created.")
        if self._checks_ports and isinstance(self.bind_addr, tuple):
            host, port = self.bind_addr
            if getattr(self.httpserver, "bound_when_ready", False):
                ports.wait_until_bindable(host, port, Timeouts.free)
            else:
                wait_for_free_port(host, port, Timeouts.free)
        thread = threading.Thread(target=self._start_http_thread)
        thread.name = f"HTTPServer {thread.name}"
        thread.start()
        try:
            self.wait()
        except BaseException:
            self._abandon(thread)
            raise
        if self.interrupt:  # it was ready, and failed at once
            raise self.interrupt
        self.running = True
        self.bus.log(f"Serving on {self.description}")

    start.priority = 75  # type: ignore[attr-defined]

    def _abandon(self, thread: threading.Thread) -> None:
        """End a server that is half started (Ctrl-C): its thread would keep the process alive for ever."""
        deadline = time.monotonic() + Timeouts.occupied
        while thread.is_alive() and time.monotonic() < deadline:
            # Asked before it has begun to serve, a server does not hear it: ask again.
            if getattr(self.httpserver, "ready", False):
                self.httpserver.stop()
            thread.join(POLL_S)

    @property
    def _checks_ports(self) -> bool:
        """False under socket activation, where the port is occupied before we start."""
        return not os.environ.get("LISTEN_PID")

    @property
    def description(self) -> str:
        """Where it serves, for people: "http://127.0.0.1:8080", "socket file: /run/app.sock"."""
        if self.bind_addr is None:
            return "unknown interface (dynamic?)"
        if isinstance(self.bind_addr, tuple):
            return self._get_base()
        return f"socket file: {self.bind_addr}"

    def _get_base(self) -> str:
        if not self.httpserver:
            return ""
        host, port = self.bound_addr
        is_tls = bool(
            getattr(self.httpserver, "ssl_adapter", None) or getattr(self.httpserver, "ssl_certificate", None)
        )
        scheme, default_port = ("https", 443) if is_tls else ("http", 80)
        name = f"[{host}]" if ":" in (host or "") else host
        return f"{scheme}://{name}" if port == default_port else f"{scheme}://{name}:{port}"

    @property
    def bound_addr(self) -> Any:
        """``bind_addr``, with the port the system chose in the place of port 0 while the server has a socket."""
        if not isinstance(self.bind_addr, tuple):
            return self.bind_addr
        host, port = self.bind_addr
        listening = getattr(self.httpserver, "socket", None)
        if port == 0 and listening:
            port = listening.getsockname()[1]
        return host, port

    def _start_http_thread(self) -> None:
        """Serve. A failure before the server is ready is for ``wait`` to raise; a later one ends the bus."""
        server = self.httpserver
        message = ""
        try:
            server.start()
            self._has_ended = True
            return
        except KeyboardInterrupt as error:
            failure: BaseException = error
            message = "<Ctrl-C> hit: shutting down HTTP server"
        except SystemExit as error:
            failure = error
            message = "SystemExit raised: shutting down HTTP server"
        except BaseException as error:
            failure = ports.with_cure(error) if isinstance(self.bind_addr, tuple) else error
            # The thread's last words: there is nobody above who could catch this.
            if self.running:
                self.bus.log("Error in HTTP server: shutting down", level=40, traceback=True)
        was_running = self.running
        self.interrupt = failure
        if message:
            self.bus.log(message)
        if was_running:
            self.bus.exit()

    def wait(self) -> None:
        """Wait until the server is ready.

        Raises:
            BaseException: what ended the server thread instead.
            RuntimeError: the thread ended, and nobody knows why.
        """
        while not getattr(self.httpserver, "ready", False):
            if self.interrupt:
                raise self.interrupt
            if self._has_ended:
                raise RuntimeError(f"The HTTP server {self.httpserver} returned from start() without being ready.")
            time.sleep(POLL_S)
        if not self._checks_ports or getattr(self.httpserver, "bound_when_ready", False):
            return
        if isinstance(self.bind_addr, tuple):
            host, port = self.bound_addr
            with _safe_wait(host, port):
                wait_for_occupied_port(host, port, Timeouts.occupied)

    def stop(self) -> None:
        """Stop the server, and return when its thread has let go of the address."""
        if not self.running:
            self.bus.log(f"HTTP Server {self.httpserver} already shut down")
            return
        address = self.bound_addr
        self.httpserver.stop()
        if (
            self._checks_ports
            and isinstance(address, tuple)
            and not getattr(self.httpserver, "bound_when_ready", False)
        ):
            host, port = address
            try:
                wait_for_free_port(host, port, Timeouts.free)
            except ports.PortTimeout as error:
                # Another server may share the port. It is no reason to end an exit half-way.
                self.bus.log(f"After the stop somebody still listens: {error}", level=30)
        self.running = False
        self.bus.log(f"HTTP Server {self.httpserver} shut down")

    stop.priority = 25  # type: ignore[attr-defined]

    def restart(self) -> None:
        """Stop and start the same server object."""
        self.stop()
        self.start()


class _FlupServer:
    """A server of the ``flup`` package as an HTTP server object."""

    protocol = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs
        self.ready = False
        self.server: Any = None

    def start(self) -> None:
        """Serve until stopped.

        Raises:
            ImportError: ``flup`` is not installed.
        """
        try:
            server_class: Callable[..., Any] = importlib.import_module(f"flup.server.{self.protocol}").WSGIServer
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} needs the package 'flup', which is not installed and hardly maintained. Let "
                "cherrypy.server answer HTTP behind the web server, or give cherrypy.tree to a WSGI server."
            ) from error
        self.server = server_class(*self.args, **self.kwargs)
        # The bus owns the signals, and Python lets only the main thread have them.
        self.server._installSignalHandlers = lambda: None
        self.server._oldSIGs = []
        self.ready = True
        self.server.run()

    def stop(self) -> None:
        """Accept no more, and let the threads finish what they do."""
        self.ready = False
        if self.server is not None:
            self.server._keepGoing = False
            pool = getattr(self.server, "_threadPool", None)
            if pool is not None:
                pool.maxSpare = pool._idleCount
        self.server = None


class FlupCGIServer(_FlupServer):
    """The application as a CGI program: one request from standard input."""

    protocol = "cgi"

    def stop(self) -> None:
        """A CGI program ends by itself."""
        self.ready = False


class FlupFCGIServer(_FlupServer):
    """The application behind FastCGI."""

    protocol = "fcgi"


class FlupSCGIServer(_FlupServer):
    """The application behind SCGI."""

    protocol = "scgi"
