"""What the server does over TLS, apart from what it does anyway."""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cherrypy.httpd.files import FileSlice
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.tls import TLS, make_context

from ..pki import Issued, Pki
from .conftest import Client, Running, Serve

BIG = bytes(range(256)) * 20_000  # 5 MB
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def localhost(pki: Pki) -> Issued:
    """A certificate for localhost."""
    return pki.issue("localhost")


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 5 MB."""
    path = tmp_path_factory.mktemp("files") / "big"
    path.write_bytes(BIG)
    return path


def secure(serve: Serve, issued: Issued, respond: Any, **limits: Any) -> Running:
    """A server with one certificate."""
    return serve(respond, bind=[Listener(("127.0.0.1", 0), tls=TLS(make_context(issued.both)))], **limits)


def site(big_file: Path) -> Any:
    """Answers of every kind, by path."""

    def respond(message: Message) -> Answer:
        message.entering(message.path)
        if message.path == "/big":
            return b"200 OK", [], [BIG], None
        if message.path == "/stream":
            return b"200 OK", [], (BIG[start : start + 100_000] for start in range(0, len(BIG), 100_000)), None
        if message.path == "/file":
            file = big_file.open("rb")
            return b"200 OK", [], FileSlice(file, 0, len(BIG)), file.close
        return b"200 OK", [], [message.body.read()], None

    return respond


@pytest.fixture
def live(serve: Serve, localhost: Issued, big_file: Path) -> Running:
    """A TLS server with that site."""
    return secure(serve, localhost, site(big_file))


def truncation_seer(pki: Pki) -> ssl.SSLContext:
    """For clients that take an end without close_notify for an error."""
    context = pki.context()
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


def read_to_end(context: ssl.SSLContext, address: Any, request: bytes) -> bytes:
    """Everything up to a close_notify; an SSLEOFError without one."""
    plain = socket.create_connection(address, timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("path", ["/big", "/stream"])
def test_big_answers(live: Running, pki: Pki, path: str) -> None:
    """In one piece or in many, on one connection."""
    with Client(pki.connect(live.server.bind_addr)) as client:
        for _ in range(2):
            assert client.get(path).body == BIG


@pytest.mark.parametrize("path", ["/big", "/file"])
def test_a_slow_reader_of_a_big_answer_costs_no_thread(
    serve: Serve, localhost: Issued, pki: Pki, big_file: Path, path: str
) -> None:
    """With one thread, others are answered while it takes its time."""
    running = serve(
        site(big_file),
        bind=[Listener(("127.0.0.1", 0), tls=TLS(make_context(localhost.both)))],
        threads=1,
    )
    with Client(pki.connect(running.server.bind_addr)) as slow, Client(pki.connect(running.server.bind_addr)) as other:
        slow.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

        assert other.get().status == 200
        assert slow.reply().body == BIG


def test_files_are_read_where_sendfile_cannot_help(live: Running, pki: Pki) -> None:
    """The kernel would send them in plain."""
    with Client(pki.connect(live.server.bind_addr)) as client:
        assert client.get("/file").body == BIG


def test_uploads(live: Running, pki: Pki) -> None:
    """By length and in chunks, in records of every size."""
    body = BIG[:1_000_000]
    with Client(pki.connect(live.server.bind_addr)) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        by_length = client.reply().body
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 70_000):
            piece = body[start : start + 70_000]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        in_chunks = client.reply().body

    assert by_length == body
    assert in_chunks == body


@pytest.mark.parametrize("piece", [65_537, 100_000, 3_000_000])
def test_an_upload_that_is_read_in_large_pieces(serve: Serve, localhost: Issued, pki: Pki, piece: int) -> None:
    """A piece ends inside a record: what OpenSSL holds of it comes first in the next one."""

    def respond(message: Message) -> Answer:
        return b"200 OK", [], [b"".join(iter(lambda: message.body.read(piece), b""))], None

    running = secure(serve, localhost, respond, body_memory_bytes=0)
    with Client(pki.connect(running.server.bind_addr)) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG + GET)

        assert client.reply().body == BIG
        assert client.reply().status == 200


def test_pipelined_requests_in_one_record(live: Running, pki: Pki) -> None:
    """What OpenSSL holds already is no news to the poll set; all are answered all the same."""
    with Client(pki.connect(live.server.bind_addr)) as client:
        client.send(GET * 50)

        assert [client.reply().status for _ in range(50)] == [200] * 50


def test_a_request_in_many_records(live: Running, pki: Pki) -> None:
    """An octet each."""
    with Client(pki.connect(live.server.bind_addr)) as client:
        for octet in GET:
            client.send(bytes([octet]))

        assert client.reply().status == 200


def test_alpn(live: Running, pki: Pki) -> None:
    """http/1.1 is agreed on; a client that knows only others goes on without."""
    agreed = []
    for offered in (["h2", "http/1.1"], ["h2"]):
        context = pki.context()
        context.set_alpn_protocols(offered)
        sock = pki.connect(live.server.bind_addr, context=context)
        with Client(sock) as client:
            agreed.append((sock.selected_alpn_protocol(), client.get().status))

    assert agreed == [("http/1.1", 200), (None, 200)]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_1_1_is_refused(live: Running, pki: Pki) -> None:
    """Even to a client that would take it."""
    context = pki.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        pki.connect(live.server.bind_addr, context=context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(live: Running, pki: Pki, version: ssl.TLSVersion) -> None:
    """By tickets, which come with the first answer."""
    context = pki.context()
    context.minimum_version = context.maximum_version = version
    first = pki.connect(live.server.bind_addr, context=context)
    with Client(first) as client:
        client.get()
        plain = socket.create_connection(live.server.bind_addr, timeout=10)  # type: ignore[arg-type]
        second = context.wrap_socket(plain, server_hostname="localhost", session=first.session)
    with Client(second) as client:
        assert client.get().status == 200
        assert second.session_reused


@pytest.mark.parametrize(
    "request_line", ["GET / HTTP/1.1", "DELETE /x HTTP/1.1", "CONNECT a:1 HTTP/1.1", "post / HTTP/1.1"]
)
def test_plain_http_is_told_so(live: Running, request_line: str) -> None:
    """Whatever its method; a body on its way does not cost it the answer."""
    answer = live.exchange(f"{request_line}\r\nHost: a\r\n\r\n".encode() + b"x" * 200_000, shut=True)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"this server only speaks HTTPS on this port.")


def test_what_is_neither_tls_nor_http_is_closed(live: Running) -> None:
    """Without an answer, or with an alert."""
    assert b"HTTP" not in live.exchange(b"\x00\x01\x02\x03" * 10)


def test_failed_handshakes_are_counted(live: Running) -> None:
    """As socket errors."""
    live.exchange(b"\x17\x03\x03\x00\x05hello")

    assert live.server.stats().socket_errors == 1


def test_silent_clients_by_the_hundred_delay_nobody(live: Running, pki: Pki) -> None:
    """Not those that never begin a handshake, nor those that stop in the middle of it."""
    address: Any = live.server.bind_addr
    silent = [socket.create_connection(address) for _ in range(200)]
    for sock in silent[:100]:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    for _ in range(3):
        with Client(pki.connect(address)) as client:
            assert client.get().status == 200
    for sock in silent:
        sock.close()


def test_a_handshake_has_a_deadline(serve: Serve, localhost: Issued) -> None:
    """Then the connection is closed."""
    running = secure(serve, localhost, site(Path()), handshake_s=0.1)
    with running.connect() as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00")

        assert client.is_closed()


@pytest.mark.parametrize("fields", ["Connection: close\r\n", ""])
def test_an_end_is_announced(serve: Serve, localhost: Issued, pki: Pki, fields: str) -> None:
    """By close_notify: after the last answer, and when an idle connection is closed."""
    running = secure(serve, localhost, site(Path()), idle_s=0.1)
    request = f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()

    answer = read_to_end(truncation_seer(pki), running.server.bind_addr, request)

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_cut_answer_has_no_good_end(serve: Serve, localhost: Issued, pki: Pki) -> None:
    """Or a client could take it for a whole one."""

    def fails() -> Iterator[bytes]:
        yield b"some"
        raise ValueError("in the middle")

    running = secure(serve, localhost, lambda message: (b"200 OK", [], fails(), None))

    with pytest.raises(OSError, match=r"(?i)eof|reset"):
        read_to_end(truncation_seer(pki), running.server.bind_addr, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")


def reset(sock: socket.socket) -> None:
    """Close so that the other end gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_abrupt_clients_make_no_noise(live: Running, pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    """In no phase of a connection; and the server goes on."""
    address: Any = live.server.bind_addr
    with caplog.at_level(logging.INFO):
        for greeting in (b"", b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"GET"):
            for end in (reset, socket.socket.close):
                sock = socket.create_connection(address)
                sock.sendall(greeting)
                end(sock)
        for request in (
            b"",
            b"GET / HT",
            b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            client = pki.connect(address)
            client.sendall(request)
            reset(client)
        untrusting = ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            pki.connect(address, context=untrusting)
        spoilt = pki.connect(address)
        with suppress(OSError):
            socket.socket.sendall(spoilt, b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that nobody encrypted
        spoilt.close()
        with Client(pki.connect(address)) as client_after:
            assert client_after.get("/big").body == BIG

    assert [record.getMessage() for record in caplog.records if record.name.startswith("cherrypy")] == []


@pytest.mark.parametrize("size", [100_000, len(BIG)])
def test_what_is_behind_an_upload_in_its_last_record_is_the_next_request(live: Running, pki: Pki, size: int) -> None:
    """Nobody but OpenSSL knows of it, whoever receives the body."""
    body = BIG[:size]
    with Client(pki.connect(live.server.bind_addr)) as client:
        for _ in range(3):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body + GET)

            assert client.reply().body == body
            assert client.reply().status == 200
