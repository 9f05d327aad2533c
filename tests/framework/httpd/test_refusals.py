"""Refusals: early, once, readable to the last octet, and nothing behind them is served."""

from __future__ import annotations

import threading

import pytest

from cherrypy.httpd.message import Answer, Message

from .conftest import Serve

EXPECT = b"POST %b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"


def choosy(message: Message) -> Answer:
    """Wants the bodies that go to /in, and refuses all others for their expectation."""
    if message.path == "/in":
        return b"200 OK", [], [b"%d" % len(message.body.read())], None
    return b"417 Expectation Failed", [], [b"not wanted"], None


def test_a_refused_client_can_read_why_although_it_goes_on_sending(serve: Serve) -> None:
    """SECURITY: a close with unread input would reset the connection, and take the answer along."""
    running = serve(body_bytes=1000)
    for _ in range(20):
        with running.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
            sending = threading.Thread(target=client.send, args=(b"x" * 200_000,))
            sending.start()
            answer = client.read_all()
            sending.join(10)

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.endswith(b"The entity sent with the request exceeds the maximum allowed bytes.")
        assert b"Connection: close\r\n" in answer


def test_a_body_that_is_too_large_is_refused_before_it_is_asked_for(serve: Serve) -> None:
    """413 instead of 100, not a word in between; the application is not asked."""
    asked: list[str] = []

    def respond(message: Message) -> Answer:
        asked.append(message.path)
        return choosy(message)

    running = serve(respond, body_bytes=1000)
    with running.connect() as client:
        client.send(EXPECT % (b"/in", 1001))
        refused = client.read_all()

    assert refused.startswith(b"HTTP/1.1 413 ")
    assert b" 100 " not in refused
    assert asked == []


def test_an_application_may_refuse_an_expectation(serve: Serve) -> None:
    """Its 417 comes instead of 100, and the connection closes: nobody can tell whether the body follows."""
    running = serve(choosy)
    with running.connect() as client:
        client.send(EXPECT % (b"/out", 5))
        answer = client.read_all()

    assert answer.startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close\r\n" in answer


def test_a_body_that_is_wanted_is_asked_for_once(serve: Serve) -> None:
    """And the connection stays."""
    running = serve(choosy)
    with running.connect() as client:
        for _ in range(2):
            client.send(EXPECT % (b"/in", 5))
            word = client.reply()
            client.send(b"hello")
            answer = client.reply()

            assert (word.status, answer.status, answer.body) == (100, 200, b"5")


def test_nothing_behind_an_error_is_served(serve: Serve) -> None:
    """One answer, however much of it there is, and in whatever pieces it comes."""
    served: list[str] = []

    def respond(message: Message) -> Answer:
        served.append(message.path)
        return b"200 OK", [], [b""], None

    running = serve(respond)
    bad = b"GET /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    good = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ([bad + good * 100], [bad, *[good] * 100], [good + bad + good * 100]):
        served.clear()
        with running.connect() as client:
            for piece in pieces:
                client.send(piece)
            answer = client.read_all()

        assert answer.count(b"HTTP/1.1 400 ") == 1
        assert served == (["/good"] if pieces[0].startswith(b"GET /good") else [])


@pytest.mark.parametrize(
    "data",
    [
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"HEAD / HTTP/2.0\r\n",
        b"\r\nHEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort",
        b"HEAD / HTTP/1.1\r\nHost: a\r\n",
    ],
)
def test_a_refused_head_has_no_text(serve: Serve, data: bytes) -> None:
    """RFC 9110, 9.3.2: not a word behind the head, which is that of any other refusal."""
    running = serve(body_bytes=1000, head_s=0.05, body_grace_s=0.05)
    of_head = running.exchange(data)
    of_get = running.exchange(data.replace(b"HEAD ", b"GET "))

    assert of_head.endswith(b"\r\n\r\n")
    assert of_get.split()[1] == of_head.split()[1]
    assert not of_get.endswith(b"\r\n\r\n")
