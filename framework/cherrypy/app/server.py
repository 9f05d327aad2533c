"""``cherrypy.server``: the settings of an HTTP server, and its life on the bus."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from cherrypy.app.server_limits import LIMIT_KEYS, set_limits
from cherrypy.app.server_settings import as_networks, check, number
from cherrypy.app.server_sockets import close_held, hold, is_held
from cherrypy.app.server_tls import is_tls, tls_for
from cherrypy.app.wsgi_server import CPHTTPServer, CPWSGIServer
from cherrypy.conf.expression import attributes
from cherrypy.httpd.message import Responder
from cherrypy.httpd.tls import TLS
from cherrypy.process.servers import ServerAdapter
from cherrypy.process.wspbus import bus

__all__ = ["CPHTTPServer", "CPWSGIServer", "Server"]

ANY_ADDRESS = ("0.0.0.0", "::", "::0", "::0.0.0.0")

# Settings that a running server obeys at once, and what they are called there.
LIVE = {
    "max_request_body_size": "max_request_body_size",
    "max_request_header_size": "max_request_header_size",
    "shutdown_timeout": "shutdown_timeout",
    "socket_timeout": "timeout",
}


def _no_site() -> Any:
    raise RuntimeError("No site is wired to the server; import cherrypy, not its parts.")


class Server(ServerAdapter):
    """One HTTP server of the site. Every attribute below is a key of the configuration namespace ``server``.

    Units are seconds and octets. What may be assigned is in ``server_settings``; anything else is a ValueError.
    A server object is made at the first start and kept for the next ones; ``httpserver = None`` asks for a fresh one.

    Attributes:
        current_responder: returns the responder of the site (set once, by the wiring).
        current_app: returns the site as a WSGI callable (set once, by the wiring).
    """

    _namespace = "server"
    current_responder: ClassVar[Callable[[], Responder]] = staticmethod(_no_site)
    current_app: ClassVar[Callable[[], Any]] = staticmethod(_no_site)

    socket_host: str | None = "127.0.0.1"
    """Address or name to listen on; None for all interfaces."""
    socket_port: int | None = 8080
    """TCP port, also as text; 0 takes any free one, which ``bound_addr`` tells."""
    socket_file: str | os.PathLike[str] | None = None
    """Path of a Unix socket, ``@name`` for an abstract one; wins over host and port."""
    socket_mode: int | None = 0o777
    """Permissions of a Unix socket's file, as a number or as octal text; None leaves them to the umask."""
    socket_user: str | int | None = None
    """User who owns a Unix socket's file, by name or number; None is the process's own."""
    socket_group: str | int | None = None
    """Group of a Unix socket's file, likewise."""
    socket_fd: Any = None
    """A listening socket that a parent has opened: its descriptor, or the name that a service manager gave it
    (LISTEN_FDNAMES); or a list of these. Wins over file, host and port. With None the site's own server takes all that
    were passed to this process (LISTEN_FDS) and that no other server asks for."""
    reuse_port = False
    """SO_REUSEPORT: several processes may listen on the same TCP port, and the kernel spreads connections over them."""
    proxy_protocol: Iterable[str] | None = None
    """Addresses and networks, "unix:" for peers of a Unix socket, whose connections begin with a PROXY header (version
    1 or 2) that names the client. None: nobody's; then such a header is a 400."""
    proxy_protocol_others = "refuse"
    """What other connections are: "refuse" closes them, "plain" takes them without a header."""
    socket_queue_size = 5
    """Connections that may wait to be accepted. The default stands for what the kernel allows."""
    socket_timeout: float | None = 10
    """Seconds a connection may stay silent, also between two requests."""
    accepted_queue_size = -1
    """Requests that may wait for a thread while all are inside handlers; 503 with Retry-After beyond. -1: no limit."""
    accepted_queue_timeout = 10
    """Seconds that those beyond accepted_queue_size wait for a thread all the same before they get their 503."""
    shutdown_timeout: float = 5
    """Seconds that running requests may take when the server stops."""
    protocol_version = "HTTP/1.1"
    """The version the server claims."""
    thread_pool = 10
    """Number of threads that run handlers."""
    thread_pool_max = -1
    """While all threads are busy their number grows up to this, and falls again; -1 for a fixed number."""
    max_request_header_size = 500 * 1024
    """Most octets of request line and header fields together; 413 beyond, 414 for the line alone."""
    max_request_body_size = 100 * 1024 * 1024
    """Most octets of a request body; 413 beyond. 0 is without limit."""
    max_request_line_size: int | None = None
    """Most octets of the request line; 414 beyond. None: 16,384, or max_request_header_size if that is less."""
    max_request_headers = 128
    """Most header fields of a request; 431 beyond."""
    request_header_timeout: float | None = None
    """Seconds from a request's first octet to the end of its head; 408 beyond. None: socket_timeout."""
    request_body_timeout: float | None = None
    """Seconds that a request body may be waited for before its rate counts; 408. None: socket_timeout."""
    min_request_body_rate = 256
    """Least average octets a second of a request body after that; 408 below. 0 is any."""
    max_request_body_time: float = 0
    """Most seconds that a request body may be waited for altogether, whatever its rate; 408 beyond. 0: no limit."""
    keep_alive_timeout: float | None = None
    """Seconds that a connection may be idle between two requests; closed then. None: socket_timeout."""
    max_requests_per_connection = 0
    """Most requests on a connection; the answer to the last one closes it. 0 is without limit."""
    response_timeout: float | None = None
    """Seconds that a client may take nothing of its answer before its rate counts; reset. None: socket_timeout."""
    min_response_rate = 256
    """Least average octets a second that a client must take after that; reset below. 0 is any."""
    ssl_handshake_timeout: float = 10
    """Seconds for a TLS handshake; closed beyond."""
    max_connections = 16384
    """Most open connections; beyond the longest idle one is closed, and with none idle the new one gets 503."""
    retry_after = 1
    """Seconds that the Retry-After of the server's own 503 says."""
    waiting_threads = 64
    """Most threads that stand in for those that wait for slow clients; beyond, the slowest client is cut off."""
    body_memory = 4194304
    """Octets of the longest request body that is received into memory before its page runs, if its length is known."""
    body_memory_size = 67108864
    """Octets of such bodies altogether, until their pages run; beyond, threads read them, or files hold them."""
    body_spool_memory = 262144
    """Octets in memory of a long request body that no thread waits for; the rest is in a temporary file."""
    body_spool_size = 1073741824
    """Octets of such bodies altogether; 503 beyond. 0 is without limit."""
    body_spool_dir: str | None = None
    """The directory of their files. None: the system's for temporary files."""
    instance: Any = None
    """A server object, or the dotted name of a callable that makes one from this adapter."""
    ssl_module: Any = "builtin"
    """"builtin", "pyopenssl" and None are the same: TLS is the standard library's. Or a class (its dotted name, or its
    name in ``cheroot.server.ssl_adapters``) that makes an ``ssl_adapter`` of certificate, key, chain and ciphers."""
    ssl_adapter: Any = None
    """An object whose ``context`` is an ``ssl.SSLContext``, and whose ``get_environ(sock)``, if it has one, adds to the
    environs. Wins over all other settings of TLS."""
    ssl_context: Any = None
    """A ready ``ssl.SSLContext``."""
    ssl_certificate: str | None = None
    """Path of the PEM certificate."""
    ssl_certificate_chain: str | None = None
    """Path of the PEM certificates between ours and the authority's."""
    ssl_private_key: str | None = None
    """Path of the PEM key."""
    ssl_ciphers: str | None = None
    """OpenSSL cipher list for TLS 1.2."""
    ssl_certificates: Any = None
    """Further certificates, chosen by the name that a client asks for (SNI): {name: (certificate, key[, chain])}, where
    a name may be "*.example.com"; or a list of (certificate, key[, chain]), for the names in them."""
    ssl_client_ca: str | None = None
    """Path of the PEM certificates of those who sign the certificates of clients."""
    ssl_client_verify: str | None = None
    """"required" (the default with ssl_client_ca), "optional" or "none"."""
    statistics = False
    """Keep the counters of ``httpserver.stats``."""
    nodelay = True
    """TCP_NODELAY."""
    wsgi_version: tuple[int | str, int] = (1, 0)
    """(1, 0), or ("u", 0) for environs with text that was decoded as UTF-8."""
    peercreds = False
    """Put the process, user and group of a Unix socket's peer into the WSGI environ."""
    peercreds_resolve = False
    """Also the names of user and group."""
    trusted_proxies: Iterable[str] | None = None
    """Addresses and networks whose forwarding headers are believed; "unix:" for peers of a Unix socket."""

    def __init__(self) -> None:
        self.bus = bus
        self.httpserver: Any = None
        self.interrupt: BaseException | None = None
        self.running = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("trusted_proxies", "proxy_protocol"):
            value = as_networks(value)
        check(self._namespace, name, value)
        super().__setattr__(name, value)
        if name in LIVE and isinstance(self.httpserver, CPHTTPServer):
            setattr(self.httpserver, LIVE[name], value)
        if name in LIMIT_KEYS and isinstance(self.httpserver, CPHTTPServer):
            if value is None:
                self.httpserver.reset_limits()
            set_limits(self.httpserver.limits, self)

    @property
    def bind_addr(self) -> Any:
        """The path of a Unix socket, (host, port), or None if nothing is set.

        Raises:
            ValueError: assigned something else.
        """
        if self.socket_file:
            return os.fspath(self.socket_file)
        if self.socket_host is None and self.socket_port is None:
            return None
        return self.socket_host, None if self.socket_port is None else int(number(self.socket_port))

    @bind_addr.setter
    def bind_addr(self, value: Any) -> None:
        if value is None:
            self.socket_file = None
            self.socket_host = None
            self.socket_port = None
        elif isinstance(value, str | bytes | os.PathLike):
            self.socket_file = os.fsdecode(value)
            self.socket_host = None
            self.socket_port = None
        elif isinstance(value, tuple | list) and len(value) == 2:
            self.socket_host, self.socket_port = value
            self.socket_file = None
        else:
            raise ValueError(
                "bind_addr must be a (host, port) tuple (for TCP sockets) or a string (for Unix sockets), "
                f"not {value!r}"
            )

    @property
    def bound_addr(self) -> Any:
        """Where it listens: ``bind_addr`` with the port that the system chose, or that of a socket it was given."""
        running = self.httpserver
        found = running.bound_addr if isinstance(running, CPHTTPServer) and running.is_inherited else None
        return super().bound_addr if found is None else found

    @property
    def description(self) -> str:
        """Where it serves, for people."""
        bound = self.bound_addr
        return f"socket file: {bound}" if isinstance(bound, str) else super().description

    @property
    def _checks_ports(self) -> bool:
        """False where the port may be, or is, occupied before we start."""
        address = self.bind_addr
        is_shared = self.reuse_port or self.socket_fd is not None or (address is not None and is_held(address))
        return super()._checks_ports and not is_shared

    def responder(self) -> Responder:
        """The responder of the site."""
        return type(self).current_responder()

    def site_app(self) -> Any:
        """The site as a WSGI callable."""
        return type(self).current_app()

    def httpserver_from_self(self, httpserver: Any = None) -> tuple[Any, Any]:
        """An HTTP server object, and the address it is to be bound to.

        Args:
            httpserver: an object, or a dotted name to call with this adapter; else ``instance``; else our own.

        Raises:
            ValueError: the dotted name names nothing.
        """
        made = self.instance if httpserver is None else httpserver
        if made is None:
            made = CPWSGIServer(self)
        if isinstance(made, str):
            made = self._named(made)(self)
        return made, self.bind_addr

    def _named(self, dotted: str) -> Callable[[Server], Any]:
        try:
            made: Callable[[Server], Any] = attributes(dotted)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{self._namespace}.instance is {dotted!r}, which names nothing ({error}). Allowed: an HTTP server "
                "object, or the dotted name of what makes one from this adapter, for example "
                "'cherrypy._cpwsgi_server.CPWSGIServer'."
            ) from error
        return made

    def unsubscribe(self) -> None:
        """Leave the bus alone."""
        super().unsubscribe()
        self.bus.unsubscribe("graceful", self.reload_certificates)

    def reload_certificates(self) -> None:
        """Read the files of the ssl_* settings again, for connections to come; those that are open go on as they are.

        Done when the bus is 'graceful'. If a file cannot be used, what serves now goes on, and the log says why.
        """
        tls = getattr(self.httpserver, "ssl_adapter", None)
        if not self.running or not isinstance(tls, TLS) or not tls.is_reloadable:
            return
        try:
            tls.reload()
            self.bus.log(f"Read the certificates of {self.description} again")
        except (OSError, ValueError) as error:
            self.bus.log(f"The certificates of {self.description} stay as they were: {error}", level=40)

    def stop(self) -> None:
        """Stop the server; for a restart in place its sockets stay open, and who connects meanwhile waits."""
        running = self.httpserver._running if isinstance(self.httpserver, CPHTTPServer) else None
        if running is not None and getattr(self.bus, "execv", False):
            hold(running.listeners)
        super().stop()

    stop.priority = 25  # type: ignore[attr-defined]

    def _close_held(self) -> None:
        """Once all servers have started: what none of them has taken over."""
        self.bus.unsubscribe("main", self._close_held)
        if not getattr(self.bus, "execv", False):  # else: these are for the run to come
            close_held()

    def start(self) -> None:
        """Make the HTTP server object if there is none, and start it."""
        if not self.httpserver:
            self.httpserver, address = self.httpserver_from_self()
            if address != self.bind_addr:
                self.bind_addr = address
        elif isinstance(self.httpserver, CPHTTPServer) and not self.running:
            # COMPAT: the object is kept for restarts; an address that was configured meanwhile counts all the same.
            self.httpserver.bind_addr = self.bind_addr
            tls = self.httpserver.ssl_adapter
            if tls is None or (isinstance(tls, TLS) and tls.is_reloadable):
                self.httpserver.ssl_adapter = tls_for(self)
        super().start()
        self.bus.subscribe("main", self._close_held)
        if self._is_tls:
            self.bus.subscribe("graceful", self.reload_certificates)

    start.priority = 75  # type: ignore[attr-defined]

    @property
    def _is_tls(self) -> bool:
        return is_tls(self)

    def base(self) -> str:
        """Scheme, host and port as a client would write them; the path of a Unix socket."""
        bound = self.bound_addr
        if isinstance(bound, str):
            return bound
        host, port = bound or (None, None)
        if host is None or host in ANY_ADDRESS:
            host = socket.gethostname()  # something that a client can reach
        scheme, default_port = ("https", 443) if self._is_tls else ("http", 80)
        name = f"[{host}]" if ":" in host else host
        return f"{scheme}://{name}" if port in (default_port, None) else f"{scheme}://{name}:{port}"
