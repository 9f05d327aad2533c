"""The documented server object: its settings, what they do, and its life."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cherrypy.app import server as server_module
from cherrypy.app.server import Server
from cherrypy.app.wsgi_server import BOUNDLESS, CPHTTPServer, CPWSGIServer
from cherrypy.process.wspbus import Bus


def hello(message: Any) -> Any:
    """A site of one page; /slow waits for ``release``, /size tells what came in."""
    if message.path == "/slow":
        message.entering("slow")
        entered.set()
        release.wait(10)
    if message.path == "/size":
        return b"200 OK", [], [str(len(message.body.read())).encode()], None
    return b"200 OK", [(b"Content-Type", b"text/plain")], [b"hello"], None


entered = threading.Event()
release = threading.Event()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One on a bus of its own and a free port, over ``hello``; stopped at the end."""
    entered.clear()
    release.clear()
    monkeypatch.setattr(Server, "current_responder", staticmethod(lambda: hello))
    monkeypatch.setattr(Server, "current_app", staticmethod(lambda: site_app))
    made = Server()
    made.bus = Bus()
    made.socket_port = 0
    made.shutdown_timeout = 3
    yield made
    release.set()
    if made.running:
        made.stop()


def site_app(environ: Any, start_response: Any) -> list[bytes]:
    """Stands for the tree."""
    raise AssertionError("the native path does not go through here")


def ask(server: Server, path: str = "/", body: bytes = b"") -> tuple[str, bytes]:
    """(status line, body) of one request on a connection of its own."""
    with connect(server) as client:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}\r\n"
        client.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    top, _, rest = answer.partition(b"\r\n\r\n")
    return top.split(b"\r\n")[0].decode(), rest


def connect(server: Server) -> socket.socket:
    """A client's end."""
    address = server.bound_addr
    if isinstance(address, str):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(address)
        return client
    return socket.create_connection(address, timeout=10)


DEFAULTS = {
    "socket_host": "127.0.0.1",
    "socket_port": 8080,
    "socket_file": None,
    "socket_queue_size": 5,
    "socket_timeout": 10,
    "accepted_queue_size": -1,
    "accepted_queue_timeout": 10,
    "shutdown_timeout": 5,
    "protocol_version": "HTTP/1.1",
    "thread_pool": 10,
    "thread_pool_max": -1,
    "max_request_header_size": 512000,
    "max_request_body_size": 104857600,
    "instance": None,
    "ssl_module": "builtin",
    "ssl_context": None,
    "ssl_certificate": None,
    "ssl_certificate_chain": None,
    "ssl_private_key": None,
    "ssl_ciphers": None,
    "statistics": False,
    "nodelay": True,
    "wsgi_version": (1, 0),
    "peercreds": False,
    "peercreds_resolve": False,
    "trusted_proxies": None,
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_documented_defaults(key: str) -> None:
    """As the manual lists them."""
    assert getattr(Server(), key) == DEFAULTS[key]


def test_settings_become_limits(server: Server) -> None:
    """Of the native server."""
    server.max_request_header_size = 5000
    server.max_request_body_size = 0
    server.socket_timeout = 3
    server.thread_pool = 4

    made = CPWSGIServer(server)

    assert (made.limits.head_bytes, made.limits.field_bytes, made.limits.request_line_bytes) == (5000, 5000, 5000)
    assert made.limits.head_status == 413
    assert made.limits.body_bytes == 0
    assert (made.limits.idle_s, made.limits.head_s) == (3, 3)
    assert made.numthreads == 4
    assert made.limits.backlog >= 1024


def test_a_queue_that_was_asked_for_counts(server: Server) -> None:
    """The documented default of 5 would lose connections."""
    server.socket_queue_size = 7

    assert CPWSGIServer(server).limits.backlog == 7


def test_room_for_fields_is_no_room_for_the_request_line(server: Server) -> None:
    """A target beyond 16 KiB is refused as too long, with the default of 500 KiB as well."""
    limits = CPWSGIServer(server).limits

    assert (limits.head_bytes, limits.field_bytes, limits.request_line_bytes) == (512000, 512000, 16384)


def test_zero_is_unlimited(server: Server) -> None:
    """Written as the manual says."""
    server.max_request_header_size = 0

    made = CPWSGIServer(server)

    assert made.max_request_header_size == 0
    assert made.limits.head_bytes == made.limits.request_line_bytes == BOUNDLESS


def test_it_serves_between_start_and_stop(server: Server) -> None:
    """On an ephemeral port, which is told while it runs."""
    server.start()
    host, port = server.bound_addr

    assert (host, port > 0) == ("127.0.0.1", True)
    assert server.base() == f"http://127.0.0.1:{port}"
    assert ask(server) == ("HTTP/1.1 200 OK", b"hello")

    server.stop()

    assert server.bound_addr == server.bind_addr == ("127.0.0.1", 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=1)


def test_the_same_object_starts_again(server: Server) -> None:
    """And a fresh one after ``httpserver = None``."""
    server.start()
    first = server.httpserver
    server.restart()
    assert server.httpserver is first
    assert ask(server) == ("HTTP/1.1 200 OK", b"hello")
    server.stop()

    server.httpserver = None
    server.start()

    assert server.httpserver is not first
    assert ask(server) == ("HTTP/1.1 200 OK", b"hello")


def test_a_port_configured_between_two_starts_counts(server: Server) -> None:
    """Though the object is kept."""
    server.start()
    server.stop()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    server.socket_port = port
    server.start()

    assert server.bound_addr == ("127.0.0.1", port)


def test_limits_change_while_it_serves(server: Server) -> None:
    """Set on the adapter, obeyed by the next request."""
    server.start()
    assert ask(server, "/size", b"x" * 100) == ("HTTP/1.1 200 OK", b"100")

    server.max_request_body_size = 10
    assert ask(server, "/size", b"x" * 100)[0].startswith("HTTP/1.1 413")
    server.max_request_body_size = 0
    assert ask(server, "/size", b"x" * 100) == ("HTTP/1.1 200 OK", b"100")


def test_a_wsgi_app_takes_over_while_it_serves(server: Server) -> None:
    """And gives back when the tree is set again."""
    server.start()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['SERVER_NAME']} {environ['wsgi.version']}".encode()]

    assert server.httpserver.wsgi_app is site_app
    server.httpserver.wsgi_app = app
    assert ask(server) == ("HTTP/1.1 200 OK", b"127.0.0.1 (1, 0)")
    server.httpserver.wsgi_app = site_app
    assert ask(server) == ("HTTP/1.1 200 OK", b"hello")


def test_a_unix_socket_wins(server: Server, tmp_path: Path) -> None:
    """Over host and port; the file goes with the server."""
    path = str(tmp_path / "app.sock")
    server.socket_file = path
    server.start()

    assert server.bound_addr == server.base() == path
    assert server.description == f"socket file: {path}"
    assert ask(server) == ("HTTP/1.1 200 OK", b"hello")
    assert os.stat(path).st_mode & 0o777 == 0o777

    server.stop()

    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("is_shown", "is_resolved", "expected"),
    [
        (False, False, []),
        (True, False, ["GID", "PID", "UID"]),
        (False, True, ["GID", "GROUP", "PID", "UID", "USER"]),
    ],
)
def test_peers_of_a_unix_socket_are_known(
    server: Server, tmp_path: Path, is_shown: bool, is_resolved: bool, expected: list[str]
) -> None:
    """By number, and by name, if that is wanted."""
    server.socket_file = str(tmp_path / "app.sock")
    server.peercreds, server.peercreds_resolve = is_shown, is_resolved
    server.start()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        prefix = "X_REMOTE_"
        return [" ".join(sorted(key.removeprefix(prefix) for key in environ if key.startswith(prefix))).encode()]

    server.httpserver.wsgi_app = app

    assert ask(server)[1].decode().split() == expected


def test_a_taken_port_is_a_clear_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming host and port; the server can be started later."""
    monkeypatch.setattr("cherrypy.process.servers.Timeouts.free", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = server.socket_port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Port {port} not free on '127.0.0.1'"):
            server.start()

    server.start()

    assert ask(server) == ("HTTP/1.1 200 OK", b"hello")


def test_an_address_that_is_not_ours_is_a_clear_error(server: Server) -> None:
    """From the bind itself."""
    server.socket_host = "192.0.2.1"
    server.socket_port = 1

    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        server.start()

    assert not server.running


def test_stop_waits_for_running_requests(server: Server) -> None:
    """They get their answer."""
    server.start()
    answers: list[tuple[str, bytes]] = []
    client = threading.Thread(target=lambda: answers.append(ask(server, "/slow")))
    client.start()
    assert entered.wait(5)
    threading.Timer(0.05, release.set).start()

    server.stop()
    client.join(5)

    assert answers == [("HTTP/1.1 200 OK", b"hello")]


def test_drain_makes_the_next_answer_the_last(server: Server) -> None:
    """True once nobody is connected; a server that is stopped has nothing to drain."""
    assert CPWSGIServer(server).drain(0)

    server.start()
    made = server.httpserver
    with socket.create_connection(server.bound_addr, timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"close" not in client.recv(1000)
        assert made.shed() == 1
        assert not made.drain(0.05)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Connection: close" in client.recv(1000)

    assert made.drain(5)
    assert ask(server) == ("HTTP/1.1 200 OK", b"hello")


def test_stop_is_bounded(server: Server) -> None:
    """A page that hangs does not hang the server."""
    server.shutdown_timeout = 0.2
    server.start()
    client = threading.Thread(target=ask, args=(server, "/slow"), daemon=True)
    client.start()
    assert entered.wait(5)

    stopping = threading.Thread(target=server.stop)
    stopping.start()
    stopping.join(5)

    assert not stopping.is_alive()


def test_a_page_may_stop_the_bus(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the shutdown pages of many applications do."""
    server.subscribe()

    def leaving(message: Any) -> Any:
        server.bus.exit()
        return b"200 OK", [], [b"bye"], None

    monkeypatch.setattr(Server, "current_responder", staticmethod(lambda: leaving))
    server.bus.start()

    answer = ask(server)
    server.bus.wait(server.bus.states.EXITING)

    assert answer == ("HTTP/1.1 200 OK", b"bye")


def test_an_interrupt_ends_the_bus(server: Server) -> None:
    """The serving thread raises it."""
    server.subscribe()
    server.bus.start()

    server.httpserver.interrupt = KeyboardInterrupt()
    server.bus.wait(server.bus.states.EXITING)

    assert isinstance(server.interrupt, KeyboardInterrupt)
    assert not server.running


class Own:
    """A server object of the user's."""

    ready = False

    def __init__(self, adapter: Server) -> None:
        self.adapter = adapter


def test_instance_makes_the_server_object(server: Server) -> None:
    """As an object, or by a dotted name that is called with the adapter."""
    server.instance = f"{CPHTTPServer.__module__}.CPHTTPServer"
    made, address = server.httpserver_from_self()
    assert type(made) is CPHTTPServer
    assert address == ("127.0.0.1", 0)

    server.instance = Own(server)
    assert server.httpserver_from_self()[0] is server.instance


def test_empty_host_is_refused() -> None:
    """It would mean everything."""
    with pytest.raises(ValueError, match=r"'0\.0\.0\.0'"):
        Server().socket_host = ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("/run/a.sock", "/run/a.sock"), (("::1", 80), ("::1", 80))],
)
def test_bind_addr_is_host_and_port_or_path(value: Any, expected: Any) -> None:
    """In one attribute."""
    server = Server()

    server.bind_addr = value

    assert server.bind_addr == expected


@pytest.mark.parametrize("value", [5, ("a", 1, 2), ["a", 1], b"/path"])
def test_other_addresses_are_refused(value: Any) -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match="bind_addr must be"):
        Server().bind_addr = value


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"socket_port": 80}, "http://127.0.0.1"),
        ({"socket_port": 8080, "socket_host": "::1"}, "http://[::1]:8080"),
        ({"socket_port": 443, "ssl_certificate": "x"}, "https://127.0.0.1"),
        ({"socket_port": 8443, "ssl_certificate": "x"}, "https://127.0.0.1:8443"),
        ({"socket_host": "0.0.0.0"}, f"http://{socket.gethostname()}:8080"),
        ({"socket_host": "::"}, f"http://{socket.gethostname()}:8080"),
        ({"socket_file": "/run/a.sock"}, "/run/a.sock"),
    ],
)
def test_base_is_what_a_client_would_write(settings: dict[str, Any], expected: str) -> None:
    """Without the scheme's own port."""
    server = Server()
    for key, value in settings.items():
        setattr(server, key, value)

    assert server.base() == expected


def test_a_key_without_certificate_is_an_error(server: Server) -> None:
    """And so is a file that is not there, by name."""
    server.ssl_private_key = "key.pem"
    with pytest.raises(ValueError, match="ssl_certificate is not"):
        CPWSGIServer(server)

    server.ssl_certificate = "/nonexistent.pem"
    with pytest.raises(OSError, match=r"ssl_certificate='/nonexistent\.pem'"):
        CPWSGIServer(server)


def test_statistics_count(server: Server) -> None:
    """When they are switched on."""
    server.statistics = True
    server.start()
    ask(server)
    stats = server.httpserver.stats

    values = {key: value(stats) if callable(value) else value for key, value in stats.items()}

    assert values["Enabled"] is True
    assert values["Accepts"] >= 1
    assert values["Requests"] >= 1
    assert values["Threads"] == 10
    assert server.httpserver.requests.qsize == 0


ACTIVATED = """
    import os, socket, sys
    from cherrypy.app.server import CPHTTPServer, Server
    from cherrypy.process.wspbus import Bus
    bus = Bus()
    Server.current_responder = staticmethod(lambda: lambda m: (b"200 OK", [], [b"activated"], None))
    Server.current_app = staticmethod(lambda: None)
    os.dup2(int(sys.argv[2]), 3)
    os.environ["LISTEN_PID"] = str(os.getpid())
    server = CPHTTPServer.default_adapter = Server()
    server.bus = bus
    server.subscribe()
    bus.start()
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    print(b"".join(iter(lambda: client.recv(1000), b"")).rpartition(b"\\n")[2].decode())
    bus.exit()
"""


def test_a_socket_from_a_service_manager(tmp_path: Path) -> None:
    """Descriptor 3 is served, whatever host and port say."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        port = passed.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(ACTIVATED), str(port), str(passed.fileno())],
            pass_fds=[passed.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.stdout == "activated\n", done.stderr


def test_parts_without_a_site_say_so() -> None:
    """Rather than serve nothing."""
    with pytest.raises(RuntimeError, match="import cherrypy"):
        server_module._no_site()
