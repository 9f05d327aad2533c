"""Parts of an app for which nginx does something else: streams, uploads, sizes, times, what is kept, what shrinks."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx import NginxControl

pytestmark = pytest.mark.nginx

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]
ROUTE = '\n[app.shop.routes."{path}"]\n{keys}\n[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n{more}\n'
WAIT_S = 10


@pytest.mark.parametrize("kind", ["events", "stream"])
def test_what_is_sent_early_arrives_early(serve: Serve, free_port: Callable[[], int], kind: str) -> None:
    """A first event is read before the second is made, and though the client could read gzip."""
    port = free_port()
    worker = serve(ROUTE.format(path="/live", keys=f'kind = "{kind}"', port=port, more=""))
    go_on = threading.Event()

    def stream(handler: Any, line: str) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\none\n")
        handler.wfile.flush()
        assert go_on.wait(WAIT_S)
        handler.wfile.write(b"two\n")

    worker.script = stream
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        early = b""
        while b"one\n" not in early:
            piece = connection.recv(65536)
            assert piece
            early += piece
        go_on.set()
        late = b""
        while b"two\n" not in late and (piece := connection.recv(65536)):
            late += piece

    assert b"two" not in early
    assert b"two\n" in late


@pytest.mark.parametrize(("kind", "comes_early"), [("upload", True), ("page", False)])
def test_an_upload_reaches_the_app_while_it_comes_in(
    serve: Serve, free_port: Callable[[], int], kind: str, comes_early: bool
) -> None:
    """Elsewhere nginx collects the body first, so that a slow client keeps no worker."""
    port = free_port()
    worker = serve(ROUTE.format(path="/in", keys=f'kind = "{kind}"', port=port, more=""))
    seen = threading.Event()

    def take(handler: Any, line: str) -> None:
        seen.set()
        handler.rfile.read(10)
        handler.wfile.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    worker.script = take
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(b"POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        was_seen = seen.wait(WAIT_S if comes_early else 0.5)
        connection.sendall(b"67890")
        answer = connection.recv(100)

    assert was_seen is comes_early
    assert answer.startswith(b"HTTP/1.1 204")


def test_a_websocket_goes_both_ways_and_stays_when_it_is_quiet(serve: Serve, free_port: Callable[[], int]) -> None:
    """For longer than the pool's deadline."""
    port = free_port()
    base = '[stack]\nname = "x"\n[app.shop]\nentry = "shop:Root"\n[pool.web]\nworkers = 1\nrequest_deadline_s = 0.001\n'
    worker = serve(ROUTE.format(path="/ws", keys='kind = "websocket"', port=port, more=""), base=base)
    over = threading.Event()

    def upgrade(handler: Any, line: str) -> None:
        handler.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        assert over.wait(WAIT_S)
        handler.wfile.write(handler.rfile.read(4).upper())

    worker.script = upgrade
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        head = connection.recv(65536)
        connection.settimeout(5.5)  # the pool's deadline and nginx's margin
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(WAIT_S)
        over.set()
        connection.sendall(b"ping")
        answer = connection.recv(100)

    assert head.startswith(b"HTTP/1.1 101")
    assert answer == b"PING"


def test_a_route_has_its_own_size_and_time(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """Larger than the vhost's, and shorter than the pool's."""
    port = free_port()
    worker = serve(ROUTE.format(path="/in", keys="max_body = 20\ntimeout_s = 0.2", port=port, more="max_body = 10"))
    fits = get(port, "/in", method="POST", Content_Length="0")[0]
    over = get(port, "/in", method="POST", Content_Length="21")[0]
    elsewhere = get(port, "/", method="POST", Content_Length="11")[0]
    release = threading.Event()
    worker.script = lambda handler, line: release.wait(WAIT_S) and None
    began = time.monotonic()
    late = get(port, "/in")[0]
    took_s = time.monotonic() - began
    release.set()

    assert (fits, over, elsewhere, late) == (200, 413, 413, 504)
    assert took_s < 5


def test_a_path_of_any_letters_means_that_path(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """As it is when decoded; the app gets it as it came."""
    port = free_port()
    path = "/Straße {x}; \\\\d \\\"q\\\" 'y' #~=^@%"
    serve(ROUTE.format(path=path, keys='deny = ["127.0.0.1"]', port=port, more=""))
    asked = "/Stra%C3%9Fe%20%7Bx%7D;%20%5Cd%20%22q%22%20'y'%20%23~=%5E@%25"

    assert get(port, asked)[0] == get(port, f"{asked}/below")[0] == 403
    assert get(port, asked[:-3])[0] == get(port, f"{asked}x")[0] == 200


def test_pages_are_kept_for_those_who_are_nobody(
    serve: Serve, get: Get, free_port: Callable[[], int], control: NginxControl
) -> None:
    """One request to the worker for many; cookies, credentials, POST and another query are asked through."""
    port = free_port()
    worker = serve(ROUTE.format(path="/news", keys="cache = { valid_s = 60 }", port=port, more=""))
    first = [get(port, "/news?a")[0] for _ in range(5)]
    kept = worker.requests
    for fields in ({"Cookie": "a=b"}, {"Authorization": "Basic eDp5"}):
        get(port, "/news?a", **fields)
    get(port, "/news?a", method="POST", Content_Length="0")
    get(port, "/news?b")
    get(port, "/news?a", host="b")
    get(port, "/", host="a")
    asked = worker.requests
    worker.extra = "Set-Cookie: id=1\r\n"
    private = [get(port, "/news?c")[0] for _ in range(2)]

    assert (first, kept) == ([200] * 5, 1)
    assert asked == 1 + 6
    assert (private, worker.requests) == ([200, 200], asked + 2)
    lines = Path(control.paths.nginx_access_log).read_text() if settled(control, 13) else ""
    assert Counter(json.loads(line)["cache"] for line in lines.splitlines())["HIT"] == 4


def settled(control: NginxControl, lines: int) -> bool:
    """Wait until nginx has written so many lines: it does so once a second."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if Path(control.paths.nginx_access_log).read_text().count("\n") >= lines:
            return True
        time.sleep(0.05)
    return False


def test_cookies_can_be_overlooked_where_all_see_the_same(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """Credentials never are."""
    port = free_port()
    keys = "cache = { valid_s = 60, ignore_cookies = true }"
    worker = serve(ROUTE.format(path="/news", keys=keys, port=port, more=""))
    for fields in ({"Cookie": "a=1"}, {"Cookie": "a=2"}, {"Authorization": "Basic eDp5"}):
        get(port, "/news", **fields)

    assert worker.requests == 2


def test_a_page_that_is_kept_outlives_its_workers(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """An old answer is better than none."""
    port = free_port()
    worker = serve(ROUTE.format(path="/news", keys="cache = true", port=port, more=""))
    first = get(port, "/news")[0]
    worker.drops_after_head = True

    asked, deadline = worker.requests, time.monotonic() + WAIT_S
    while worker.requests == asked and time.monotonic() < deadline:
        assert get(port, "/news")[0] == 200

    assert (first, worker.requests > asked) == (200, True)
    assert get(port, "/news")[0] == 200
    assert get(port, "/")[0] == 502


def test_what_shrinks_is_compressed_for_who_can_read_it(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """JSON of some length; not short answers, not for others, not where the operator says so."""
    port = free_port()
    worker = serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n')
    long = "X-Long: " + "a" * 2000
    worker.script = lambda handler, line: (
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n" + long.encode()
        )
        and None
    )
    _, fields, body = get(port, Accept_Encoding="gzip")
    plain = get(port)
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\ncompress = false\n')
    off = get(port, Accept_Encoding="gzip")

    assert fields["content-encoding"] == "gzip"
    assert fields["vary"] == "Accept-Encoding"
    chunk = body[body.index(b"\r\n") + 2 : body.rindex(b"\r\n0\r\n")]
    assert gzip.decompress(chunk).decode() == long
    assert "content-encoding" not in plain[1]
    assert "content-encoding" not in off[1]
