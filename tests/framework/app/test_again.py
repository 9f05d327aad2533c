"""Requests of one batch: what was found for the first of them holds for the others, and for nobody else."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app.native import NativeResponder
from cherrypy.httpd.baton import Seat
from cherrypy.httpd.server import Server

from .plainsite import ARGUMENTS, CALLS, DATA, PATHS, QUERIES, ask, make_responder


def ask_thrice(responder: NativeResponder, path: str, batch: dict[Any, Any] | None, **fields: Any) -> list[Any]:
    """Send the same request three times, as if it had come on three connections at once."""
    ask(responder, path, **fields)
    target = f"{path}?{fields.get('query', '')}"
    return [ask(responder, path, target=target, batch=batch, is_plain=True, **fields) for _ in range(3)]


@pytest.mark.parametrize("mount", ["", "/below"])
@pytest.mark.parametrize("name", [*(f"/{name}" for name in PATHS), "/", "/shelf", "/shelf/", "/absent", *ARGUMENTS])
def test_a_batch_changes_no_answer(mount: str, name: str) -> None:
    """Whatever a page does, and wherever it lies."""
    alone = ask_thrice(make_responder(), mount + name, None)

    assert ask_thrice(make_responder(), mount + name, {}) == alone


@pytest.mark.parametrize("query", [*QUERIES, *(f"what={what}" for what in DATA)])
@pytest.mark.parametrize("path", ["/item/7", "/number", "/data", "/"])
def test_a_batch_changes_no_parameter(path: str, query: str) -> None:
    """Fitting or not, once or several times."""
    alone = ask_thrice(make_responder(), path, None, query=query)

    assert ask_thrice(make_responder(), path, {}, query=query) == alone


def test_a_plain_page_comes_again() -> None:
    """The third request of a batch looks nothing up."""
    batch: dict[Any, Any] = {}
    ask_thrice(make_responder(), "/octets", batch)

    assert list(batch) == ["/octets?"]


def test_a_page_is_called_once_for_each_request_of_a_batch() -> None:
    """Also when the long way has to finish what was begun."""
    CALLS.clear()
    ask_thrice(make_responder(), "/fails", {})

    assert CALLS == ["fails"] * 4


def test_parameters_are_each_requests_own() -> None:
    """What a page does to its parameters, the next request does not see."""

    class Root:
        @cherrypy.expose
        def index(self, name: str, **more: Any) -> str:
            before = repr(cherrypy.request.params)
            cherrypy.request.params["added"] = "1"
            return before

    responder = make_responder()
    responder.site.tree.apps[""].root = Root()

    assert {answer[2] for answer in ask_thrice(responder, "/", {}, query="name=a")} == {b"{'name': 'a'}"}


@pytest.mark.parametrize("own", [False, True], ids=["a handler", "a method of its own"])
def test_a_log_that_is_read_is_written_for_all(monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    """Each request of a batch has its line."""
    responder = make_responder()
    manager = responder.site.tree.apps[""].log
    lines: list[Any] = []
    if own:
        monkeypatch.setattr(manager, "access", lambda: lines.append(cherrypy.request.path_info))
    else:
        handler: Any = SimpleNamespace(level=logging.INFO, handle=lines.append)
        manager.access_log.addHandler(handler)
    ask_thrice(responder, "/octets", {})

    assert len(lines) == 4


def test_who_waits_for_the_end_of_requests_hears_of_all() -> None:
    """Also who subscribed after the first request of the batch."""
    responder = make_responder()
    batch: dict[Any, Any] = {}
    ask_thrice(responder, "/octets", batch)
    heard: list[int] = []
    cherrypy.engine.subscribe("after_request", listener := lambda: heard.append(1))
    try:
        ask(responder, "/octets", target="/octets?", batch=batch, is_plain=True)
    finally:
        cherrypy.engine.unsubscribe("after_request", listener)

    assert heard == [1]


class Changing:
    """A page that puts another one into its place."""

    @cherrypy.expose
    def index(self) -> str:
        """Answer the first time."""
        Changing.index = Changing.other  # type: ignore[method-assign]
        return "first"

    @cherrypy.expose
    def other(self) -> str:
        """Answer from then on."""
        return "then"


@pytest.fixture
def ask_all() -> Iterator[Callable[[NativeResponder], list[bytes]]]:
    """Eight connections; each call sends a request on all of them, has the loop find all at once, returns bodies."""
    site: Any = SimpleNamespace(responder=None)
    server = Server(("127.0.0.1", 0), lambda message: site.responder(message), threads=4)
    server.prepare()
    loop, seat = server._loop, Seat(server._baton)
    server._baton.take(seat)
    clients = [socket.create_connection(server.bind_addr, timeout=10) for _ in range(8)]
    while len(loop.connections) < len(clients):
        loop.turn(seat)

    def ask_all(responder: NativeResponder) -> list[bytes]:
        site.responder = responder
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        end = seat.serial + len(clients)
        while seat.serial < end:
            loop.turn(seat)
        return [client.recv(65536).rpartition(b"\r\n\r\n")[2] for client in clients]

    yield ask_all
    for client in clients:
        client.close()
    server._baton.release()
    loop.close()


def test_who_got_an_answer_meets_what_it_changed(
    monkeypatch: pytest.MonkeyPatch, ask_all: Callable[[NativeResponder], list[bytes]]
) -> None:
    """No request that comes after the first answer sees the page that was there before."""
    monkeypatch.setattr(Changing, "index", Changing.index)
    responder = make_responder()
    responder.site.tree.apps[""].root = Changing()
    rounds = [ask_all(responder) for _ in range(3)]

    assert rounds[0][0] == b"first"
    assert rounds[1] + rounds[2] == [b"then"] * 16


def test_bodies_of_all_lengths_go_out_whole(ask_all: Callable[[NativeResponder], list[bytes]]) -> None:
    """Heads are remembered by the length of what follows."""
    bodies = ["", "a", "bb", "a", "", "x" * 5000, "bb", "y" * 5000]
    left = iter(bodies * 3)

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            return next(left)

    responder = make_responder()
    responder.site.tree.apps[""].root = Root()

    assert [ask_all(responder) for _ in range(3)] == [[body.encode() for body in bodies]] * 3
