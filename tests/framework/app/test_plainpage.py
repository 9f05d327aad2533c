"""The short way and the long way through a request cannot be told apart from outside."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app import plainpage
from cherrypy.lib import jsontools

from .plainsite import ARGUMENTS, CALLS, DATA, PATHS, QUERIES, Catalogue, Root, ask, make_responder


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many requests have gone the short way to its end."""
    ways: list[bool] = []
    original = plainpage.serve

    def serve(*args: Any) -> Any:
        finished = original(*args)
        ways.append(finished is not None)
        return finished

    monkeypatch.setattr(plainpage, "serve", serve)
    return lambda: sum(ways)


@pytest.mark.parametrize("mount", ["", "/below"])
@pytest.mark.parametrize("headers", [[], [(b"Accept-Charset", b"iso-8859-1")]], ids=["plain", "charset"])
@pytest.mark.parametrize("name", [*(f"/{name}" for name in PATHS), "/", "/shelf", "/shelf/", "/absent", "/index"])
def test_both_ways_give_the_same_answer(
    monkeypatch: pytest.MonkeyPatch, mount: str, headers: list[tuple[bytes, bytes]], name: str
) -> None:
    """Whatever a page does, the answer has the same status, fields and body."""
    responder = make_responder()
    short = [ask(responder, mount + name, headers=headers) for _ in range(3)]
    monkeypatch.setattr(plainpage, "serve", lambda *args: None)

    assert short == [ask(responder, mount + name, headers=headers)] * 3


@pytest.mark.parametrize("mount", ["", "/below"])
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", [*ARGUMENTS, "/", "/data"])
def test_arguments_come_the_same_both_ways(monkeypatch: pytest.MonkeyPatch, mount: str, query: str, path: str) -> None:
    """Of the path and of the query, fitting or not."""
    responder = make_responder()
    short = [ask(responder, mount + path, query=query) for _ in range(3)]
    monkeypatch.setattr(plainpage, "serve", lambda *args: None)

    assert short == [ask(responder, mount + path, query=query)] * 3
    assert short == [ask(make_responder(), mount + path, query=query)] * 3


@pytest.mark.parametrize("what", DATA)
@pytest.mark.parametrize("headers", [[], [(b"Accept-Charset", b"iso-8859-1")]], ids=["plain", "charset"])
def test_json_is_the_same_both_ways(
    monkeypatch: pytest.MonkeyPatch, headers: list[tuple[bytes, bytes]], what: str
) -> None:
    """Whatever a page with ``json_out`` returns or sets."""
    responder = make_responder()
    short = [ask(responder, "/data", query=f"what={what}", headers=headers) for _ in range(3)]
    monkeypatch.setattr(plainpage, "serve", lambda *args: None)

    assert short == [ask(responder, "/data", query=f"what={what}", headers=headers)] * 3


@pytest.mark.parametrize(
    ("path", "query"), [("/item/7", ""), ("/item/7/8", "a=b"), ("/catalogue/7", ""), ("/nothing", "a=b"), ("/data", "")]
)
def test_plain_pages_with_arguments_go_the_short_way(count: Callable[[], int], path: str, query: str) -> None:
    """From the second request on."""
    responder = make_responder()
    for _ in range(3):
        ask(responder, path, query=query)

    assert count() == (0 if path == "/nothing" else 2)


def test_a_page_that_appears_in_the_place_of_an_argument_is_seen() -> None:
    """At once, although the walk to the page above is remembered."""
    responder = make_responder()
    for _ in range(3):
        ask(responder, "/catalogue/new")
    root = responder.site.tree.apps[""].root
    root.catalogue = Catalogue()
    root.catalogue.new = cherrypy.expose(lambda: "new page")

    assert ask(responder, "/catalogue/new")[2] == b"new page"
    assert b"'other'" in ask(responder, "/catalogue/other")[2]


@pytest.mark.parametrize("late", [False, True])
def test_an_application_below_a_page_is_not_its_argument(late: bool) -> None:
    """Whether it was mounted before the page was remembered or after."""
    responder = make_responder()
    tree = responder.site.tree
    if not late:
        tree.mount(Root(), "/item/7")
    for _ in range(3):
        assert ask(responder, "/item/8/octets")[2] != b"octets"
    if late:
        tree.mount(Root(), "/item/7")
    answers = [ask(responder, "/item/7/octets") for _ in range(3)]

    assert answers == [ask(responder, "/octets")] * 3


def test_a_plain_page_goes_the_short_way(count: Callable[[], int]) -> None:
    """From the second request on, when walk and plan are known."""
    responder = make_responder()
    for _ in range(3):
        ask(responder, "/")

    assert count() == 2


@pytest.mark.parametrize("fields", [{"method": "HEAD"}, {"method": "POST"}, {"has_body": True}])
def test_anything_else_goes_the_long_way(count: Callable[[], int], fields: dict[str, Any]) -> None:
    """Another method, a query or a body are not plain."""
    responder = make_responder()
    for _ in range(3):
        ask(responder, "/nothing", **fields)

    assert count() == 0


def test_a_page_with_a_tool_goes_the_long_way(count: Callable[[], int]) -> None:
    """A tool that is on runs, each time."""
    responder = make_responder()
    answers = [ask(responder, "/tool") for _ in range(3)]

    assert count() == 0
    assert all((b"X-Tool", b"on") in headers for _, headers, _ in answers)


@pytest.mark.parametrize("name", ["index", "fails"])
def test_a_page_is_called_once_for_each_request(name: str) -> None:
    """Also when the long way has to finish what the short way began."""
    responder = make_responder()
    CALLS.clear()
    for _ in range(4):
        ask(responder, f"/{name}", headers=[(b"Accept-Charset", b"iso-8859-1")])

    assert [name] * 4 == CALLS


def test_a_tool_turned_on_while_serving_is_seen() -> None:
    """A change of configuration ends the short way at once."""
    responder = make_responder()
    for _ in range(3):
        ask(responder, "/octets")
    application = responder.site.tree.apps[""]
    application.merge(
        {"/octets": {"tools.response_headers.on": True, "tools.response_headers.headers": [("X-New", "1")]}}
    )

    assert (b"X-New", b"1") in ask(responder, "/octets")[1]


def test_the_access_log_is_written() -> None:
    """One line a request, as on the long way."""
    responder = make_responder()
    application = responder.site.tree.apps[""]
    lines: list[str] = []
    handler: Any = SimpleNamespace(level=0, handle=lambda record: lines.append(record.getMessage()))
    application.log.access_log.addHandler(handler)
    for _ in range(3):
        ask(responder, "/")

    assert len(lines) == 3
    assert len(set(lines)) == 1
    assert '"GET / HTTP/1.1" 200' in lines[0]


def test_an_encoder_of_the_applications_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on the short way."""
    responder = make_responder()
    before = [ask(responder, "/data")[2] for _ in range(3)]
    monkeypatch.setattr(jsontools.json, "encode", lambda value: iter([b"own"]))

    assert before == [b'[1, "w\\u00f6rld", null]'] * 3
    assert ask(responder, "/data")[2] == b"own"


def test_a_page_never_sees_a_request_that_nobody_closed() -> None:
    """SECURITY: middleware may forget to close an answer, and the next request comes to the same thread."""
    responder = make_responder()
    for _ in range(2):
        ask(responder, "/item/mine", query="a=b")
    left_over = cherrypy.serving.__dict__
    left_over["request"], left_over["response"] = SimpleNamespace(login="another's"), SimpleNamespace()
    answer = ask(responder, "/item/mine", query="a=b")

    assert answer == ask(responder, "/item/mine", query="a=b")
    assert not left_over
