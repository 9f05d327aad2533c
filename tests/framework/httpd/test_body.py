"""Request bodies: buffered, streamed, expected, unread, too slow, cut short."""

from __future__ import annotations

import io
import os
import threading
import time
from typing import Any

import pytest

from cherrypy.http.bodyerrors import BodyError, BodyIncomplete, BodyMalformed, BodyTimeout, BodyTooLarge
from cherrypy.httpd.chunks import ChunkDecoder
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.spool import Spools
from cherrypy.httpd.waits import Waits

from .conftest import Client, Serve

LARGE = os.urandom(300_000).replace(b"\n", b"x") + b"\nlast line"


@pytest.fixture(params=["into memory", "by its thread", "by the poll set"])
def received(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long bodies are read by the thread that runs the handler, or before it runs: there is no difference."""
    if request.param != "into memory":
        monkeypatch.setattr(Spools, "find_room", lambda spools, size: None)
    if request.param == "by the poll set":
        monkeypatch.setattr(Waits, "may_stream", lambda waits: False)


#: For tests of what an application sees of its body.
either_way = pytest.mark.usefixtures("received")


def chunked(data: bytes, size: int = 7777) -> bytes:
    """*data* in the chunked coding."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Sum: 7\r\n\r\n"


def post(data: bytes, fields: bytes = b"", *, chunks: bool = False) -> bytes:
    """A POST of *data*."""
    framing = b"Transfer-Encoding: chunked\r\n" if chunks else b"Content-Length: %d\r\n" % len(data)
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + fields + b"\r\n" + (chunked(data) if chunks else data)


def echo(message: Message) -> Answer:
    """Send the body back."""
    message.entering("echo")
    return b"200 OK", [], [message.body.read()], None


@either_way
@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("data", [b"", b"x", b"small" * 100, LARGE])
def test_a_body_arrives_whole(serve: Serve, data: bytes, chunks: bool) -> None:
    """Small or large, by length or in chunks, twice on one connection."""
    running = serve(echo)
    with running.connect() as client:
        for _ in range(2):
            client.send(post(data, chunks=chunks))
            assert client.reply().body == data


@either_way
@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("data", [b"a\nbb\nccc", b"abc\n" * 40_000])
def test_the_file_interface(serve: Serve, data: bytes, chunks: bool) -> None:
    """Lines, limits and sizes behave as those of a file."""
    results: list[Any] = []

    def use(file: Any) -> list[Any]:
        return [
            file.readline(),
            file.readline(2),
            file.read(3),
            file.readlines(5),
            file.readline(0),
            file.read(),
            file.read(),
        ]

    def respond(message: Message) -> Answer:
        results.append(use(message.body))
        return b"200 OK", [], [b"x"], None

    running = serve(respond)
    with running.connect() as client:
        client.send(post(data, chunks=chunks))
        client.reply()

    assert results == [use(io.BytesIO(data))]


@either_way
def test_iterating_gives_lines(serve: Serve) -> None:
    """As a file does."""
    lines: list[bytes] = []

    def respond(message: Message) -> Answer:
        lines.extend(message.body)
        return b"200 OK", [], [b"x"], None

    running = serve(respond)
    with running.connect() as client:
        client.send(post(LARGE, chunks=True))
        client.reply()

    assert lines == [LARGE[:-9], b"last line"]


@either_way
@pytest.mark.parametrize("data", [b"small", LARGE])
def test_trailers_stay_apart(serve: Serve, data: bytes) -> None:
    """They are read to their end, and are no header fields."""
    seen: list[Any] = []

    def respond(message: Message) -> Answer:
        message.body.read()
        seen.append((list(message.body.trailers), [name for name, _ in message.headers]))
        return b"200 OK", [], [b"x"], None

    running = serve(respond)
    with running.connect() as client:
        client.send(post(data, chunks=True))
        client.reply()

    assert seen == [([(b"X-Sum", b"7")], [b"Host", b"Transfer-Encoding"])]


def test_continue_comes_when_the_application_reads(serve: Serve) -> None:
    """Not before, and once."""
    reading = threading.Event()

    def respond(message: Message) -> Answer:
        reading.wait(5)
        return b"200 OK", [], [message.body.read()], None

    running = serve(respond)
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-CONTINUE\r\n\r\n")
        client.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(10)
        reading.set()
        interim = client.reply()
        client.send(b"hello")
        final = client.reply()
        kept = client.get().status

    assert interim.status == 100
    assert (final.status, final.body) == (200, b"hello")
    assert kept == 200


def test_no_continue_when_the_application_does_not_read(serve: Serve) -> None:
    """A final status alone, and the close: nobody can tell whether the body will come."""
    answer = serve().exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer


@either_way
def test_no_continue_when_the_body_is_there(serve: Serve) -> None:
    """The client did not wait."""
    running = serve(echo)
    with running.connect() as client:
        client.send(post(b"hello", b"Expect: 100-continue\r\n"))
        assert client.reply().status == 200


@either_way
def test_no_continue_to_http_10(serve: Serve) -> None:
    """Such a client does not know it."""
    answer = serve(echo).exchange(b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")

    assert answer.startswith(b"HTTP/1.1 200 ")


@either_way
@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("data", [b"x" * 100, b"x" * 100_000])
def test_an_unread_body_is_drained(serve: Serve, data: bytes, chunks: bool) -> None:
    """The next request starts exactly behind it."""
    running = serve()
    with running.connect() as client:
        client.send(post(data, chunks=chunks))
        first = client.reply()
        second = client.get()

    assert (first.body, second.body) == (b"hello", b"hello")
    assert running.server.stats().accepted == 1


def test_a_request_behind_an_unread_body_is_no_part_of_it(serve: Serve) -> None:
    """Its octets, which come with the body's last ones, do not count against what is thrown away."""
    running = serve(drain_bytes=250_000)
    with running.connect() as client:
        client.send(post(b"x" * 300_000) + post(b"y" * 60_000) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        replies = [client.reply() for _ in range(3)]

    assert [reply.body for reply in replies] == [b"hello"] * 3


def test_a_long_unread_body_closes_the_connection(serve: Serve) -> None:
    """The answer says so, and can be read although the client goes on sending."""
    running = serve()
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 200_000)
        reply = client.reply()

        assert client.is_closed()
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize("end", [b"%x\r\n" % 900_000 + b"x" * 900_000, b"zz\r\n"])
def test_an_unread_body_without_a_good_end_is_no_reset(serve: Serve, end: bytes) -> None:
    """RFC 9112, 9.6: whose chunks go on too long, or break the coding, can still read the answer, and the end."""
    running = serve()
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000))
        reply = client.reply()
        client.send(end)

        assert client.sock.recv(1) == b""
    assert reply.body == b"hello"


@either_way
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc", BodyIncomplete),
        (post(LARGE, chunks=True)[:150_000], BodyIncomplete),
        (post(LARGE, chunks=True)[:150_000] + b"\r\nzz\r\n" * 2000, BodyMalformed),
    ],
)
def test_an_incomplete_body_never_looks_complete(serve: Serve, data: bytes, error: type[BodyError]) -> None:
    """The application gets an error, again if it insists; the connection ends."""
    raised: list[BodyError] = []

    def respond(message: Message) -> Answer:
        for _ in range(2):
            try:
                message.body.read()
            except BodyError as problem:
                raised.append(problem)
        return b"200 OK", [], [b"x"], None

    answer = serve(respond).exchange(data, shut=True)

    assert [type(problem) for problem in raised] == [error, error]
    assert b"\r\nConnection: close\r\n" in answer


@either_way
def test_what_has_come_of_a_body_can_be_read(serve: Serve) -> None:
    """Before the error, up to the last octet."""
    seen: list[bytes] = []

    def respond(message: Message) -> Answer:
        seen.append(message.body.read(70_000))
        seen.append(message.body.read(30_000))
        with pytest.raises(BodyIncomplete):
            message.body.read(1)
        return b"200 OK", [], [b"x"], None

    running = serve(respond)
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + LARGE[:100_000])
        client.finish()
        answer = client.reply()

    assert b"".join(seen) == LARGE[:100_000]
    assert answer.headers["connection"] == "close"


@either_way
def test_a_body_error_that_nobody_catches_is_its_status(serve: Serve) -> None:
    """408 for a slow body."""
    running = serve(echo, body_grace_s=0.1)

    assert running.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc").startswith(
        b"HTTP/1.1 408 "
    )


@either_way
def test_a_slow_body_raises_while_it_is_read(serve: Serve) -> None:
    """After the grace."""
    raised: list[type] = []

    def respond(message: Message) -> Answer:
        try:
            message.body.read()
        except BodyTimeout as problem:
            raised.append(type(problem))
            raise
        return b"200 OK", [], [b"x"], None

    serve(respond, body_grace_s=0.1).exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc")

    assert raised == [BodyTimeout]


@either_way
def test_the_handlers_own_slowness_is_not_charged_to_the_client(serve: Serve) -> None:
    """Only waiting for the client counts."""

    def respond(message: Message) -> Answer:
        time.sleep(0.3)
        return b"200 OK", [], [b"%d" % len(message.body.read())], None

    running = serve(respond, body_grace_s=0.2)
    with running.connect() as client:
        client.send(post(LARGE))

        assert client.reply().body == b"%d" % len(LARGE)


@either_way
def test_a_chunked_body_over_the_limit_raises(serve: Serve) -> None:
    """Once it is decoded that far; 413 if nobody catches it."""
    running = serve(echo, body_bytes=200_000)

    assert running.exchange(post(LARGE, chunks=True)).startswith(b"HTTP/1.1 413 ")


@either_way
def test_a_client_that_goes_while_it_uploads_leaves_nothing_behind(serve: Serve) -> None:
    """No connection, no busy thread."""
    running = serve(echo)
    for _ in range(5):
        client: Client = running.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc")
        client.sock.close()
    end = time.monotonic() + 5
    while running.server.stats().connections and time.monotonic() < end:
        time.sleep(0.02)
    stats = running.server.stats()

    assert (stats.connections, stats.in_flight) == (0, 0)


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_the_decoder_takes_any_cut(step: int) -> None:
    """Fed in pieces of any size, it gives the same data, trailers and rest."""
    decoder = ChunkDecoder(Limits())
    coded = chunked(b"hello world" * 9, 10) + b"GET /next"
    out = b""
    position = 0
    while not decoder.done:
        out += decoder.feed(coded[position : position + step])
        position += step

    assert out == b"hello world" * 9
    assert decoder.trailers == [(b"X-Sum", b"7")]
    assert (decoder.take_rest() + coded[position:]) == b"GET /next"


def test_the_decoder_counts_against_the_limit() -> None:
    """A chunk is refused by its size line, before its data has come."""
    decoder = ChunkDecoder(Limits(body_bytes=10))
    decoder.feed(b"6\r\nabcdef\r\n")

    with pytest.raises(BodyTooLarge):
        decoder.feed(b"5\r\n")


@pytest.mark.parametrize(("path", "seen"), [("/fail", [100, 500, 200]), ("/", [200])])
def test_a_failure_is_no_refusal_of_the_body(serve: Serve, path: str, seen: list[int]) -> None:
    """As CherryPy did: 100 before a 5xx, then the connection goes on; any other answer without reading closes it."""

    def respond(message: Message) -> Answer:
        return (b"500 Oh" if message.path == "/fail" else b"200 OK"), [], [b"x"], None

    running = serve(respond, failure_continues=True)
    with running.connect() as client:
        client.send(b"POST %b HTTP/1.1\r\nHost: a\r\n" % path.encode())
        client.send(b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        statuses = [client.reply().status]
        if statuses == [100]:
            client.send(b"hello")
            statuses += [client.reply().status, client.get().status]

    assert statuses == seen
