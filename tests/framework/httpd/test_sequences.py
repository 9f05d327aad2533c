"""Random sequences of requests on one connection: each is answered once, in order, whatever becomes of its body."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cherrypy.httpd.message import Answer, Message

from .conftest import Running, Serve

#: Around what is received before the application is called, around one read, and beyond several.
SIZES = [0, 1, 1000, 16_384, 65_535, 65_537, 70_000, 150_000, 290_000]
#: Just enough for the longest in chunks: all that is left unread is thrown away.
DRAIN_BYTES = 300_000


@dataclass(frozen=True)
class Request:
    """What one request of a sequence is made of."""

    method: str
    reading: str
    size: int
    is_chunked: bool
    chunk_bytes: int

    def encode(self, number: int) -> bytes:
        """Make its octets; *number* tells it from the others."""
        head = f"{self.method} /{self.reading}/{number} HTTP/1.1\r\nHost: a\r\n"
        data = b"%d" % (number % 10) * self.size
        if not self.is_chunked:
            return f"{head}Content-Length: {self.size}\r\n\r\n".encode() + data
        step = self.chunk_bytes
        chunks = [data[start : start + step] for start in range(0, self.size, step)]
        coded = b"".join(b"%x;n=%d\r\n%b\r\n" % (len(chunk), number, chunk) for chunk in chunks)
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + coded + b"0\r\nX: 1\r\n\r\n"

    def expected(self, number: int) -> bytes:
        """What its answer says."""
        if self.method == "HEAD":
            return b""
        read = {"all": self.size, "part": min(self.size, 100), "none": 0}[self.reading]
        return f"/{self.reading}/{number} {read} {{{str(number % 10) if read else ''}}}".encode()


requests = st.builds(
    Request,
    st.sampled_from(["POST", "POST", "PUT", "GET", "HEAD"]),
    st.sampled_from(["all", "part", "none"]),
    st.sampled_from(SIZES),
    st.booleans(),
    st.sampled_from([777, 16_384, 200_000]),
)
places = st.lists(st.floats(0, 1), max_size=5)


def respond(message: Message) -> Answer:
    """Read all of the body, a part, or none; say what was read, and of which octets it was made."""
    reading = message.path.split("/")[1]
    message.entering(reading)
    data = message.body.read(100 if reading == "part" else -1) if reading != "none" else b""
    octets = "".join(sorted({chr(octet) for octet in data}))
    return b"200 OK", [], [f"{message.path} {len(data)} {{{octets}}}".encode()], None


def play(running: Running, sequence: list[Request], cuts: list[float]) -> tuple[list[bytes], bytes]:
    """Send *sequence* cut at *cuts*, while the answers are read; returns these, and what came behind the last one."""
    data = b"".join(one.encode(number) for number, one in enumerate(sequence))
    data += b"GET /none/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    edges = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]

    with running.connect() as client:

        def send() -> None:
            for start, end in pairwise(edges):
                client.send(data[start:end])

        sender = threading.Thread(target=send)
        sender.start()
        answers = [client.reply(is_head=one.method == "HEAD").body for one in sequence]
        last = client.read_all()
        sender.join()
    return answers, last


@pytest.mark.parametrize("body_memory_bytes", [0, 4_194_304])
def test_each_request_is_answered_once_in_order(serve: Serve, body_memory_bytes: int) -> None:
    """However they are cut, framed and read, with room for long bodies and without."""
    running = serve(respond, drain_bytes=DRAIN_BYTES, body_memory_bytes=body_memory_bytes)

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(st.lists(requests, min_size=1, max_size=6), places)
    def check(sequence: list[Request], cuts: list[float]) -> None:
        answers, last = play(running, sequence, cuts)

        assert answers == [one.expected(number) for number, one in enumerate(sequence)]
        assert last.startswith(b"HTTP/1.1 200 ")
        assert last.endswith(b"\r\n\r\n/none/last 0 {}")

    check()
