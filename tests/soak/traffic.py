"""Mixed traffic for a soak test: good clients, rude ones, and broken ones, each on connections of its own."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException

Play = Callable[[int], None]

BROKEN = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    b"GET /" + b"a" * 20000,
]


def kept(port: int) -> None:
    """Many requests on one connection, each with a target and a field of its own."""
    client = HTTPConnection("127.0.0.1", port, timeout=30)
    for number in range(50):
        client.request("GET", f"/{number}-{id(client)}", headers={"X-Request": f"{number}-{id(client)}"})
        assert client.getresponse().read() == b"hello"
    client.close()


def uploads(port: int) -> None:
    """Bodies of both framings, small and large."""
    client = HTTPConnection("127.0.0.1", port, timeout=30)
    for size in (10, 60_000, 300_000):
        client.request("POST", "/upload", body=b"u" * size)
        assert client.getresponse().read() == b"%d" % size
        client.request("POST", "/upload", body=iter([b"c" * size]), encode_chunked=True)
        assert client.getresponse().read() == b"%d" % size
    client.close()


def downloads(port: int) -> None:
    """Long answers of all kinds, read to their ends."""
    for path in ("/whole", "/file", "/stream"):
        client = HTTPConnection("127.0.0.1", port, timeout=30)
        client.request("GET", path)
        assert len(client.getresponse().read()) >= 1048576
        client.close()


def _open(port: int, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(data)
    return client


def gone(port: int) -> None:
    """Clients that leave inside a head, a body, and an answer."""
    for data in (b"GET / HT", b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\nx", b""):
        _open(port, data).close()
    for path in (b"/whole", b"/file", b"/stream"):
        client = _open(port, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(1000)
        client.close()


def broken(port: int) -> None:
    """Requests that are refused, read to the server's close."""
    for data in BROKEN:
        with _open(port, data) as client:
            while client.recv(65536):
                pass


def pipelined(port: int) -> None:
    """Twenty requests in one send, then the end of input."""
    with _open(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 20) as client:
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.count(b"HTTP/1.1 200 ") == 20


PLAYS: list[Play] = [kept, kept, uploads, downloads, gone, broken, pipelined]


@contextmanager
def mixed_traffic(port: int) -> Iterator[Counter[str]]:
    """One thread for each play, over and over; gives the counts of plays and, under ``failed``, of failures."""
    over = threading.Event()
    played: Counter[str] = Counter()

    def repeat(play: Play) -> None:
        while not over.is_set():
            try:
                play(port)
                played[play.__name__] += 1
            except ConnectionResetError:
                played["reset"] += 1  # a refused client that had more to send
            except (OSError, HTTPException, AssertionError) as error:
                played["failed"] += 1
                played[f"failed: {play.__name__}: {error!r}"] += 1

    threads = [threading.Thread(target=repeat, args=(play,)) for play in PLAYS]
    for thread in threads:
        thread.start()
    try:
        yield played
    finally:
        over.set()
        for thread in threads:
            thread.join()
