"""A load generator that checks every answer: raw sockets, keep-alive, one thread a client, no library in between.

It never retries. Whatever is not a whole answer of the expected status and body counts as a failure, under its cause:
``refused``, ``reset``, ``closed`` (no answer on a fresh connection), ``cut`` (an answer that ends early), ``timeout``,
``status 502``, ``body``. One thing is no failure: a kept connection that the server closed between two requests, which
RFC 9112 section 9.3.1 lets it do; a client that has not had an octet of the answer then opens another one. It is
counted as ``stale`` all the same, and may be made a failure with ``stale_is_failure``.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Shot:
    """One request and what must come back."""

    method: str = "GET"
    path: str = "/"
    body: bytes = b""
    expected_status: int = 200
    expected_body: bytes | None = None
    content_type: str = "application/octet-stream"


@dataclass
class Tally:
    """What a run found."""

    sent: int = 0
    good: int = 0
    stale: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    lost: list[Shot] = field(default_factory=list)
    """Requests that failed, in the order in which they did."""
    headers_seen: Counter[str] = field(default_factory=Counter)
    """Values of the header that was asked for (``Load.note_header``)."""
    latencies_s: list[float] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Number of failures of all causes."""
        return sum(self.failures.values())

    def percentile_ms(self, share: float) -> float:
        """Latency under which *share* of the good answers lie."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def __str__(self) -> str:
        failures = ", ".join(f"{cause}: {count}" for cause, count in self.failures.most_common()) or "none"
        return (
            f"{self.good} of {self.sent} good, failures: {failures}, stale: {self.stale}, "
            f"p50 {self.percentile_ms(0.5):.1f} ms, p99 {self.percentile_ms(0.99):.1f} ms; {self.examples[:3]}"
        )


class Failure(Exception):
    """An answer that is not what it must be; ``cause`` is what it counts as."""

    def __init__(self, cause: str, detail: str = "", *, is_stale: bool = False) -> None:
        self.cause = cause
        self.is_stale = is_stale
        super().__init__(f"{cause}: {detail}")


class Client:
    """One keep-alive client. *address* is (host, port), or the path of a Unix socket."""

    def __init__(self, address: tuple[str, int] | str, *, host: str = "localhost", timeout_s: float = 20.0) -> None:
        self.address = address
        self.host = host
        self.timeout_s = timeout_s
        self._sock: socket.socket | None = None
        self._used = False
        self._rest = b""

    def fire(self, shot: Shot) -> tuple[dict[str, str], bytes]:
        """Send one request, return headers (lower-case names) and body of its checked answer.

        Raises:
            Failure: with its cause.
        """
        if self._sock is None:
            self._connect()
        assert self._sock is not None
        head = f"{shot.method} {shot.path} HTTP/1.1\r\nHost: {self.host}\r\n"
        if shot.body or shot.method in {"POST", "PUT"}:
            head += f"Content-Type: {shot.content_type}\r\nContent-Length: {len(shot.body)}\r\n"
        try:
            self._sock.sendall(head.encode() + b"\r\n" + shot.body)
            status, headers, body = self._read(shot.method)
        except TimeoutError as error:
            self.close()
            raise Failure("timeout", shot.path) from error
        except (ConnectionError, OSError) as error:
            was_used = self._used
            self.close()
            raise Failure("reset", f"{shot.path} {error}", is_stale=was_used and not self._rest) from error
        except Failure:
            self.close()
            raise
        self._used = True
        if "close" in headers.get("connection", "").lower():
            self.close()
        if status != shot.expected_status:
            raise Failure(f"status {status}", body[:200].decode("latin-1"))
        if shot.expected_body is not None and body != shot.expected_body:
            raise Failure("body", f"{body[:100]!r} instead of {shot.expected_body[:100]!r}")
        return headers, body

    def close(self) -> None:
        """Drop the connection."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self._used = False
        self._rest = b""

    def _connect(self) -> None:
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(self.timeout_s)
        try:
            sock.connect(self.address)
        except OSError as error:
            sock.close()
            raise Failure("refused", str(error)) from error
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock

    def _more(self, cause: str) -> None:
        assert self._sock is not None
        data = self._sock.recv(65536)
        if not data:
            raise Failure(cause, is_stale=cause == "closed" and self._used and not self._rest)
        self._rest += data

    def _read(self, method: str) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._rest:
            self._more("cut" if self._rest else "closed")
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if method == "HEAD" or status in {204, 304}:
            return status, headers, b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return status, headers, self._read_chunked()
        if "content-length" in headers:
            return status, headers, self._take(int(headers["content-length"]))
        return status, headers, self._read_to_end()

    def _take(self, count: int) -> bytes:
        while len(self._rest) < count:
            self._more("cut")
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._more("cut")
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _read_chunked(self) -> bytes:
        pieces = []
        while size := int(self._line().split(b";")[0], 16):
            pieces.append(self._take(size))
            self._take(2)
        while self._line():
            pass
        return b"".join(pieces)

    def _read_to_end(self) -> bytes:
        assert self._sock is not None
        while data := self._sock.recv(65536):
            self._rest += data
        data, self._rest = self._rest, b""
        self.close()
        return data


class Load:
    """Clients that fire without pause until they are stopped.

    Args:
        address: (host, port) or a Unix socket.
        aim: returns the shot for the client *n*'s request *i*, both from 0.
        clients: how many keep-alive connections.
        host: the Host header.
        pause_s: between two requests of a client.
        note_header: name of a response header (lower-case) whose values are counted.
        stale_is_failure: count a kept connection that was closed between two requests as a failure, too.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        aim: Callable[[int, int], Shot],
        *,
        clients: int = 8,
        host: str = "localhost",
        pause_s: float = 0.0,
        timeout_s: float = 20.0,
        note_header: str | None = None,
        stale_is_failure: bool = False,
    ) -> None:
        self.address = address
        self.aim = aim
        self.host = host
        self.pause_s = pause_s
        self.timeout_s = timeout_s
        self.note_header = note_header
        self.stale_is_failure = stale_is_failure
        self.tally = Tally()
        self._stopping = threading.Event()
        self._mutex = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"client {number}", daemon=True)
            for number in range(clients)
        ]

    def start(self) -> None:
        """Begin to fire."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> Tally:
        """Let every client finish its request, and return what was found."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(self.timeout_s + 5)
        return self.tally

    def wait_for(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until *count* more requests were answered well.

        Raises:
            TimeoutError: they were not.
        """
        goal = self.tally.good + count
        deadline = time.monotonic() + timeout_s
        while self.tally.good < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{goal - self.tally.good} answers are missing: {self.tally}")
            time.sleep(0.01)

    def _run(self, number: int) -> None:
        client = Client(self.address, host=self.host, timeout_s=self.timeout_s)
        for index in itertools.count():
            if self._stopping.is_set():
                break
            self._fire(client, self.aim(number, index))
            if self.pause_s:
                self._stopping.wait(self.pause_s)
        client.close()

    def _fire(self, client: Client, shot: Shot) -> None:
        began = time.monotonic()
        stale = 0
        failure: Failure | None = None
        headers: dict[str, str] = {}
        while True:
            try:
                headers, _ = client.fire(shot)
            except Failure as error:
                if error.is_stale and not stale and not self.stale_is_failure:
                    stale = 1
                    continue
                failure = error
            break
        took_s = time.monotonic() - began
        with self._mutex:
            tally = self.tally
            tally.sent += 1
            tally.stale += stale
            if failure is None:
                tally.good += 1
                tally.latencies_s.append(took_s)
                if self.note_header is not None:
                    tally.headers_seen[headers.get(self.note_header, "")] += 1
            else:
                tally.failures[failure.cause] += 1
                tally.lost.append(shot)
                tally.examples.append(f"{time.strftime('%H:%M:%S')} {shot.method} {shot.path}: {failure}")


@contextmanager
def running(load: Load) -> Iterator[Load]:
    """Fire for the time of the block."""
    load.start()
    try:
        yield load
    finally:
        load.stop()
