"""``thread_pool_max``: more threads while all are busy, and fewer again."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cherrypy.app.server import Server


class Meeting:
    """Pages that wait until so many of them run at once."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties, timeout=10)

    def __call__(self, message: Any) -> Any:
        message.entering("meeting")
        self.barrier.wait()
        return b"200 OK", [], [b"met"], None


def ask_together(client: Any, count: int) -> list[Any]:
    """Return the answers to *count* requests that are sent at once."""
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(client.ask())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    return answers


def until(condition: Any) -> bool:
    """Tell whether *condition* becomes true within some seconds."""
    never = threading.Event()
    return any(condition() or never.wait(0.01) for _ in range(1000))


def test_threads_are_added_while_all_of_them_are_busy(
    server: Server, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads, eight pages that wait for each other: with a fixed pool they would wait for ever."""
    server.thread_pool, server.thread_pool_max = 2, 8
    monkeypatch.setattr(client, "respond", Meeting(8))
    server.start()

    answers = ask_together(client, 8)

    assert answers == [("HTTP/1.1 200 OK", b"met")] * 8
    assert len(server.httpserver.requests._threads) == 8


def test_never_more_than_the_maximum(server: Server, client: Any) -> None:
    """The rest waits, as it would with a fixed pool."""
    server.thread_pool, server.thread_pool_max = 1, 3
    server.start()
    answers: list[Any] = []
    asking = [threading.Thread(target=lambda: answers.append(client.ask("/slow"))) for _ in range(6)]
    for thread in asking:
        thread.start()

    assert until(lambda: len(server.httpserver.requests._threads) == 3)
    # long enough for five looks of the watcher
    asking[0].join(0.1)
    client.release.set()
    for thread in asking:
        thread.join(10)

    assert answers == [("HTTP/1.1 200 OK", b"hello")] * 6
    assert len(server.httpserver.requests._threads) == 3


def test_the_pool_shrinks_again(server: Server, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To ``thread_pool``, and perhaps one that polls; nothing of the statistics is lost, and the server goes on."""
    monkeypatch.setattr("cherrypy.httpd.crew.SPARE_S", 0.05)
    server.thread_pool, server.thread_pool_max, server.statistics = 2, 6, True
    monkeypatch.setattr(client, "respond", Meeting(6))
    server.start()
    made = server.httpserver
    assert len(ask_together(client, 6)) == 6

    assert until(lambda: len(made.requests._threads) <= 3)
    assert len(made.requests._threads) >= 2
    assert made.stats["Requests"](made.stats) == 6
    assert len(ask_together(client, 6)) == 6
    assert made.stats["Requests"](made.stats) == 12


@pytest.mark.parametrize("most", [-1, 2])
def test_without_a_higher_maximum_the_pool_is_fixed(server: Server, client: Any, most: int) -> None:
    """The default."""
    server.thread_pool, server.thread_pool_max = 2, most
    server.start()
    asking = [threading.Thread(target=client.ask, args=("/slow",)) for _ in range(3)]
    for thread in asking:
        thread.start()
    assert until(lambda: server.httpserver.requests.idle == 0)

    # long enough for five looks of the watcher
    asking[0].join(0.1)
    threads = len(server.httpserver.requests._threads)
    client.release.set()
    for thread in asking:
        thread.join(10)

    assert threads == 2


def test_grow_and_shrink_by_hand(server: Server, client: Any) -> None:
    """COMPAT: monitors of applications steer the pool: at once while it runs, else for the next start."""
    server.thread_pool, server.thread_pool_max = 2, 5
    server.start()
    pool = server.httpserver.requests

    pool.grow(2)
    grown = len(pool._threads)
    pool.grow(10)
    most = len(pool._threads)
    pool.shrink(3)
    server.stop()
    pool.grow(2)
    pool.shrink(1)
    server.start()

    assert (grown, most) == (4, 5)
    assert (pool.min, len(pool._threads)) == (3, 3)


def test_without_a_maximum_grow_is_not_limited(server: Server, client: Any) -> None:
    """-1 of ``thread_pool_max``."""
    server.thread_pool = 1
    server.start()

    server.httpserver.requests.grow(11)

    assert len(server.httpserver.requests._threads) == 12
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


def test_a_pool_never_shrinks_to_nothing(server: Server) -> None:
    """One thread is left."""
    server.httpserver = made = server.httpserver_from_self()[0]

    made.requests.shrink(100)

    assert (made.numthreads, made.requests.min) == (1, 1)
