"""What the keys of the namespace ``server`` do to a server that runs."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cherrypy.app.server import Server
from cherrypy.app.wsgi_server import CPHTTPServer


def environ_of(server: Server, client: Any) -> dict[str, Any]:
    """Return the WSGI environ that a foreign application sees."""
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return [b""]

    server.httpserver.wsgi_app = app
    client.ask("/caf%C3%A9")
    return seen[0]


def test_socket_host(server: Server, client: Any) -> None:
    """The address that is listened on, and no other."""
    server.socket_host = "127.0.0.2"
    server.start()
    _, port = server.bound_addr

    assert server.bound_addr[0] == "127.0.0.2"
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_socket_host_none_is_every_interface(server: Server, client: Any) -> None:
    """So is 0.0.0.0."""
    for host in (None, "0.0.0.0"):
        server.httpserver = None
        server.socket_host = host
        server.start()
        port = server.httpserver.socket.getsockname()[1]
        for address in ("127.0.0.1", "127.0.0.3"):
            with socket.create_connection((address, port), timeout=5) as one:
                one.sendall(b"GET / HTTP/1.0\r\n\r\n")

                assert one.recv(100).startswith(b"HTTP/1.1 200")
        server.stop()


def test_a_socket_file_has_the_mode_that_was_asked_for(server: Server, client: Any, tmp_path: Path) -> None:
    """Not 0777 for all the world, if the site says so."""
    server.socket_file = tmp_path / "app.sock"
    server.socket_mode = 0o600
    server.start()

    assert os.stat(tmp_path / "app.sock").st_mode & 0o777 == 0o600
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


def test_socket_queue_size_is_the_backlog(server: Server, client: Any) -> None:
    """As the kernel has it: tcpi_sacked of a listening socket."""
    server.socket_queue_size = 7
    server.start()

    info = server.httpserver.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)

    assert struct.unpack_from("I", info, 8 + 4 * 5)[0] == 7


def test_socket_timeout_ends_silent_connections(server: Server, client: Any) -> None:
    """Before a request and between two of them."""
    server.socket_timeout = 0.2
    server.start()

    with client.connect() as silent, client.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert idle.recv(1000).endswith(b"hello")
        assert idle.recv(1000) == b""
        # a head that never came is answered like one that came too slowly
        assert b"".join(iter(lambda: silent.recv(1000), b"")).startswith(b"HTTP/1.1 408")


def test_socket_timeout_changes_while_it_serves(server: Server, client: Any) -> None:
    """On the adapter or on the server object."""
    server.start()

    server.socket_timeout = 3
    assert server.httpserver.timeout == 3
    server.httpserver.timeout = 0.1

    with client.connect() as idle:
        began = time.monotonic()
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(1000).endswith(b"hello")
        assert idle.recv(1000) == b""
        assert time.monotonic() - began < 3


@pytest.mark.parametrize("timeout_s", [None, -1])
def test_shutdown_timeout_may_be_without_end(server: Server, client: Any, timeout_s: float | None) -> None:
    """Every request is waited for."""
    server.shutdown_timeout = timeout_s  # type: ignore[assignment]
    server.start()
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(client.ask("/slow")))
    asking.start()
    assert client.entered.wait(5)
    stopping = threading.Thread(target=server.stop)
    stopping.start()

    stopping.join(0.1)
    assert stopping.is_alive()
    client.release.set()
    stopping.join(10)
    asking.join(10)

    assert answers == [("HTTP/1.1 200 OK", b"hello")]
    assert not stopping.is_alive()


def test_protocol_version_1_0(server: Server, client: Any) -> None:
    """The site sees an old client, and no connection persists."""
    server.protocol_version = "HTTP/1.0"
    server.start()

    with client.connect() as one:
        one.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: one.recv(1000), b""))

    assert answer.endswith(b"\r\n\r\n1.0")
    assert b"Connection: close\r\n" in answer


def test_protocol_version_1_1(server: Server, client: Any) -> None:
    """The default."""
    server.start()

    assert client.ask("/version")[1] == b"1.1"


def test_thread_pool_is_the_number_of_threads(server: Server, client: Any) -> None:
    """Named after CherryPy's."""
    server.thread_pool = 3
    server.start()

    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("CP Server Thread-")]

    assert len(names) == len(server.httpserver.requests._threads) == 3


def test_max_request_header_size(server: Server, client: Any) -> None:
    """413 for too much of fields, 414 for a request line that alone is too long."""
    server.max_request_header_size = 500
    server.start()

    assert client.ask()[0] == "HTTP/1.1 200 OK"
    assert client.ask(fields=f"X-Big: {'x' * 500}\r\n")[0].startswith("HTTP/1.1 413")
    assert client.ask("/" + "x" * 500)[0].startswith("HTTP/1.1 414")

    server.max_request_header_size = 0

    assert client.ask(fields=f"X-Big: {'x' * 600000}\r\n")[0] == "HTTP/1.1 200 OK"


def test_max_request_body_size(server: Server, client: Any) -> None:
    """413 beyond."""
    server.max_request_body_size = 10
    server.start()

    assert client.ask("/size", b"x" * 10) == ("HTTP/1.1 200 OK", b"10")
    assert client.ask("/size", b"x" * 11)[0].startswith("HTTP/1.1 413")


@pytest.mark.parametrize("is_on", [True, False])
def test_nodelay(server: Server, client: Any, is_on: bool) -> None:
    """Nagle's algorithm off, or on."""
    server.nodelay = is_on
    server.start()

    assert bool(server.httpserver.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is is_on


@pytest.mark.parametrize(("version", "path"), [((1, 0), "/caf\xc3\xa9"), (("u", 0), "/caf\xe9")])
def test_wsgi_version(server: Server, client: Any, version: Any, path: str) -> None:
    """("u", 0) has text that was decoded as UTF-8."""
    server.wsgi_version = version
    server.start()

    environ = environ_of(server, client)

    assert (environ["wsgi.version"], environ["PATH_INFO"]) == (version, path)


class Made(CPHTTPServer):
    """A server class of the user's, found by its dotted name."""


def test_instance_by_dotted_name_serves(server: Server, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called with the adapter."""
    monkeypatch.setattr("cherrypy.app.wsgi_server.Made", Made, raising=False)
    server.instance = "cherrypy.app.wsgi_server.Made"
    server.start()

    assert type(server.httpserver) is Made
    assert server.httpserver.server_adapter is server
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


@pytest.mark.parametrize("name", ["no.such.module", "cherrypy.app.wsgi_server.Absent", "nodots"])
def test_instance_of_nothing_is_named(server: Server, name: str) -> None:
    """With the key."""
    server.instance = name

    with pytest.raises(
        ValueError, match=rf"^server\.instance is '{name}', which names nothing .* Allowed: an HTTP server"
    ):
        server.start()

    assert not server.running


def test_instance_as_an_object_is_started_and_stopped(server: Server) -> None:
    """Anything with start, stop and ready."""
    calls: list[str] = []

    class Foreign:
        ready = False
        bound_when_ready = True

        def __init__(self) -> None:
            self.over = threading.Event()

        def start(self) -> None:
            calls.append("start")
            self.ready = True
            self.over.wait(10)

        def stop(self) -> None:
            calls.append("stop")
            self.ready = False
            self.over.set()

    server.instance = Foreign()
    server.start()
    server.stop()

    assert calls == ["start", "stop"]
    assert server.httpserver is server.instance


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Give (certificate, key) of localhost, as file names."""
    assert shutil.which("openssl"), "openssl is needed to make a certificate"
    folder = tmp_path_factory.mktemp("tls")
    names = str(folder / "cert.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", names[0], "-keyout", names[1]], check=True, capture_output=True)
    return names


def ask_by_tls(server: Server) -> tuple[bytes, str]:
    """Return (body, cipher) of one request over TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(server.bound_addr, timeout=10) as plain, context.wrap_socket(plain) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: one.recv(1000), b""))
        cipher = one.cipher()
    assert cipher is not None
    return answer.rpartition(b"\r\n")[2], cipher[0]


@pytest.mark.parametrize("module", ["builtin", "pyopenssl", None])
def test_certificate_and_key_make_tls(
    server: Server, client: Any, certificate: tuple[str, str], module: str | None
) -> None:
    """Whatever module is asked for: it is the standard library's."""
    server.ssl_module = module
    server.ssl_certificate, server.ssl_private_key = certificate
    server.start()

    assert ask_by_tls(server)[0] == b"hello"
    assert server.base().startswith("https://127.0.0.1:")
    assert server.description == server.base()
    assert server.httpserver.ssl_adapter is not None


def test_ssl_context_and_ciphers(server: Server, client: Any, certificate: tuple[str, str]) -> None:
    """A context of one's own; or the cipher list for ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    server.ssl_context = context
    server.start()
    assert ask_by_tls(server) == (b"hello", "ECDHE-RSA-AES128-GCM-SHA256")
    server.stop()

    server.httpserver = server.ssl_context = None
    server.ssl_certificate, server.ssl_private_key = certificate
    server.ssl_ciphers = "no such cipher"
    with pytest.raises(OSError, match=r"(?i)cipher"):
        server.start()


def test_a_chain_that_is_not_there_is_named(server: Server, certificate: tuple[str, str]) -> None:
    """With the key of the setting."""
    server.ssl_certificate, server.ssl_private_key = certificate
    server.ssl_certificate_chain = "/nonexistent/chain.pem"

    with pytest.raises(OSError, match=r"ssl_certificate_chain='/nonexistent/chain\.pem'"):
        server.start()
