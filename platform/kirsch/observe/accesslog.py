"""One line of nginx's access log as a value, from the file or from a datagram of nginx's syslog protocol."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec


class AccessLine(msgspec.Struct, frozen=True, kw_only=True):
    """What nginx says of one request; every value is text as nginx writes it, empty for what is not there."""

    time: str = ""
    msec: str = ""
    id: str = ""
    client: str = ""
    vhost: str = ""
    host: str = ""
    method: str = ""
    uri: str = ""
    protocol: str = ""
    status: str = ""
    request_bytes: str = ""
    body_bytes: str = ""
    duration_s: str = ""
    upstream: str = ""
    upstream_status: str = ""
    connect_s: str = ""
    header_s: str = ""
    response_s: str = ""
    worker: str = ""
    cache: str = ""
    referer: str = ""
    agent: str = ""
    connection: str = ""
    port: str = ""
    line: str = ""
    """The request line, of those that were answered 400: it may not have been one."""
    tls: str = ""
    """Version of TLS; empty without."""

    @property
    def code(self) -> int:
        """The status; 0 when there is none (it was no request)."""
        return int(self.status) if self.status.isdigit() else 0

    @property
    def at(self) -> float:
        """Unix time of the end of the request."""
        try:
            return float(self.msec)
        except ValueError:
            return _unix_time(self.time)

    @property
    def took_s(self) -> float:
        """From the first octet that nginx read to the last that it sent."""
        return number(self.duration_s)

    @property
    def began(self) -> float:
        """Unix time of its begin."""
        return self.at - self.took_s

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.uri.partition("?")[0]

    @property
    def tries(self) -> tuple[str, ...]:
        """The sockets that were tried, in order: ``("unix:/run/…/web.1.sock",)``."""
        return split(self.upstream)

    @property
    def answers(self) -> tuple[str, ...]:
        """What each of them answered: ``("502", "200")``."""
        return split(self.upstream_status)


_decode = msgspec.json.Decoder(AccessLine).decode


def parse_line(line: bytes) -> AccessLine | None:
    """Read a line of the file, or a datagram ``<190>Nov 21 21:00:00 kirsch: {…}``; None when it holds none.

    Octets that are no UTF-8 (a URI may have any) are replaced.
    """
    start = line.find(b"{")
    if start < 0:
        return None
    text = line[start:].rstrip(b"\n\0")
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return _decode(text.decode("utf-8", "replace").encode("utf-8"))
    except msgspec.DecodeError:
        return None  # cut, as a disk ran full or nginx was killed while it wrote


def read_back(path: str, limit_bytes: int, block_bytes: int = 1 << 18) -> Iterator[AccessLine]:
    """Yield the lines of a log from its end, at most *limit_bytes* of it; nothing where there is no such file."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, 2)
            stop = max(0, end - limit_bytes)
            rest = b""
            while end > stop:
                start = max(stop, end - block_bytes)
                file.seek(start)
                rest = file.read(end - start) + rest
                end = start
                first, newline, whole = (b"", b"", rest) if start == 0 else rest.partition(b"\n")
                rest = first + newline
                for line in reversed(whole.splitlines()):
                    parsed = parse_line(line)
                    if parsed is not None:
                        yield parsed
    except FileNotFoundError:
        return


def split(text: str) -> tuple[str, ...]:
    """Return the values of an upstream variable: ``"0.001, 0.2 : 0.1"`` gives three, ``"-"`` none."""
    return tuple(one.strip() for one in text.replace(" : ", ", ").split(",") if one.strip() not in ("", "-"))


def number(text: str) -> float:
    """Return a time that nginx wrote; 0 for none. Of several (retries) the sum."""
    total = 0.0
    for one in split(text):
        try:
            total += float(one)
        except ValueError:
            continue
    return total


def _unix_time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
