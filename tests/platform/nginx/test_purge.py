"""Answers that nginx keeps are forgotten by address, as clients see it; nobody else's file is touched."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx import NginxControl
from kirsch.nginx.caching import cache_folder
from kirsch.nginx.purge import UNKNOWN_VERSION, purge

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]
VHOST = (
    '[app.shop.routes."/news"]\ncache = {{ valid_s = 600 }}\n[vhost.main]\nnames = ["a", "b"]\n'
    'listen = ["127.0.0.1:{port}"]\n'
)
HEAD = b"\x05" + bytes(300)


@pytest.mark.nginx
def test_what_is_purged_is_asked_for_again_and_nothing_else(
    serve: Serve, get: Get, free_port: Callable[[], int], control: NginxControl
) -> None:
    """One address with its query, all that begins so, all of it: how many they were, and who is asked again."""
    port = free_port()
    worker = serve(VHOST.format(port=port))
    folder, base = cache_folder(control.paths), f"http://a:{port}"
    paths = ["/news", "/news?a", "/news/1", "/news/1/x"]

    def asked() -> list[str]:
        before = worker.requests
        again = []
        for host, path in [*(("a", path) for path in paths), ("b", "/news")]:
            get(port, path, host=f"{host}:{port}")
            if worker.requests > before:
                again.append(host + path)
            before = worker.requests
        return again

    everything = asked()
    kept = asked()
    counts = [purge(folder, f"{base}/news?a"), purge(folder, f"{base}/news?a")]
    one = asked()
    counts.append(purge(folder, f"{base}/news/1*"))
    some = asked()
    counts.append(purge(folder, "*"))

    assert (len(everything), kept) == (5, [])
    assert counts == [1, 0, 2, 5]
    assert (one, some) == (["a/news?a"], ["a/news/1", "a/news/1/x"])
    assert asked() == everything
    assert asked() == []


@pytest.mark.nginx
def test_all_variants_of_an_address_are_forgotten(
    serve: Serve, get: Get, free_port: Callable[[], int], control: NginxControl
) -> None:
    """An answer that varies is kept once for each kind of client, in files whose names nobody can guess."""
    port = free_port()
    worker = serve(VHOST.format(port=port))
    worker.extra = "Vary: Accept-Language\r\n"
    for _ in range(2):
        for language in ("de", "fr", "it"):
            get(port, "/news", host=f"a:{port}", Accept_Language=language)
    before = worker.requests
    count = purge(cache_folder(control.paths), f"http://a:{port}/news")
    for language in ("de", "fr", "it"):
        get(port, "/news", host=f"a:{port}", Accept_Language=language)

    assert (before, count) == (3, 3)
    assert worker.requests == 6


@pytest.mark.nginx
def test_an_answer_that_is_being_written_is_not_kept(
    serve: Serve, get: Get, free_port: Callable[[], int], control: NginxControl
) -> None:
    """It was made before the purge; who asked for it gets it whole."""
    port = free_port()
    worker = serve(VHOST.format(port=port))
    half, rest = threading.Event(), threading.Event()
    piece = b"x" * 200_000

    def answer(handler: Any, line: str) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\nConnection: close\r\n\r\n" + piece)
        half.set()
        rest.wait(60)
        handler.wfile.write(piece)

    worker.script = answer
    got: list[bytes] = []
    client = threading.Thread(target=lambda: got.append(get(port, "/news", host=f"a:{port}")[2]))
    client.start()
    assert half.wait(30)
    folder = Path(cache_folder(control.paths))
    wait_until(lambda: any(path.is_file() for path in folder.rglob("*.*")))
    count = purge(str(folder), "*")
    rest.set()
    client.join(60)
    worker.script = None
    get(port, "/news", host=f"a:{port}")

    assert count == 1
    assert got == [piece * 2]
    assert worker.requests == 1


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    for _ in range(3000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise TimeoutError("it did not come true")


@pytest.mark.nginx
def test_who_is_being_served_gets_the_old_answer_whole(
    serve: Serve, get: Get, free_port: Callable[[], int], control: NginxControl
) -> None:
    """A client that reads slowly while its answer is purged."""
    port = free_port()
    worker = serve(VHOST.format(port=port))
    size = 8_000_000

    def answer(handler: Any, line: str) -> None:
        worker.requests += 1
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode())
        handler.wfile.write(b"x" * size)

    worker.script = answer
    get(port, "/news", host=f"a:{port}")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(f"GET /news HTTP/1.1\r\nHost: a:{port}\r\nConnection: close\r\n\r\n".encode())
        got = client.recv(100)
        count = purge(cache_folder(control.paths), "*")
        while piece := client.recv(2**20):
            got += piece

    assert (count, worker.requests) == (1, 1)
    assert got.partition(b"\r\n\r\n")[2] == b"x" * size
    assert "crit" not in Path(control.paths.nginx_error_log).read_text()


def put(folder: Path, key: str, number: int = 0, content: bytes = HEAD) -> Path:
    """A file as nginx makes it."""
    path = folder / "0" / "00" / f"{number:032x}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content + f"\nKEY: {key}\nHTTP/1.1 200 OK\r\n".encode())
    return path


def test_long_addresses_are_read_to_their_end(tmp_path: Path) -> None:
    """Request lines may have 16 KiB and more."""
    path = put(tmp_path, "http://a/" + "x" * 20_000 + "1")
    other = put(tmp_path, "http://a/" + "x" * 20_000 + "2", 1)

    assert purge(str(tmp_path), "http://a/" + "x" * 20_000 + "1") == 1
    assert path.read_bytes().startswith(UNKNOWN_VERSION)
    assert other.read_bytes().startswith(HEAD)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """SECURITY: whoever can write into the cache cannot have a file elsewhere written to: no links, no other names."""
    elsewhere = put(tmp_path / "elsewhere", "http://a/")
    cache = tmp_path / "cache"
    own = put(cache, "http://a/", 1)
    (own.parent / f"{2:032x}").symlink_to(elsewhere)
    os.link(elsewhere, own.parent / f"{3:032x}")
    (cache / "1").symlink_to(elsewhere.parents[1])
    (own.parent / "notes.txt").write_bytes(own.read_bytes())
    os.mkfifo(own.parent / f"{4:032x}")

    assert purge(str(cache), "*") == 1
    assert elsewhere.read_bytes().startswith(HEAD)
    assert (own.parent / "notes.txt").read_bytes().startswith(HEAD)


def test_a_cache_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """No route keeps anything yet."""
    assert purge(str(tmp_path / "none"), "*") == 0


@pytest.mark.parametrize("what", ["", "/news", "shop.example/", "http://a", "ftp://a/x", "http://a/x y", "**"])
def test_what_is_no_address_is_refused(tmp_path: Path, what: str) -> None:
    """Rather than nothing being forgotten in silence."""
    with pytest.raises(ValueError, match="allowed"):
        purge(str(tmp_path), what)
