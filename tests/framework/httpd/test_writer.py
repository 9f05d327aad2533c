"""Framing of answers: one length, no body where none may be, nothing that splits a head."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cherrypy.httpd import writer
from cherrypy.httpd.files import FileSlice
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.writer import AnswerError, frame_answer

from .conftest import Serve


def frame(status: bytes = b"200 OK", headers: Any = (), size: int | None = 0, **more: Any) -> Any:
    """``frame_answer`` with defaults."""
    facts = {"is_head": False, "is_http11": True, "keep_alive": True, "server_name": None, **more}
    return frame_answer(status, list(headers), size, **facts)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (b"200 OK", [(b"X", b"a\r\nSet-Cookie: b")]),
        (b"200 OK", [(b"X", b"a\nb")]),
        (b"200 OK", [(b"X", b"a\rb")]),
        (b"200 OK", [(b"X", b"a\0b")]),
        (b"200 OK", [(b"X\r\nY", b"a")]),
        (b"200 OK", [(b"X Y", b"a")]),
        (b"200 OK", [(b"", b"a")]),
        (b"200 OK", [(b"X:", b"a")]),
        (b"200 OK\r\nX: y", []),
        (b"200 OK", [(b"Content-Length", b"1"), (b"Content-Length", b"1")]),
        (b"200 OK", [(b"Content-Length", b"-1")]),
        (b"200 OK", [(b"Content-Length", b"1, 1")]),
        (b"OK", []),
        (b"2000 OK", []),
        (b"099 OK", []),
        (b"100 Continue", []),
        (b"101 Switching Protocols", []),
        (b"103 Early Hints", []),
    ],
)
def test_a_splitting_or_malformed_answer_is_refused(status: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """At the lowest layer."""
    with pytest.raises(AnswerError):
        frame(status, headers)


@pytest.mark.parametrize("status", [b"204 No Content", b"205 Reset Content", b"304 Not Modified"])
def test_statuses_without_a_body(serve: Serve, status: bytes) -> None:
    """Whatever the application returns, no octet of a body follows, and the connection stays."""
    running = serve(lambda message: (status, [], [b"not to be seen"], None))
    with running.connect() as client:
        first, second = client.get(), client.get()

    assert first.status == second.status == int(status[:3])
    assert "transfer-encoding" not in first.headers
    assert status[:3] != b"204" or "content-length" not in first.headers
    assert status[:3] != b"205" or first.headers["content-length"] == "0"


@pytest.mark.parametrize("size", [None, 0, 5])
@pytest.mark.parametrize("is_head", [False, True])
@pytest.mark.parametrize("declared", [[], [(b"Content-Length", b"5")]])
def test_a_205_says_that_it_has_no_content(
    declared: list[tuple[bytes, bytes]], is_head: bool, size: int | None
) -> None:
    """Whatever the application says (RFC 9110, 15.3.6)."""
    head, keep_alive, has_body, length, chunked = frame_answer(
        b"205 Reset Content", declared, size, is_head, True, True, None
    )

    assert (keep_alive, has_body, length, chunked) == (True, False, 0, False)
    assert head.count(b"Content-Length: 0\r\n") == head.count(b"Content-Length") == 1


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("pieces", [[], [b"body"]])
@pytest.mark.parametrize("status", [b"100 Continue", b"101 Switching Protocols", b"199 Soon"])
def test_an_application_cannot_answer_with_what_is_no_answer(
    serve: Serve, status: bytes, pieces: list[bytes], kind: Any
) -> None:
    """SECURITY: the client would take the next answer for this one."""
    running = serve(lambda message: (status, [], kind(pieces), None))
    with running.connect() as client:
        reply = client.get()

        assert (reply.status, client.is_closed()) == (500, True)


@pytest.mark.parametrize("headers", [[(b"X", b"a\nb")], None])
def test_a_failure_has_no_body_for_head(serve: Serve, headers: Any) -> None:
    """Also where the server answers in the application's stead."""
    running = serve(lambda message: (b"200 OK", headers, [b"x"], None))
    with running.connect() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.read_all()

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"\r\n\r\n")


def test_head_has_the_fields_of_get_and_no_body(serve: Serve) -> None:
    """The length too."""
    running = serve()
    with running.connect() as client:
        reply = client.get(method="HEAD")
        kept = client.get()

    assert reply.headers["content-length"] == "5"
    assert kept.body == b"hello"


def test_hop_by_hop_fields_are_the_servers_own(serve: Serve) -> None:
    """A Transfer-Encoding of the application does not go out; its ``Connection: close`` is obeyed."""
    running = serve(
        lambda message: (b"200 OK", [(b"Transfer-Encoding", b"chunked"), (b"connection", b"x, Close")], [b"a"], None)
    )
    with running.connect() as client:
        reply = client.get()

        assert client.is_closed()
    assert "transfer-encoding" not in reply.headers
    assert reply.headers["connection"] == "close"
    assert reply.body == b"a"


def test_one_date_and_one_server() -> None:
    """The first of the application win."""
    date = b"Sat, 21 Nov 2026 09:00:00 GMT"
    own = frame(headers=[(b"date", date), (b"SERVER", b"y"), (b"Date", date), (b"server", b"x")], server_name=b"z")[0]
    added = frame(server_name=b"z")[0]

    assert own.lower().count(b"date:") == own.lower().count(b"server:") == 1
    assert b"date: " + date in own
    assert b"SERVER: y\r\n" in own
    assert b"Server: z\r\n" in added
    assert b"Date: " in added


@pytest.mark.parametrize("date", [b"", b"now", b"2026-11-21T09:00:00Z", b"Sat, 21 Nov 2026 09:00:00 +0100"])
def test_a_date_that_is_none_does_not_go_out(date: bytes) -> None:
    """The server says what time it is."""
    head = frame(headers=[(b"Date", date)])[0]

    assert head.count(b"Date:") == 1
    assert b" GMT\r\n" in head


def stream(*pieces: bytes, fail: bool = False) -> Iterator[bytes]:
    """A body that comes in pieces, and may break."""
    yield from pieces
    if fail:
        raise ValueError("broken stream")


def respond_stream(headers: list[tuple[bytes, bytes]], *pieces: bytes, fail: bool = False) -> Any:
    """A responder that streams."""
    return lambda message: (b"200 OK", headers, stream(*pieces, fail=fail), None)


def test_a_stream_is_chunked(serve: Serve) -> None:
    """On 1.1; empty pieces do not end it; the connection stays."""
    running = serve(respond_stream([], b"a", b"", b"bc"))
    with running.connect() as client:
        first, second = client.get(), client.get()

    assert first.headers["transfer-encoding"] == "chunked"
    assert first.body == second.body == b"abc"


def test_an_empty_stream_has_length_0(serve: Serve) -> None:
    """No chunk, no close."""
    running = serve(respond_stream([]))
    with running.connect() as client:
        assert client.get().headers["content-length"] == "0"
        assert client.get().status == 200


def test_a_stream_to_http_10_ends_with_the_connection(serve: Serve) -> None:
    """No chunked coding there, even when it would keep the connection."""
    answer = serve(respond_stream([], b"a", b"bc")).exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    assert b"Transfer-Encoding" not in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nabc")


def test_a_stream_with_a_length(serve: Serve) -> None:
    """Goes out as it is."""
    running = serve(respond_stream([(b"Content-Length", b"3")], b"a", b"bc"))
    with running.connect() as client:
        reply = client.get()
        assert client.get().body == b"abc"

    assert "transfer-encoding" not in reply.headers


def test_a_stream_that_is_too_long_is_cut(serve: Serve) -> None:
    """After the first piece has gone; the next request is not damaged."""
    running = serve(respond_stream([(b"Content-Length", b"3")], b"a", b"bcdef", b"g"))
    with running.connect() as client:
        assert client.get().body == b"abc"
        assert client.get().body == b"abc"


@pytest.mark.parametrize("body", [[b"abcd"], "stream"])
def test_too_much_at_once_is_a_500(serve: Serve, body: Any) -> None:
    """Nothing was sent yet, so it can be said."""
    running = serve(
        lambda message: (
            b"200 OK",
            [(b"Content-Length", b"3")],
            stream(b"abcd") if body == "stream" else body,
            None,
        )
    )
    answer = running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"The requested resource returned more bytes than the declared Content-Length.")


@pytest.mark.parametrize("body", ["list", "stream"])
def test_too_little_ends_the_connection(serve: Serve, body: str) -> None:
    """The client sees that the answer is short."""
    running = serve(
        lambda message: (
            b"200 OK",
            [(b"Content-Length", b"5")],
            [b"abc"] if body == "list" else stream(b"a", b"bc"),
            None,
        )
    )
    answer = running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.endswith(b"\r\n\r\nabc")


def test_a_stream_that_breaks_has_no_last_chunk(serve: Serve) -> None:
    """And no error page inside."""
    answer = serve(respond_stream([], b"abc", fail=True)).exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.endswith(b"\r\n\r\n3\r\nabc\r\n")


def test_a_close_delimited_stream_that_breaks_is_reset(serve: Serve) -> None:
    """A clean end would look complete."""
    running = serve(respond_stream([], b"abc", fail=True))
    with running.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: client.sock.recv(100), b""))


def test_a_stream_that_breaks_at_once_is_a_500(serve: Serve) -> None:
    """Nothing was sent yet."""
    assert (
        serve(respond_stream([], fail=True)).exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 500 ")
    )


@pytest.mark.parametrize("kind", ["list", "stream", "broken", "head", "file", "refused"])
def test_close_is_called_once(serve: Serve, kind: str, tmp_path: Path) -> None:
    """Whatever becomes of the answer."""
    calls: list[int] = []
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)

    def respond(message: Message) -> Answer:
        body: Any = [b"abc"]
        if kind in ("stream", "head"):
            body = stream(b"a", b"b")
        if kind == "broken":
            body = stream(b"a", fail=True)
        if kind == "file":
            body = FileSlice(path.open("rb"), 0, 10)
        headers = [(b"X", b"a\nb")] if kind == "refused" else []
        return b"200 OK", headers, body, lambda: calls.append(1)

    running = serve(respond)
    method = b"HEAD" if kind == "head" else b"GET"
    running.exchange(method + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert calls == [1]


def test_close_is_called_when_the_client_goes(serve: Serve) -> None:
    """A stream stops where its reader stops."""
    closed = threading.Event()

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    running = serve(lambda message: (b"200 OK", [], endless(), closed.set))
    client = running.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.sock.recv(1000)
    client.sock.close()

    assert closed.wait(5)


def test_a_failing_close_costs_nothing(serve: Serve) -> None:
    """The answer is out already."""

    def close() -> None:
        raise ValueError

    running = serve(lambda message: (b"200 OK", [], [b"a"], close))
    with running.connect() as client:
        assert client.get().body == b"a"
        assert client.get().body == b"a"


@pytest.mark.parametrize("bad", ["text", None, 7])
def test_pieces_that_are_no_bytes(serve: Serve, bad: Any) -> None:
    """A 500 while it can be said."""
    running = serve(lambda message: (b"200 OK", [], iter([bad]), None))

    assert running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 500 ")


def test_files_go_out_by_slices(serve: Serve, tmp_path: Path) -> None:
    """A small piece, the whole, nothing; kept connections; larger than every buffer with a client that waits."""
    data = os.urandom(6_000_000)
    path = tmp_path / "file"
    path.write_bytes(data)

    def respond(message: Message) -> Answer:
        offset, count = map(int, message.query.split("-"))
        file = path.open("rb")
        return b"200 OK", [(b"Content-Length", b"%d" % count)], FileSlice(file, offset, count), file.close

    running = serve(respond, threads=1)
    with running.connect() as client, running.connect() as other:
        client.send(b"GET /?0-6000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.get("/?5-7").body == data[5:12]
        assert other.get("/?5-0").body == b""
        assert client.reply().body == data
        assert client.get("/?100-1000").body == data[100:1100]


def test_a_file_that_shrank_ends_the_connection(serve: Serve, tmp_path: Path) -> None:
    """Less than declared is visible."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    running = serve(lambda message: (b"200 OK", [(b"Content-Length", b"10")], FileSlice(path.open("rb"), 0, 10), None))
    answer = running.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.endswith(b"\r\n\r\nabc")


def test_pieces_that_start_well_are_cut(serve: Serve) -> None:
    """As they would be if they were streamed."""
    running = serve(lambda message: (b"200 OK", [(b"Content-Length", b"3")], [b"ab", b"cd"], None))
    with running.connect() as client:
        assert client.get().body == b"abc"
        assert client.get().body == b"abc"


def test_a_head_that_comes_again_is_the_same_and_a_cookie_is_not_kept() -> None:
    """Remembered heads tell by every argument; a head that sets a cookie is made anew each time."""
    date = [(b"Date", b"Sat, 21 Nov 2026 09:00:00 GMT")]
    first = writer.frame_answer(b"200 OK", date, 5, False, True, True, None)
    closing = writer.frame_answer(b"200 OK", date, 5, False, True, False, None)
    writer.frame_answer(b"200 OK", [*date, (b"Set-Cookie", b"id=secret")], 5, False, True, True, None)

    assert writer.frame_answer(b"200 OK", list(date), 5, False, True, True, None) is first
    assert b"Connection: close" in closing[0]
    assert b"Connection: close" not in first[0]
    assert not any(b"secret" in framing[0] for framing in writer.known_framings.values())
