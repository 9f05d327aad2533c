"""Ways into the server: TLS and the PROXY protocol."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from cherrypy.http.forwarded import Trust
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.tls import TLS, make_context

from .conftest import Client, Running, Serve


def open_tls(running: Running, before: bytes = b"") -> Client:
    """A TLS client; *before* goes out in plain first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(running.server.bind_addr, timeout=10)  # type: ignore[arg-type]
    plain.sendall(before)
    return Client(context.wrap_socket(plain))


def describe(message: Message) -> Answer:
    """Say how the request came in."""
    connection = message.connection
    text = f"{connection.scheme} {connection.peer[0]} {connection.tls_environ().get('SSL_PROTOCOL')}"
    return b"200 OK", [], [text.encode(), message.body.read()], None


@pytest.fixture
def secure(serve: Serve, certificate: Path) -> Running:
    """A TLS server."""
    return serve(describe, bind=[Listener(("127.0.0.1", 0), tls=TLS(make_context(str(certificate))))])


def test_tls(secure: Running) -> None:
    """Requests and a large body over one TLS connection, then a good end."""
    with open_tls(secure) as client:
        first = client.get()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
        second = client.reply()
        last = client.get(extra="Connection: close\r\n")

        assert client.read_all() == b""
    assert first.body.startswith(b"https 127.0.0.1 TLSv1.")
    assert second.body.endswith(b"x" * 300_000)
    assert last.status == 200


def test_a_silent_client_does_not_hold_up_handshakes(secure: Running) -> None:
    """Handshakes run in the poll set."""
    silent = [socket.create_connection(secure.server.bind_addr) for _ in range(20)]  # type: ignore[arg-type]
    with open_tls(secure) as client:
        assert client.get().status == 200
    for sock in silent:
        sock.close()


def test_plain_http_on_the_tls_port(secure: Running) -> None:
    """Is told so, in plain."""
    answer = secure.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"only speaks HTTPS" in answer


def test_the_proxy_protocol_names_the_client(serve: Serve) -> None:
    """At once, octet by octet, and with UNKNOWN the real peer stands."""
    running = serve(describe, bind=[Listener(("127.0.0.1", 0), proxy_protocol=True)])
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    whole = running.exchange(header + request)
    unknown = running.exchange(b"PROXY UNKNOWN\r\n" + request)
    with running.connect() as client:
        for octet in header + request:
            client.send(bytes([octet]))
        cut = client.read_all()

    assert b"http 192.0.2.1 " in whole
    assert b"http 192.0.2.1 " in cut
    assert b"http 127.0.0.1 " in unknown


def test_the_proxy_protocol_in_front_of_tls(serve: Serve, certificate: Path) -> None:
    """The header is in plain, the handshake follows."""
    listener = Listener(("127.0.0.1", 0), tls=TLS(make_context(str(certificate))), proxy_protocol=True)
    running = serve(describe, bind=[listener])
    with open_tls(running, b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n") as client:
        assert client.get().body.startswith(b"https 192.0.2.1 TLS")


def test_a_proxy_port_refuses_others_and_a_plain_port_refuses_it(serve: Serve) -> None:
    """Nobody may name another client where that was not configured."""
    proxied = serve(describe, bind=[Listener(("127.0.0.1", 0), proxy_protocol=True)])
    plain = serve(describe)

    assert proxied.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b""
    assert plain.exchange(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(
        b"HTTP/1.1 400 "
    )


V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def from_address(running: Running, source: str, data: bytes) -> bytes:
    """Send *data* from another address of this machine, and read until the server closes."""
    with socket.create_connection(running.server.bind_addr, 10, (source, 0)) as sock:  # type: ignore[arg-type]
        client = Client(sock)
        client.send(data)
        return client.read_all()


@pytest.mark.parametrize("header", [V1, V2], ids=["version 1", "version 2"])
@pytest.mark.parametrize("others", ["refuse", "plain"])
def test_only_listed_proxies_name_the_client(serve: Serve, header: bytes, others: str) -> None:
    """Of others the connection is closed, or it is a plain one, on which such a header is a 400."""
    listener = Listener(("127.0.0.1", 0), proxy_protocol=True, proxy_from=Trust(["127.0.0.2"]), proxy_others=others)  # type: ignore[arg-type]
    running = serve(describe, bind=[listener])

    listed = from_address(running, "127.0.0.2", header + LAST)
    forged = from_address(running, "127.0.0.3", header + LAST)
    plain = from_address(running, "127.0.0.3", LAST)
    without = from_address(running, "127.0.0.2", LAST)

    assert b"http 192.0.2.1 " in listed
    assert without == b""
    if others == "refuse":
        assert (forged, plain) == (b"", b"")
        assert running.server.stats().refused == 2
    else:
        assert forged.startswith(b"HTTP/1.1 400 ")
        assert b"http 127.0.0.3 " in plain


@pytest.mark.parametrize("header", [V1, V2], ids=["version 1", "version 2"])
def test_peers_of_a_unix_socket_are_listed_by_name(serve: Serve, tmp_path: Path, header: bytes) -> None:
    """``unix:``; an address in the list says nothing about them."""
    for name, networks, expected in [("a", ["unix:"], b"http 192.0.2.1 "), ("b", ["0.0.0.0/0"], b"")]:
        path = str(tmp_path / name)
        running = serve(describe, bind=[Listener(path, proxy_protocol=True, proxy_from=Trust(networks))])
        answer = running.exchange(header + LAST)

        assert expected in answer
        assert bool(answer) is bool(expected)


def test_a_list_of_nobody_refuses_everybody(serve: Serve) -> None:
    """An empty list is no list of all."""
    running = serve(describe, bind=[Listener(("127.0.0.1", 0), proxy_protocol=True, proxy_from=Trust([]))])

    assert running.exchange(V1 + LAST) == b""


def test_a_listed_ipv4_proxy_is_known_on_a_socket_for_both(serve: Serve) -> None:
    """Where its address reads ::ffff:127.0.0.1."""
    try:
        running = serve(describe, bind=[Listener(("::", 0), proxy_protocol=True, proxy_from=Trust(["127.0.0.1"]))])
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    port = running.server.bind_addr[1]  # type: ignore[index]
    answers = []
    for host in ("127.0.0.1", "::1"):
        client = Client(socket.create_connection((host, port), timeout=10))
        with client:
            client.send(V1 + LAST)
            answers.append(client.read_all())

    assert b"http 192.0.2.1 " in answers[0]
    assert answers[1] == b""
