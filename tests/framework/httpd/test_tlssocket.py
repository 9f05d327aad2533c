"""A TLS session as a connection uses it: what it takes, what it holds, and who may enter it."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cherrypy.httpd.tls import TLS, TLSSocket, make_context

from ..pki import Issued, Pki

DATA = bytes(range(256)) * 200


@pytest.fixture(scope="module")
def localhost(pki: Pki) -> Issued:
    """A certificate for localhost."""
    return pki.issue("localhost")


def test_what_openssl_holds_is_taken_along(localhost: Issued) -> None:
    """The poll set would never tell of it."""
    held = [b"one", b"two", b"three"]

    class Holding(ssl.SSLSocket):
        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            return held.pop(0)

        def pending(self) -> int:
            return len(held[0]) if held else 0

    context = make_context(localhost.both)
    context.sslsocket_class = Holding
    ours, theirs = socket.socketpair()
    sock = TLS(context).wrap(ours)

    assert sock.recv(3) == b"onetwothree"
    sock.close(abruptly=True)
    theirs.close()


@pytest.fixture
def session(localhost: Issued, pki: Pki) -> Iterator[tuple[TLSSocket, ssl.SSLSocket]]:
    """The two ends of one: the server's, and the client's."""
    server, client = socket.socketpair()
    server.setblocking(False)
    client.settimeout(10)
    ours = TLS(make_context(localhost.both)).wrap(server)
    theirs = pki.context().wrap_socket(client, server_hostname="localhost", do_handshake_on_connect=False)
    thread = threading.Thread(target=theirs.do_handshake)
    thread.start()
    while ours.handshake() != "done":
        select.select([ours.fileno()], [], [], 10)
    thread.join(10)
    yield ours, theirs
    ours.close(abruptly=True)
    theirs.close()


def test_records_behind_a_full_one_are_taken_along(session: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """Each would cost a turn of the poll set."""
    ours, theirs = session
    theirs.sendall(DATA[:50_000])

    assert ours.recv(65536) == DATA[:50_000]
    theirs.sendall(DATA[:50_000])
    assert ours.recv(20_000) == DATA[: 2 * 16384]  # to the end of the record
    assert ours.recv(65536) == DATA[2 * 16384 : 50_000]
    with pytest.raises(BlockingIOError):
        ours.recv(65536)


def test_records_fill_a_buffer(session: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """What the last of them has behind its end is not lost."""
    ours, theirs = session
    buffer = bytearray(40_000)
    theirs.sendall(DATA[:40_010])

    assert ours.recv_into(memoryview(buffer)) == 40_000
    assert buffer == DATA[:40_000]
    assert ours.take_held() == DATA[40_000:40_010]
    assert ours.take_held() == b""
    with pytest.raises(BlockingIOError):
        ours.recv_into(memoryview(buffer))
    socket.socket.shutdown(theirs, socket.SHUT_WR)
    assert ours.recv_into(memoryview(buffer)) == 0


def test_a_closed_session_does_not_touch_its_descriptor(session: tuple[TLSSocket, ssl.SSLSocket]) -> None:
    """The number may be another's by then."""
    ours, _ = session
    number = ours.fileno()
    ours.close(abruptly=True)
    others = socket.socketpair()
    numbers = [sock.fileno() for sock in others]

    assert number in numbers
    for use in (lambda: ours.recv(1), lambda: ours.recv_into(memoryview(bytearray(1))), lambda: ours.send(b"x")):
        with pytest.raises(OSError, match="closed"):
            use()
    assert ours.take_held() == b""
    for sock in others:
        sock.close()


def test_openssl_is_never_entered_by_two_threads(localhost: Issued) -> None:
    """One may watch a session that another one writes to; OpenSSL's memory would not survive both at once."""
    inside, leave, overlapped = threading.Event(), threading.Event(), threading.Event()

    class Slow(ssl.SSLSocket):
        def send(self, data: Any, flags: int = 0) -> int:
            inside.set()
            leave.wait(10)
            return len(data)

        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            overlapped.set()
            return b""

    context = make_context(localhost.both)
    context.sslsocket_class = Slow
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    sock: TLSSocket = TLS(context).wrap(ours)
    writer = threading.Thread(target=sock.send, args=(b"x",))
    reader = threading.Thread(target=sock.recv, args=(1,))
    writer.start()
    assert inside.wait(10)
    reader.start()

    assert not overlapped.wait(0.2)
    sock.shutdown(socket.SHUT_RDWR)  # whoever cuts it off waits for nobody
    assert theirs.recv(1) == b""
    leave.set()
    assert overlapped.wait(10)
    for thread in (writer, reader):
        thread.join(10)
    sock.close(abruptly=True)
    theirs.close()
