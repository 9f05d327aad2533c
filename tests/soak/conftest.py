"""A server in a process of its own, and many clients.

``SOAK_SECONDS`` asks for the full numbers (``make soak``); without it everything is short and small.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

SECONDS = float(os.environ.get("SOAK_SECONDS") or 0)
IS_FULL = SECONDS > 0


@dataclass
class Served:
    """The process of ``served.py``."""

    port: int
    process: psutil.Process
    timeout_s: float = 30

    def get(self, path: str = "/") -> bytes:
        """One request on a connection of its own."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)
        try:
            client.request("GET", path)
            return client.getresponse().read()
        finally:
            client.close()

    def stats(self) -> dict[str, Any]:
        """The server's counters."""
        counters: dict[str, Any] = json.loads(self.get("/stats"))
        return counters

    def rss_bytes(self) -> int:
        """Memory of the process."""
        size: int = self.process.memory_info().rss
        return size

    def latencies_s(self, count: int) -> list[float]:
        """How long normal requests take now, sorted."""
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            assert self.get() == b"hello"
            taken.append(time.perf_counter() - start)
        return sorted(taken)

    def connect(self, number: int = 0, receive_bytes: int | None = None) -> socket.socket:
        """Connect as client *number*: from one of several addresses, for the ports of one may run short."""
        client = socket.socket()
        client.settimeout(30)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.bind((f"127.0.0.{2 + number % 8}", 0))
        client.connect(("127.0.0.1", self.port))
        return client


@pytest.fixture(scope="session")
def many_descriptors() -> Iterator[int]:
    """Let this process, and the servers it starts, have as many descriptors as they may; gives that number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def served(tmp_path: Path, many_descriptors: int) -> Iterator[Served]:
    """A fresh server."""
    command = [sys.executable, str(Path(__file__).with_name("served.py")), str(tmp_path / "file")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            running = Served(int(process.stdout.readline()), psutil.Process(process.pid))
            while running.process.num_threads() < running.stats()["threads"] + 2:  # the main one and the watcher
                time.sleep(0.01)
            yield running
        finally:
            process.kill()


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Closes what is entered."""
    with ExitStack() as stack:
        yield stack
