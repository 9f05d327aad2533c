"""Files as bodies: whole ones that are the server's to send and to close."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cherrypy.httpd.files import OwnedFile
from cherrypy.httpd.message import Answer, Message

from .conftest import Serve, eventually

LARGE = os.urandom(6_000_000)
SMALL = LARGE[:70_000]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A large file and a small one."""
    (tmp_path / "large").write_bytes(LARGE)
    (tmp_path / "small").write_bytes(SMALL)
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.fixture
def send(folder: Path) -> Callable[[Message], Answer]:
    """A responder that sends the file of the request's name; a query is put into a header."""

    def respond(message: Message) -> Answer:
        path = folder / message.path[1:]
        fields = [(b"X-Query", message.query.encode())] if message.query else []
        return b"200 OK", fields, OwnedFile(os.open(path, os.O_RDONLY), path.stat().st_size), None

    return respond


def opened(folder: Path) -> list[str]:
    """The files of the folder that this process has open."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue  # of the listing itself
    return [link for link in links if link.startswith(str(folder))]


def test_files_go_out_whole(serve: Serve, send: Any, folder: Path) -> None:
    """Large ones while others are served, none at all, one after the other on a kept connection."""
    running = serve(send, threads=1)
    with running.connect() as client, running.connect() as other:
        client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.get("/small").body == SMALL
        assert other.get("/empty").body == b""
        assert client.reply().body == LARGE
        assert client.get("/small").body == SMALL

    assert eventually(lambda: not opened(folder))


def test_pipelined_files_come_in_order(serve: Serve, send: Any) -> None:
    """Each behind the whole of the one before."""
    running = serve(send)
    with running.connect() as client:
        client.send(b"".join(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % name for name in (b"small", b"large", b"empty")))

        assert [client.reply().body for _ in range(3)] == [SMALL, LARGE, b""]


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_connection_that_ends(serve: Serve, send: Any, folder: Path, method: bytes, version: bytes) -> None:
    """Also behind a head alone, which has the length."""
    running = serve(send)
    raw = running.exchange(b"%b /small HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n" % (method, version))
    head, _, body = raw.partition(b"\r\n\r\n")

    assert b"Content-Length: %d" % len(SMALL) in head
    assert body == (SMALL if method == b"GET" else b"")
    assert eventually(lambda: not opened(folder))


def test_a_client_that_goes_leaves_no_file_open(serve: Serve, send: Any, folder: Path) -> None:
    """In the midst of its answer, with a reset."""
    running = serve(send)
    client = running.connect()
    client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    client.sock.recv(1000)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.sock.close()

    assert eventually(lambda: not opened(folder))


def test_a_field_that_is_refused_leaves_no_file_open(serve: Serve, folder: Path) -> None:
    """The client learns of the error, and nothing of the file follows."""

    def respond(message: Message) -> Answer:
        return b"200 OK", [(b"X", b"a\nb")], OwnedFile(os.open(folder / "small", os.O_RDONLY), len(SMALL)), None

    raw = serve(respond).exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert raw.startswith(b"HTTP/1.1 500 ")
    assert len(raw) < 1000
    assert opened(folder) == []


def test_a_length_of_ones_own_has_to_be_the_files(serve: Serve, folder: Path) -> None:
    """Another one is refused before anything is sent."""

    def respond(message: Message) -> Answer:
        body = OwnedFile(os.open(folder / "small", os.O_RDONLY), len(SMALL))
        return b"200 OK", [(b"Content-Length", b"%d" % (len(SMALL) + 1))], body, None

    raw = serve(respond).exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert raw.startswith(b"HTTP/1.1 500 ")


def test_a_file_that_shrank_ends_the_connection(serve: Serve, folder: Path) -> None:
    """Less than declared is visible."""
    small = folder / "small"
    answer = serve(lambda message: (b"200 OK", [], OwnedFile(os.open(small, os.O_RDONLY), len(SMALL) + 10), None))
    raw = answer.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert b"Content-Length: %d\r\n" % (len(SMALL) + 10) in raw
    assert raw.endswith(SMALL)


def test_who_counts_ends_hears_of_it_when_it_is_sent(serve: Serve, folder: Path) -> None:
    """An answer with a close does not wait for others."""
    calls: list[int] = []
    small = folder / "small"
    running = serve(
        lambda message: (b"200 OK", [], OwnedFile(os.open(small, os.O_RDONLY), len(SMALL)), lambda: calls.append(1))
    )
    with running.connect() as client:
        assert client.get("/").body == SMALL
        assert client.get("/").body == SMALL

    assert eventually(lambda: calls == [1, 1])


def test_a_file_that_nobody_sends_is_closed(folder: Path) -> None:
    """By who drops the answer, or reads it."""
    dropped = OwnedFile(os.open(folder / "small", os.O_RDONLY), len(SMALL))
    read = OwnedFile(os.open(folder / "small", os.O_RDONLY), len(SMALL))
    content = b"".join(read)
    del dropped

    assert content == SMALL
    assert opened(folder) == []
