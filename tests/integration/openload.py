"""An open-loop load generator in a process of its own: requests begin by the clock, earlier ones over or not.

Latency counts from the moment at which a request was due, so that a server that stands still for a second has made
all requests of that second slow, not only those that were under way (no coordinated omission). Every answer is
checked: its status, and its whole body. Nothing is sent twice, but for a kept connection that nginx closed between two
requests (RFC 9112, 9.3.1), before an octet of the answer came.

Odd requests GET, even ones POST the same value; the answer has to be ``echo VALUE``.
"""

from __future__ import annotations

import heapq
import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 20.0
CONNECTIONS = 256
EXAMPLES = 5
#: Width of a latency's cell: a tenth of a millisecond.
CELLS_PER_S = 10_000


@dataclass
class Section:
    """What happened to the requests that were due while the section lasted."""

    name: str
    sent: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    cells: Counter[int] = field(default_factory=Counter)
    """Answers by latency, in tenths of a millisecond."""

    @property
    def failed(self) -> int:
        """Number of failures of all causes."""
        return sum(self.failures.values())

    @property
    def good(self) -> int:
        """Number of right answers."""
        return sum(self.cells.values())

    def percentile_ms(self, share: float) -> float:
        """Latency under which *share* of the good answers lie."""
        return percentile_ms(self.cells, share)


def percentile_ms(cells: Counter[int], share: float) -> float:
    """Latency under which *share* of what *cells* count lies; 0 when there is nothing."""
    left = share * sum(cells.values())
    for cell in sorted(cells):
        left -= cells[cell]
        if left <= 0:
            return 1000 * (cell + 1) / CELLS_PER_S
    return 0.0


@dataclass
class Errand:
    """One request under way."""

    value: str
    due: float
    section: Section
    is_repeated: bool = False

    @property
    def request(self) -> bytes:
        """Its octets."""
        if int(self.value) % 2:
            return f"GET /echo?value={self.value} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        body = f"value={self.value}"
        return (
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


class Line:
    """One kept connection with at most one errand."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.errand: Errand | None = None
        self.received = b""
        self.is_used = False

    def begin(self, errand: Errand) -> None:
        """Send the request; it fits into any socket's buffer."""
        self.errand, self.received = errand, b""
        self.sock.send(errand.request)

    def is_whole(self) -> bool:
        """True when the answer is there to its last octet."""
        head, gap, body = self.received.partition(b"\r\n\r\n")
        return bool(gap) and len(body) >= _length(head)

    def problem(self) -> str:
        """Say what is wrong with the answer; empty when nothing is."""
        assert self.errand is not None
        status = self.received[9:12]
        if status != b"200":
            return f"status {status.decode('latin-1')}"
        body = self.received.partition(b"\r\n\r\n")[2]
        return "" if body == f"echo {self.errand.value}".encode() else "body"


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Generator:
    """Fires *rate* requests a second at *address* until told to stop."""

    def __init__(self, address: tuple[str, int], rate: float) -> None:
        self.address = address
        self.rate = rate
        self.sections = [Section("start")]
        self._idle: list[Line] = []
        self._waiting: deque[Errand] = deque()
        self._deadlines: list[tuple[float, int, Line, Errand]] = []
        self._selector = selectors.DefaultSelector()
        self._lines = 0
        self._count = 0
        self._is_over = False

    def run(self) -> None:
        """Fire; hear words on standard input: the name of a new section, or an empty line for the end."""
        self._selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        began = time.monotonic()
        while not (self._is_over and self._lines == len(self._idle) and not self._waiting):
            now = time.monotonic()
            while not self._is_over and (due := began + self._count / self.rate) <= now:
                self._count += 1
                section = self.sections[-1]
                section.sent += 1
                self._waiting.append(Errand(str(self._count), due, section))
            self._send_waiting()
            patience_s = 0.1 if self._is_over else max(0.0, began + self._count / self.rate - time.monotonic())
            for key, _ in self._selector.select(patience_s):
                if key.data is None:
                    self._hear()
                else:
                    self._receive(key.data)
            self._end_late(time.monotonic())

    def _hear(self) -> None:
        word = sys.stdin.buffer.readline().decode().strip()
        if not word:
            self._is_over = True
            self._selector.unregister(sys.stdin.buffer)
            return
        self.sections.append(Section(word))

    def _send_waiting(self) -> None:
        while self._waiting and (self._idle or self._lines < CONNECTIONS):
            errand = self._waiting.popleft()
            line = self._idle.pop() if self._idle else self._open(errand)
            if line is None:
                continue
            heapq.heappush(self._deadlines, (time.monotonic() + TIMEOUT_S, id(errand), line, errand))
            try:
                line.begin(errand)
            except OSError as error:
                self._fail(line, "reset", str(error))

    def _open(self, errand: Errand) -> Line | None:
        try:
            line = Line(self.address)
        except OSError as error:
            self._count_failure(errand, "refused", str(error))
            return None
        self._lines += 1
        self._selector.register(line.sock, selectors.EVENT_READ, line)
        return line

    def _receive(self, line: Line) -> None:
        try:
            data = line.sock.recv(65536)
        except OSError as error:
            self._fail(line, "reset", str(error))
            return
        if line.errand is None:
            self._close(line)  # nginx has closed a kept connection
            return
        if not data:
            self._fail(line, "cut" if line.received else "closed", "")
            return
        line.received += data
        if not line.is_whole():
            return
        errand = line.errand
        problem = line.problem()
        if problem:
            self._count_failure(errand, problem, line.received[:300].decode("latin-1"))
        else:
            errand.section.cells[int((time.monotonic() - errand.due) * CELLS_PER_S)] += 1
        line.errand = None
        line.is_used = True
        if b"\r\nConnection: close\r\n" in line.received:
            self._close(line)
        else:
            self._idle.append(line)

    def _fail(self, line: Line, cause: str, detail: str) -> None:
        errand = line.errand
        is_stale = line.is_used and not line.received
        line.errand = None
        self._close(line)
        if errand is None:
            return
        if is_stale and not errand.is_repeated:
            errand.is_repeated = True
            self._waiting.appendleft(errand)
            return
        self._count_failure(errand, cause, detail)

    def _count_failure(self, errand: Errand, cause: str, detail: str) -> None:
        errand.section.failures[cause] += 1
        if len(errand.section.examples) < EXAMPLES:
            method = "GET" if int(errand.value) % 2 else "POST"
            errand.section.examples.append(f"{time.strftime('%H:%M:%S')} {method} {errand.value}: {cause} {detail}")

    def _end_late(self, now: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, line, errand = heapq.heappop(self._deadlines)
            if line.errand is errand:
                line.received = b"?"  # not stale: it is not sent again
                self._fail(line, "timeout", "")

    def _close(self, line: Line) -> None:
        self._selector.unregister(line.sock)
        line.sock.close()
        self._lines -= 1
        if line in self._idle:
            self._idle.remove(line)


def _portrait(section: Section) -> dict[str, Any]:
    return {
        "name": section.name,
        "sent": section.sent,
        "failures": section.failures,
        "examples": section.examples,
        "cells": list(section.cells.items()),
    }


class OpenLoad:
    """The generator, as the test has it.

    Args:
        address: host and port of nginx.
        rate: requests a second.
    """

    def __init__(self, address: tuple[str, int], rate: float) -> None:
        argv = [sys.executable, __file__, address[0], str(address[1]), str(rate)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.sections: list[Section] = []

    def begin(self, name: str) -> None:
        """Count what is due from now on in a section of this name."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()

    def stop(self) -> list[Section]:
        """End it when every answer is there; return the sections in order, those of the same name as one."""
        written, _ = self.process.communicate("\n", timeout=TIMEOUT_S + 10)
        if self.process.returncode:
            raise RuntimeError(f"the load generator ended with {self.process.returncode}")
        self.sections = _merge(json.loads(written.splitlines()[-1]))
        return self.sections

    def kill(self) -> None:
        """End it at once; nothing happens if it has ended."""
        self.process.kill()
        self.process.wait()


def _merge(portraits: list[dict[str, Any]]) -> list[Section]:
    found: dict[str, Section] = {}
    for one in portraits:
        section = found.setdefault(one["name"], Section(one["name"]))
        section.sent += one["sent"]
        section.failures.update(one["failures"])
        section.examples += one["examples"]
        section.cells.update(dict(one["cells"]))
    return list(found.values())


def main() -> None:
    """Fire until standard input ends."""
    host, port, rate = sys.argv[1:]
    generator = Generator((host, int(port)), float(rate))
    generator.run()
    print(json.dumps([_portrait(section) for section in generator.sections]))


if __name__ == "__main__":
    main()
