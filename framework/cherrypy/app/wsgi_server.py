"""The HTTP server object that ``cherrypy.server`` runs: documented attributes on the outside, ``httpd`` inside.

``CPWSGIServer`` answers by the native path until somebody sets its ``wsgi_app``; ``CPHTTPServer`` always does.
"""

from __future__ import annotations

import grp
import pwd
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from cherrypy.aio.runner import runner
from cherrypy.app.server_limits import BOUNDLESS, LIMIT_KEYS, number, set_limits
from cherrypy.app.server_sockets import listeners_for
from cherrypy.app.server_stats import Pool, Statistics
from cherrypy.app.server_tls import adopted, tls_for
from cherrypy.app.trust import EnvironFields, ServerTrust, believe
from cherrypy.core.version import VERSION
from cherrypy.httpd.gateway import WSGIGateway
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import HTTP_10, Answer, Message, Responder
from cherrypy.httpd.server import Server as NativeServer

# socket_timeout is one number in CherryPy and several deadlines here.
TIMEOUT_LIMITS = ("idle_s", "head_s", "body_grace_s", "write_grace_s")
HEADER_SIZE_LIMITS = ("head_bytes", "field_bytes")


class CPHTTPServer:
    """An HTTP server made from the settings of a ``Server`` adapter.

    Args:
        server_adapter: ``cherrypy.server``, or another ``app.server.Server``.

    Attributes:
        ready: True while connections are accepted.
        bound_when_ready: True for bus adapters: no port needs to be probed.
        limits: the live limits of ``httpd``; changes take effect at once.
    """

    version = f"CherryPy/{VERSION}"
    default_adapter: ClassVar[Any] = None
    bound_when_ready = True
    ConnectionClass: Any = None
    keep_alive_conn_limit = 10
    expiration_interval = 0.5

    def __init__(self, server_adapter: Any = None) -> None:
        adapter = self.default_adapter if server_adapter is None else server_adapter
        if adapter is None:
            raise TypeError(f"{type(self).__name__} needs a server adapter, for example cherrypy.server")
        self.server_adapter = adapter
        self.bind_addr: Any = adapter.bind_addr
        self.server_name: str | None = adapter.socket_host
        self.software = self.version
        self.protocol: str = adapter.protocol_version
        self.numthreads: int = int(number(adapter.thread_pool or 0)) or 1
        self.shutdown_timeout: float | None = adapter.shutdown_timeout
        self.request_queue_size: int = int(number(adapter.socket_queue_size))
        self.nodelay: bool = adapter.nodelay
        self.peercreds_enabled: bool = adapter.peercreds
        self.peercreds_resolve_enabled: bool = adapter.peercreds_resolve
        self.socket_mode: Any = adapter.socket_mode
        self.ssl_adapter: Any = tls_for(adapter)
        self.limits = Limits()
        # COMPAT: what clients of CherryPy met, where it does no harm
        self.limits.accept_connect = True
        self.limits.accept_encoded_host = True
        self.limits.failure_continues = True
        self.limits.head_status = 413
        self.limits.nul_status = 404
        self.timeout = adapter.socket_timeout
        self.max_request_header_size = adapter.max_request_header_size
        self.max_request_body_size = adapter.max_request_body_size
        # A queue of 5, CherryPy's default, loses connections under load; only a number that was asked for counts.
        if "socket_queue_size" in vars(adapter):
            self.limits.backlog = self.request_queue_size
        self.requests = Pool(self)
        self.stats = Statistics(self, is_enabled=bool(adapter.statistics))
        self._interrupt: BaseException | None = None
        self._running: NativeServer | None = None
        self._ended = threading.Event()

    # Limits under their documented names

    def reset_limits(self) -> None:
        """Let the limits that have a setting of their own be what the others say, until that setting is looked at."""
        for name, key in LIMIT_KEYS.items():
            if getattr(self.server_adapter, name, None) is None:
                setattr(self.limits, key.field, getattr(Limits(), key.field))
        self.timeout = self._timeout
        self.max_request_header_size = self.max_request_header_size

    @property
    def timeout(self) -> float | None:
        """Seconds that a connection may stay silent: between requests, in a head, in a body, taking an answer."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._timeout = seconds  # as it was given: applications print it
        for name in TIMEOUT_LIMITS:
            setattr(self.limits, name, float(BOUNDLESS) if seconds is None else number(seconds))
        set_limits(self.limits, self.server_adapter)

    @property
    def max_request_header_size(self) -> int:
        """Most octets in a request line with all its header fields; 0 is without limit."""
        return 0 if self.limits.head_bytes == BOUNDLESS else self.limits.head_bytes

    @max_request_header_size.setter
    def max_request_header_size(self, octets: int | None) -> None:
        limit = int(number(octets or 0)) or BOUNDLESS
        for name in HEADER_SIZE_LIMITS:
            setattr(self.limits, name, limit)
        # Room for many cookies is no reason for a target that nobody can log: beyond this it is 414.
        self.limits.request_line_bytes = BOUNDLESS if limit == BOUNDLESS else min(limit, Limits().request_line_bytes)
        set_limits(self.limits, self.server_adapter)

    @property
    def max_request_body_size(self) -> int:
        """Most octets in a request body; 0 is without limit."""
        return self.limits.body_bytes

    @max_request_body_size.setter
    def max_request_body_size(self, octets: int | None) -> None:
        self.limits.body_bytes = max(0, int(number(octets or 0)))

    # Life

    @property
    def ready(self) -> bool:
        """True while connections are accepted."""
        return self._running is not None and self._running.ready

    @property
    def socket(self) -> Any:
        """The listening socket, None when stopped."""
        return self._running.socket if self._running is not None else None

    @property
    def is_inherited(self) -> bool:
        """True while it listens on a socket that a parent has opened."""
        return self._running is not None and isinstance(self._running.listeners[0].address, int)

    @property
    def bound_addr(self) -> Any:
        """Where it really listens: (host, port), or the path of a Unix socket; None when stopped."""
        return self._running.bind_addr if self._running is not None else None

    @property
    def interrupt(self) -> BaseException | None:
        """Set to an exception, makes ``start`` raise it in its own thread."""
        return self._running.interrupt if self._running is not None else self._interrupt

    @interrupt.setter
    def interrupt(self, error: BaseException | None) -> None:
        self._interrupt = error
        if self._running is not None:
            self._running.interrupt = error

    def responder(self) -> Responder:
        """What answers the requests."""
        responder: Responder = self.server_adapter.responder()
        return responder

    def rewire(self) -> None:
        """Let what runs answer by what is set now."""
        if self._running is not None:
            self._running.respond = self._respond()

    def _respond(self) -> Responder:
        respond = in_protocol(self.protocol, self.responder())
        return self.stats.timed(respond) if self.stats["Enabled"] else respond

    def start(self) -> None:
        """Bind, and serve until ``stop``.

        Raises:
            OSError: the address cannot be bound; the message names it.
            BaseException: what ``interrupt`` was set to.
        """
        server = self._make_server()
        server.prepare()
        self._ended.clear()
        self._interrupt = None
        self._running = server
        self.stats.started()
        try:
            server.serve()
        finally:
            self._interrupt = server.interrupt
            self._running = None
            self._ended.set()

    def _make_server(self) -> NativeServer:
        is_main = self.default_adapter in (None, self.server_adapter)
        listeners = listeners_for(self, adopted(self.ssl_adapter), is_main)
        return NativeServer(
            listeners,
            self._respond(),
            limits=self.limits,
            threads=self.numthreads,
            threads_max=self.requests.threads_max,
            server_name=self.software,
        )

    def stop(self) -> None:
        """Stop accepting, let running requests finish for ``shutdown_timeout`` seconds (None: for ever), and close."""
        running = self._running
        if running is None:
            return
        given = self.shutdown_timeout
        patience_s = threading.TIMEOUT_MAX if given is None or number(given) < 0 else number(given)
        if running.owns_thread() or runner.owns_thread():
            # A page that stops its own server cannot wait for its own end; the time limit holds all the same.
            threading.Thread(target=running.stop, args=(patience_s,), daemon=True).start()
            return
        running.stop(patience_s)
        # Not before it has let go of the address: the next start may follow at once.
        self._ended.wait(patience_s)

    def drain(self, deadline_s: float) -> bool:
        """Go on serving, but make every answer the last on its connection; True once no connection is left.

        For reloads behind a proxy: connections are still accepted, and idle ones are left to the proxy. ``stop``
        ends it.
        """
        running = self._running
        return running is None or running.drain(deadline_s)

    def shed(self) -> int:
        """Make the next answer of every connection open now its last; returns how many those are."""
        running = self._running
        return running.shed() if running is not None else 0

    def ask_to_leave(self) -> None:
        """Ask streams and WebSockets to come to an end; everything else goes on."""
        if self._running is not None:
            self._running.ask_to_leave()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Say something on the bus's log."""
        self.server_adapter.bus.log(msg, level, traceback)

    def native_stats(self) -> Any:
        """The snapshot that ``httpd`` takes of itself; None when stopped."""
        return self._running.stats() if self._running is not None else None

    def __str__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self.bind_addr!r})"


class CPWSGIServer(CPHTTPServer):
    """The default server. A WSGI callable assigned to ``wsgi_app`` takes over all requests, also while serving."""

    def __init__(self, server_adapter: Any = None) -> None:
        self._wsgi_app: Callable[..., Any] | None = None
        super().__init__(server_adapter)

    @property
    def wsgi_app(self) -> Any:
        """The WSGI callable that answers: what was assigned, else ``cherrypy.tree``."""
        return self._wsgi_app if self._wsgi_app is not None else self.server_adapter.site_app()

    @wsgi_app.setter
    def wsgi_app(self, app: Callable[..., Any] | None) -> None:
        # The site's own tree needs no WSGI between it and the server.
        self._wsgi_app = None if app is self.server_adapter.site_app() else app
        self.rewire()

    def responder(self) -> Responder:
        """The gateway to ``wsgi_app`` if one was assigned, else the native path."""
        if self._wsgi_app is None:
            return super().responder()
        return gateway_for(self.server_adapter, self._wsgi_app)


class PeerGateway(WSGIGateway):
    """A gateway that says who asked: the client as trusted proxies say; a Unix socket's peer if asked to.

    Attributes:
        trust: whom of the peers to believe; None for nobody.
        is_shown: asked at each request; X_REMOTE_PID, X_REMOTE_UID and X_REMOTE_GID are in the environ.
        is_resolved: likewise; X_REMOTE_USER, X_REMOTE_GROUP and REMOTE_USER are there as well.
    """

    trust: ServerTrust | None = None
    is_shown: Callable[[], bool] = staticmethod(bool)
    is_resolved: Callable[[], bool] = staticmethod(bool)

    def environ(self, message: Message) -> dict[str, Any]:
        """The environ of one request."""
        environ = super().environ(message)
        if self.trust is not None:
            origin = self.trust.resolve(message.connection.peer, EnvironFields(environ))
            if origin is not None:
                believe(environ, origin)
        if "X_REMOTE_UID" not in environ:
            return environ
        if not (self.is_shown() or self.is_resolved()):
            for key in ("X_REMOTE_PID", "X_REMOTE_UID", "X_REMOTE_GID"):
                del environ[key]
        elif self.is_resolved():
            try:
                user = pwd.getpwuid(int(environ["X_REMOTE_UID"])).pw_name
                group = grp.getgrgid(int(environ["X_REMOTE_GID"])).gr_name
            except KeyError:  # a process may run as a user that has no entry
                return environ
            environ.update(X_REMOTE_USER=user, X_REMOTE_GROUP=group, REMOTE_USER=user)
        return environ


def in_protocol(protocol: str, respond: Responder) -> Responder:
    """Let *respond* see HTTP/1.0 requests only, on connections that do not persist, if *protocol* says so.

    Answers name HTTP/1.1 all the same. RFC: 9110, 6.2: the version is that of the server, not of what it uses.
    """
    if protocol != "HTTP/1.0":
        return respond

    def respond_in_1_0(message: Message) -> Answer:
        message.version = HTTP_10
        message.keep_alive = False
        return respond(message)

    return respond_in_1_0


def gateway_for(adapter: Any, app: Callable[..., Any]) -> WSGIGateway:
    """A gateway to *app* whose environs say what the settings of *adapter* (``cherrypy.server``) say."""
    # a stand-in for the adapter, as tests have them, may know none of the settings
    gateway = PeerGateway(
        app,
        server_name=getattr(adapter, "socket_host", None) or "",
        software=CPHTTPServer.version,
        version=getattr(adapter, "wsgi_version", (1, 0)),
    )
    gateway.trust = ServerTrust(adapter)
    gateway.is_resolved = lambda: bool(getattr(adapter, "peercreds_resolve", False))
    gateway.is_shown = lambda: bool(getattr(adapter, "peercreds", False))
    return gateway
