"""Pages that go the short way, or seem to, and a way to ask for them without a socket."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import cherrypy
from cherrypy.app.application import Application
from cherrypy.app.native import NativeResponder
from cherrypy.app.tree import Tree

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
        batch=None,
        is_plain=False,
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
