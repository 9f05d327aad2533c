"""The documented server object: its settings, what they do, and its life."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from cherrypy.app import server as server_module
from cherrypy.app.server import Server
from cherrypy.app.wsgi_server import CPHTTPServer, CPWSGIServer


def test_it_serves_between_start_and_stop(server: Server, client: Any) -> None:
    """On an ephemeral port, which is told while it runs."""
    server.start()
    host, port = server.bound_addr

    assert (host, port > 0) == ("127.0.0.1", True)
    assert server.base() == f"http://127.0.0.1:{port}"
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")

    server.stop()

    assert server.bound_addr == server.bind_addr == ("127.0.0.1", 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=1)


def test_the_same_object_starts_again(server: Server, client: Any) -> None:
    """And a fresh one after ``httpserver = None``."""
    server.start()
    first = server.httpserver
    server.restart()
    assert server.httpserver is first
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")
    server.stop()

    server.httpserver = None
    server.start()

    assert server.httpserver is not first
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


def test_a_port_configured_between_two_starts_counts(server: Server) -> None:
    """Though the object is kept."""
    server.start()
    server.stop()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    server.socket_port = port
    server.start()

    assert server.bound_addr == ("127.0.0.1", port)


def test_limits_change_while_it_serves(server: Server, client: Any) -> None:
    """Set on the adapter, obeyed by the next request."""
    server.start()
    assert client.ask("/size", b"x" * 100) == ("HTTP/1.1 200 OK", b"100")

    server.max_request_body_size = 10
    assert client.ask("/size", b"x" * 100)[0].startswith("HTTP/1.1 413")
    server.max_request_body_size = 0
    assert client.ask("/size", b"x" * 100) == ("HTTP/1.1 200 OK", b"100")


def test_a_wsgi_app_takes_over_while_it_serves(server: Server, client: Any) -> None:
    """And gives back when the tree is set again."""
    server.start()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['SERVER_NAME']} {environ['wsgi.version']}".encode()]

    assert server.httpserver.wsgi_app is client.site_app
    server.httpserver.wsgi_app = app
    assert client.ask() == ("HTTP/1.1 200 OK", b"127.0.0.1 (1, 0)")
    server.httpserver.wsgi_app = client.site_app
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


def test_a_unix_socket_wins(server: Server, client: Any, tmp_path: Path) -> None:
    """Over host and port; the file goes with the server."""
    path = str(tmp_path / "app.sock")
    server.socket_file = path
    server.start()

    assert server.bound_addr == server.base() == path
    assert server.description == f"socket file: {path}"
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")
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
    server: Server, client: Any, tmp_path: Path, is_shown: bool, is_resolved: bool, expected: list[str]
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

    assert client.ask()[1].decode().split() == expected


def test_a_taken_port_is_a_clear_error(server: Server, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming host and port; the server can be started later."""
    monkeypatch.setattr("cherrypy.process.servers.Timeouts.free", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = server.socket_port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Port {port} not free on '127.0.0.1'"):
            server.start()

    server.start()

    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


def test_an_address_that_is_not_ours_is_a_clear_error(server: Server) -> None:
    """From the bind itself."""
    server.socket_host = "192.0.2.1"
    server.socket_port = 1

    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        server.start()

    assert not server.running


def test_stop_waits_for_running_requests(server: Server, client: Any) -> None:
    """They get their answer."""
    server.start()
    answers: list[tuple[str, bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(client.ask("/slow")))
    asking.start()
    assert client.entered.wait(5)
    threading.Timer(0.05, client.release.set).start()

    server.stop()
    asking.join(5)

    assert answers == [("HTTP/1.1 200 OK", b"hello")]


def test_drain_makes_the_next_answer_the_last(server: Server, client: Any) -> None:
    """True once nobody is connected; a server that is stopped has nothing to drain."""
    assert CPWSGIServer(server).drain(0)

    server.start()
    made = server.httpserver
    with socket.create_connection(server.bound_addr, timeout=5) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"close" not in one.recv(1000)
        assert made.shed() == 1
        assert not made.drain(0.05)
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Connection: close" in one.recv(1000)

    assert made.drain(5)
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


def test_stop_is_bounded(server: Server, client: Any) -> None:
    """A page that hangs does not hang the server."""
    server.shutdown_timeout = 0.2
    server.start()
    asking = threading.Thread(target=client.ask, args=("/slow",), daemon=True)
    asking.start()
    assert client.entered.wait(5)

    stopping = threading.Thread(target=server.stop)
    stopping.start()
    stopping.join(5)

    assert not stopping.is_alive()


def test_a_page_may_stop_the_bus(server: Server, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the shutdown pages of many applications do."""
    server.subscribe()

    def leaving(message: Any) -> Any:
        server.bus.exit()
        return b"200 OK", [], [b"bye"], None

    monkeypatch.setattr(Server, "current_responder", staticmethod(lambda: leaving))
    server.bus.start()

    answer = client.ask()
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("/run/a.sock", "/run/a.sock"),
        (b"/run/a.sock", "/run/a.sock"),
        (Path("/run/a.sock"), "/run/a.sock"),
        (("::1", 80), ("::1", 80)),
        (["::1", 80], ("::1", 80)),
        ((None, 80), (None, 80)),
    ],
)
def test_bind_addr_is_host_and_port_or_path(value: Any, expected: Any) -> None:
    """In one attribute."""
    server = Server()

    server.bind_addr = value

    assert server.bind_addr == expected


@pytest.mark.parametrize("value", [5, ("a",), ("a", 1, 2), {"a": 1}, object])
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


def test_statistics_count(server: Server, client: Any) -> None:
    """When they are switched on."""
    server.statistics = True
    server.start()
    client.ask()
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
