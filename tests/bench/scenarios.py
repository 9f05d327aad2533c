"""What is asked of the contenders, and the answers that prove that they do it."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

FILE_NAME, FILE_BYTES = "64k.bin", b"0123456789abcdef" * 4096
UPLOAD_BYTES = 1048576

_NOT_CHECKED = ssl.create_default_context()
_NOT_CHECKED.check_hostname = False
_NOT_CHECKED.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class Scenario:
    """One page under one kind of load.

    Attributes:
        expected: the whole body of the right answer, or what must be true of it.
        connections: how many busy ones.
        threads: how many the server may have.
        idle: how many further connections are open and silent.
        upload: send ``UPLOAD_BYTES`` by POST.
    """

    name: str
    path: str
    expected: bytes | Callable[[bytes], bool]
    connections: int = 32
    threads: int = 10
    idle: int = 0
    upload: bool = False
    tls: bool = False

    def url(self, port: int) -> str:
        """Where the page is."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{port}{self.path}"

    def ask(self, port: int) -> str | None:
        """Ask once; None for the right answer, otherwise what is wrong with it.

        Raises:
            OSError: no answer.
        """
        request = urllib.request.Request(self.url(port), data=b"x" * UPLOAD_BYTES if self.upload else None)
        request.add_header("Content-Type", "application/octet-stream")
        with urllib.request.urlopen(request, timeout=5, context=_NOT_CHECKED if self.tls else None) as answer:
            body = answer.read()
        right = self.expected(body) if callable(self.expected) else body == self.expected
        return None if right else f"{self.path} answered {body[:100]!r}"


def is_the_document(body: bytes) -> bool:
    """True for the JSON page, however it is spaced."""
    return bool(json.loads(body) == {"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}})


HELLO = b"Hello, world!"
SCENARIOS = [
    Scenario("hello", "/", HELLO),
    Scenario("path and query", "/item/7?colour=blue", b"item 7 is blue"),
    Scenario("JSON", "/data", is_the_document),
    Scenario("file of 64 KiB", f"/file/{FILE_NAME}", FILE_BYTES),
    Scenario("POST 1 MiB", "/upload", b"%d" % UPLOAD_BYTES, connections=8, upload=True),
    Scenario("blocking 20 ms", "/slow", b"slow", connections=100, threads=100),
    Scenario("1,000 idle", "/", HELLO, idle=1000),
    Scenario("TLS", "/", HELLO, tls=True),
]
