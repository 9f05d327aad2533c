"""The short way and the long way through a request cannot be told apart from outside."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app import plainpage
from cherrypy.app.application import Application
from cherrypy.app.native import NativeResponder
from cherrypy.app.tree import Tree
from cherrypy.lib import jsontools

CALLS: list[str] = []


class Shelf:
    """A page below the root."""

    @cherrypy.expose
    def index(self) -> str:
        """Need the slash at the end."""
        return "shelf"


class Catalogue:
    """A branch with a page for what is not there."""

    @cherrypy.expose
    def default(self, *args: str, **params: Any) -> str:
        """Answer for everything."""
        return repr([args, params, cherrypy.request.is_index, cherrypy.request.args])

    @cherrypy.expose
    def page(self) -> str:
        """Be a page beside it."""
        return "page"


class Root:
    """Pages that do everything a page may do without a tool."""

    shelf = Shelf()
    catalogue = Catalogue()

    @cherrypy.expose
    def index(self) -> str:
        """Answer text."""
        CALLS.append("index")
        return "Hello, wörld!"

    @cherrypy.expose
    def octets(self) -> bytes:
        """Answer bytes."""
        return b"octets"

    @cherrypy.expose
    def nothing(self) -> None:
        """Answer nothing."""

    @cherrypy.expose
    def empty(self) -> str:
        """Answer an empty text."""
        return ""

    @cherrypy.expose
    def pieces(self) -> Any:
        """Answer a generator."""
        yield "one "
        yield "two"

    @cherrypy.expose
    def plain(self) -> str:
        """Choose another type."""
        cherrypy.response.headers["Content-Type"] = "text/plain"
        return "plain"

    @cherrypy.expose
    def cookie(self) -> str:
        """Set a cookie, a status and a header."""
        cherrypy.response.cookie["a"] = "b"
        cherrypy.response.status = 201
        cherrypy.response.headers["X-Name"] = "value"
        return "cookie"

    @cherrypy.expose
    def no_status(self) -> str:
        """Choose a status that is none."""
        cherrypy.response.status = "twenty"
        return "?"

    @cherrypy.expose
    def no_content(self) -> str:
        """Choose a status without a body."""
        cherrypy.response.status = 204
        return "dropped"

    @cherrypy.expose
    def surrogate(self) -> str:
        """Answer what no charset has."""
        return "\udc80"

    @cherrypy.expose
    def missing(self, name: str) -> str:
        """Want an argument that does not come."""
        return name

    @cherrypy.expose
    def fails(self) -> str:
        """Fail, after having been called once."""
        CALLS.append("fails")
        raise ValueError("broken")

    @cherrypy.expose
    def types(self) -> str:
        """Fail with a TypeError of its own."""
        raise TypeError("of its own")

    @cherrypy.expose
    def refuses(self) -> str:
        """Answer an error."""
        raise cherrypy.HTTPError(418 if False else 409, "conflict")

    @cherrypy.expose
    def moves(self) -> str:
        """Send elsewhere."""
        raise cherrypy.HTTPRedirect("/octets")

    @cherrypy.expose
    def turns(self) -> str:
        """Turn inside."""
        raise cherrypy.InternalRedirect("/octets")

    @cherrypy.expose
    def hooks(self) -> str:
        """Attach a hook while the page runs."""
        cherrypy.request.hooks.attach("before_finalize", self._sign)
        return "hooks"

    @staticmethod
    def _sign() -> None:
        cherrypy.response.headers["X-Signed"] = "yes"

    @cherrypy.expose
    def streams(self) -> str:
        """Ask for streaming."""
        cherrypy.response.stream = True
        return "stream"

    @cherrypy.expose
    def looks(self) -> str:
        """Look at all that a page may look at."""
        request = cherrypy.request
        seen = [request.method, request.path_info, request.query_string, request.request_line, request.script_name]
        seen += [request.protocol, request.server_protocol, request.params, request.args, request.kwargs]
        seen += [request.is_index, type(request.handler).__name__, request.remote.ip, request.base]
        seen += [request.headers["Host"], request.config["environment_of_the_test"], request.process_request_body]
        seen += [sorted(request.toolmaps["tools"]), request.app.root is self, request.stage]
        return repr(seen)

    @cherrypy.expose
    def item(self, *args: str, **params: Any) -> str:
        """Take the rest of the path and the query."""
        request = cherrypy.request
        handler = request.handler.oldhandler
        seen = [args, params, request.params, request.args, request.kwargs, request.query_string, request.request_line]
        return repr([*seen, handler.args, handler.kwargs, request.is_index])

    @cherrypy.expose
    def number(self, number: str, colour: str = "red") -> str:
        """Want one argument, by path or by query."""
        return f"{number} {colour}"

    @cherrypy.expose
    @cherrypy.tools.json_out()
    def data(self, what: str = "list") -> Any:
        """Answer JSON, or what is none."""
        if what == "header":
            cherrypy.response.headers["X-Name"] = "value"
        if what == "type":
            cherrypy.response.headers["Content-Type"] = "text/plain"
        if what == "status":
            cherrypy.response.status = 201
        if what == "error":
            raise cherrypy.HTTPError(409, "conflict")
        if what == "handler":
            return [type(cherrypy.request.handler).__name__, type(cherrypy.request._json_inner_handler).__name__]
        answers = {"list": [1, "wörld", None], "text": "text", "nothing": None, "set": {1}, "octets": b"octets"}
        return answers.get(what, what)

    @cherrypy.expose
    @cherrypy.tools.response_headers(headers=[("X-Tool", "on")])
    def tool(self) -> str:
        """Have a tool on."""
        return "tool"


def make_responder() -> NativeResponder:
    """Serve a tree with the pages at '' and at '/below'."""
    tree = Tree()
    config = {"/": {"environment_of_the_test": 1, "request.show_tracebacks": False}}
    for script_name in ("", "/below"):
        application = Application(Root(), script_name, config)
        application.log.screen = False
        application.log.access_log.propagate = False  # pytest reads every log: most requests would have a reader
        tree.apps[script_name] = application
    return NativeResponder(SimpleNamespace(tree=tree, server=cherrypy.server))


def ask(responder: NativeResponder, path: str, **fields: Any) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Send one message; status, headers but the date, and body come back."""
    headers = [(b"Host", b"example.test"), *fields.pop("headers", [])]
    message: Any = SimpleNamespace(
        method="GET",
        target=path,
        path=path,
        query="",
        version=(1, 1),
        headers=headers,
        body=io.BytesIO(),
        has_body=False,
        names_charset=False,
        connection=SimpleNamespace(peer=("192.0.2.1", 5), local=("127.0.0.1", 80), scheme="http"),
        entering=lambda key: None,
    )
    message.names_charset = any(name == b"Accept-Charset" for name, _ in headers)
    for name, value in fields.items():
        setattr(message, name, value)
    status, fields_out, body, close = responder(message)
    octets = b"".join(body)
    if close is not None:
        close()
    return status, [field for field in fields_out if field[0] != b"Date"], octets


ARGUMENTS = [
    "/item/7",
    "/item/7/8",
    "/item/a%2Fb",
    "/item/caf%C3%A9",
    "/item/7/",
    "/item//7",
    "/item/__class__",
    "/item/%2e",
]
ARGUMENTS += ["/number/7", "/number/7/8", "/number", "/item/1/2/3/4/5/6/7", "/nothing/7", "/data/list", "/data/x/y"]
ARGUMENTS += ["/catalogue/7", "/catalogue/", "/catalogue", "/catalogue/page", "/catalogue/page/x", "/catalogue/a/b"]
QUERIES = [
    "a=b",
    "a=1&a=2",
    "a=%C3%A9",
    "a=%FF",
    "3,4",
    "number=7",
    "number=7&colour=blue",
    "number=7&number=8",
    "self=1",
]
QUERIES += ["", "a", "a=b;c=d", "=", "number=1&extra=2"]
DATA = ["", "list", "text", "nothing", "set", "octets", "header", "type", "status", "error", "handler"]

PATHS = [name for name in vars(Root) if not name.startswith("_") and name not in ("shelf", "catalogue")]


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
