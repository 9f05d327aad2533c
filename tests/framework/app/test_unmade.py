"""Request and response of a page that goes the short way: made when somebody looks, and only then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.aio.carry import CarryingExecutor
from cherrypy.app import plainpage

from ..conftest import Site


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths for which a request was made on the short way."""
    paths: list[str] = []
    original: Callable[..., None] = plainpage.make

    def make(*arguments: Any) -> None:
        paths.append(arguments[5])
        original(*arguments)

    monkeypatch.setattr(plainpage, "make", make)
    return paths


def ask_often(site: Site, target: str, **headers: str) -> str:
    """Ask until the short way is taken, and once more; return the last answer."""
    # pytest reads every log
    site.tree.apps[""].log.access_log.propagate = False
    for _ in range(4):
        status, _, body, close = site.respond(site.message(target, "GET", headers, b"", (1, 1)))
        text = b"".join(body).decode()
        if close is not None:
            close()
    return text if status == b"200 OK" else status[:3].decode()


class Root:
    """Pages that look at more or less."""

    @cherrypy.expose
    def blind(self, **parameters: str) -> str:
        return f"blind {parameters}"

    @cherrypy.expose
    def looking(self, **parameters: str) -> str:
        request = cherrypy.request
        assert cherrypy.serving.request is cherrypy.serving.request
        return f"{request.path_info} {request.query_string} {request.params == parameters} {request.stage}"

    @cherrypy.expose
    def answering(self) -> str:
        cherrypy.response.headers["X-Seen"] = "yes"
        return "answered"

    @cherrypy.expose
    def annotating(self) -> str:
        cherrypy.serving.note = "mine"
        return "noted"

    @cherrypy.expose
    def carrying(self) -> str:
        with CarryingExecutor(2) as executor:
            seen = [executor.submit(lambda: cherrypy.serving.request).result() for _ in range(2)]
        return str(all(one is cherrypy.serving.request for one in seen))

    @cherrypy.expose
    def failing(self) -> str:
        raise cherrypy.HTTPError(409, "no")


@pytest.fixture
def pages(site: Site) -> Site:
    """A site of those pages."""
    site.mount(Root())
    return site


def test_nothing_is_made_for_a_page_that_does_not_look(pages: Site, made: list[str]) -> None:
    """Neither request nor response."""
    answer = ask_often(pages, "/blind?a=1")

    assert (answer, made) == ("blind {'a': '1'}", [])
    assert cherrypy.serving.__dict__ == {}


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/looking?a=1", "/looking a=1 True handler"),
        ("/looking", "/looking  True handler"),
        ("/answering", "answered"),
        ("/annotating", "noted"),
        ("/carrying", "True"),
        ("/failing", "409"),
    ],
)
def test_one_request_is_made_for_a_page_that_looks(pages: Site, made: list[str], target: str, answer: str) -> None:
    """Once, whatever it looks at and how often, and forgotten with its end."""
    for _ in range(2):
        pages(target)
    made.clear()
    reply = pages(target)

    assert made == [target.partition("?")[0]]
    assert ask_often(pages, target) == answer
    assert reply.headers.get("X-Seen") == ("yes" if answer == "answered" else None)
    assert cherrypy.serving.__dict__ == {}


def test_a_log_that_is_read_sees_the_finished_answer(pages: Site, made: list[str]) -> None:
    """Of a page that did not look itself."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    access_log = pages.tree.apps[""].log.access_log
    access_log.addHandler(handler)
    try:
        ask_often(pages, "/blind")
    finally:
        access_log.removeHandler(handler)

    assert len({line.split("]")[1] for line in lines}) == 1
    assert '"GET /blind HTTP/1.1" 200 8 ' in lines[-1]
    assert made == ["/blind"] * (len(lines) - 1)


def test_who_changes_the_fields_of_a_finished_answer_changes_no_others(pages: Site) -> None:
    """Many answers have the same ones."""
    counts: list[int] = []

    def listen() -> None:
        fields = cherrypy.response.header_list
        counts.append(len(fields))
        fields.append((b"X-Late", b"1"))

    cherrypy.engine.subscribe("after_request", listen)
    try:
        ask_often(pages, "/blind")
    finally:
        cherrypy.engine.unsubscribe("after_request", listen)

    assert len(set(counts)) == 1


def test_a_proxy_that_is_trusted_is_believed(pages: Site) -> None:
    """By the request that is made late, too."""
    pages.server.trusted_proxies = ["192.0.2.0/24"]
    root = Root()
    root.who = cherrypy.expose(lambda: cherrypy.request.remote.ip)  # type: ignore[attr-defined]
    pages.mount(root)

    assert ask_often(pages, "/who", **{"X-Forwarded-For": "203.0.113.7"}) == "203.0.113.7"


def test_other_threads_have_the_default(pages: Site) -> None:
    """A thread that a page starts by itself serves no request."""
    root = Root()
    default = cherrypy.serving.request
    seen: list[Any] = []

    def spawn() -> str:
        thread = threading.Thread(target=lambda: seen.append(cherrypy.serving.request))
        thread.start()
        thread.join()
        return "done"

    root.spawn = cherrypy.expose(spawn)  # type: ignore[attr-defined]
    pages.mount(root)
    ask_often(pages, "/spawn")

    assert seen == [default] * 4
