"""Every documented attribute of a request: its default, its meaning, its configuration key."""

from __future__ import annotations

import re
from typing import Any

import pytest

import cherrypy
from cherrypy.core.hooks import hookpoints
from cherrypy.core.request import Request

DEFAULTS: dict[str, Any] = {
    "app": None,
    "base": "",
    "body": None,
    "closed": False,
    "config": None,
    "error_page": {},
    "handler": None,
    "header_list": [],
    "headers": {},
    "is_index": None,
    "login": None,
    "method": "GET",
    "methods_with_bodies": ("POST", "PUT", "PATCH"),
    "params": {},
    "path_info": "/",
    "prev": None,
    "process_request_body": True,
    "protocol": (1, 1),
    "query_separators": "&",
    "query_string": "",
    "query_string_encoding": "utf8",
    "request_line": "",
    "rfile": None,
    "scheme": "http",
    "script_name": "",
    "server_protocol": "HTTP/1.1",
    "show_mismatched_params": True,
    "show_tracebacks": True,
    "stage": None,
    "throw_errors": False,
    "throws": (KeyboardInterrupt, SystemExit, cherrypy.InternalRedirect),
    "toolmaps": {},
}


def seen_by(site: Any, look: Any, target: str = "/", config: Any = None, **more: Any) -> Any:
    """Return what *look* gives for the request of a page that takes anything."""
    found: list[Any] = []

    class Root:
        @cherrypy.expose
        def default(self, *args: str, **params: Any) -> str:
            found.append(look(cherrypy.serving.request))
            return ""

        index = default

    site.tree.apps.clear()
    site.mount(Root(), config={"/": config or {}})
    reply = site(target, **more)
    assert found, reply.body
    return found[0]


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_the_class_has_the_documented_default(name: str) -> None:
    """Applications read them there, and subclass with others."""
    assert getattr(Request, name) == DEFAULTS[name]


def test_the_class_has_hosts_hooks_cookies_and_namespaces() -> None:
    """What has no plain default."""
    assert (Request.local.ip, Request.local.port, Request.remote.ip, Request.remote.port) == (
        "127.0.0.1",
        80,
        "127.0.0.1",
        1111,
    )
    assert list(Request.hooks) == hookpoints
    assert len(Request.cookie) == 0
    assert {"hooks", "request", "response", "error_page", "tools"} >= set(Request.namespaces)
    assert isinstance(Request.dispatch, cherrypy.dispatch.Dispatcher)
    error_response: Any = Request.error_response
    assert (error_response.__self__.code, error_response.__name__) == (500, "set_response")


def test_a_new_request_knows_its_hosts() -> None:
    """The constructor's four parameters."""
    local, remote = cherrypy.lib.httputil.Host("1.2.3.4", 80), cherrypy.lib.httputil.Host("1.2.3.5", 81, "far")
    request = Request(local, remote, "https", "HTTP/1.0")

    assert (request.local, request.remote, request.scheme, request.server_protocol) == (
        local,
        remote,
        "https",
        "HTTP/1.0",
    )
    assert (local.name, remote.name) == ("1.2.3.4", "far")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("show_tracebacks", False),
        ("show_mismatched_params", False),
        ("throw_errors", True),
        ("query_string_encoding", "latin-1"),
        ("query_separators", "&;"),
        ("methods_with_bodies", ("POST",)),
        ("process_request_body", False),
        ("throws", (KeyboardInterrupt,)),
        ("scheme", "https"),
        ("base", "http://elsewhere"),
        ("login", "somebody"),
        ("my_own", object()),
    ],
)
def test_a_key_of_the_request_namespace_sets_the_attribute(site: Any, key: str, value: Any) -> None:
    """``request.NAME``, also one of the application's own."""
    assert seen_by(site, lambda request: getattr(request, key), config={f"request.{key}": value}) == value


def test_the_parts_of_a_request(site: Any) -> None:
    """As the page sees them."""
    site.scheme = "https"

    assert seen_by(
        site,
        lambda request: (
            request.method,
            request.path_info,
            request.script_name,
            request.query_string,
            request.request_line,
            request.base,
            request.scheme,
            request.protocol,
            request.server_protocol,
            request.stage,
            request.closed,
            request.is_index,
        ),
        "/a%20b/c?x=1&y=2",
    ) == (
        "GET",
        "/a b/c",
        "",
        "x=1&y=2",
        "GET /a b/c?x=1&y=2 HTTP/1.1",
        "https://site.test",
        "https",
        (1, 1),
        "HTTP/1.1",
        "handler",
        False,
        False,
    )


def test_hosts_are_those_of_the_connection(site: Any) -> None:
    """ip, port and name of both ends."""
    assert seen_by(site, lambda request: (request.remote.ip, request.remote.port, request.local.port)) == (
        "192.0.2.1",
        50000,
        8080,
    )


def test_the_protocol_is_the_lower_of_both(site: Any) -> None:
    """A client that speaks less is spoken to in its own."""
    assert seen_by(site, lambda request: request.protocol, version=(1, 0)) == (1, 0)


def test_headers_are_a_map(site: Any) -> None:
    """In any case; lists joined, RFC 2047 decoded, Host without line ends; header_list has them as they came."""
    headers = {"x-one": "=?utf-8?q?=C3=A9?=", "X-TWO": "2"}

    assert seen_by(site, lambda request: (request.headers["X-One"], request.headers["x-two"]), headers=headers) == (
        "é",
        "2",
    )
    assert ("X-Two", "2") in seen_by(site, lambda request: list(request.header_list), headers=headers)
    assert seen_by(site, lambda request: request.headers["Remote-Addr"]) == "192.0.2.1"


def test_cookies_are_morsels(site: Any) -> None:
    """By name."""
    cookies = {"Cookie": "a=1; b=2"}

    assert seen_by(site, lambda request: {k: v.value for k, v in request.cookie.items()}, headers=cookies) == {
        "a": "1",
        "b": "2",
    }


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&a=2", {"a": ["1", "2"]}),
        ("a=&b", {"a": "", "b": ""}),
        ("a+b=c+d%2B", {"a b": "c d+"}),
        ("12,7", {"x": 12, "y": 7}),
        ("9" * 5000 + ",7", {"9" * 5000 + ",7": ""}),
        ("a=%C3%A9", {"a": "é"}),
        ("&&a=1&", {"a": "1"}),
        ("=1", {"": "1"}),
    ],
)
def test_params_of_the_query(site: Any, query: str, params: dict[str, Any]) -> None:
    """Repeated ones are lists, image maps are numbers."""
    assert seen_by(site, lambda request: dict(request.params), f"/?{query}") == params


def test_an_undecodable_query_is_404_with_a_fixed_text(site: Any) -> None:
    """It names the encoding; another may be configured."""
    site.mount(type("Root", (), {"index": cherrypy.expose(lambda self, a="": a)})())
    text = "The given query string could not be processed. Query strings for this resource must be encoded with 'utf8'."

    assert text in site("/?a=%E9").body.decode()
    assert (
        seen_by(site, lambda request: request.params["a"], "/?a=%E9", {"request.query_string_encoding": "latin-1"})
        == "é"
    )


def test_args_and_kwargs_are_those_of_the_page(site: Any) -> None:
    """The rest of the path; keywords are what a dispatcher gives besides the parameters."""
    assert seen_by(site, lambda request: (tuple(request.args), request.kwargs), "/a/b?c=1") == (
        ("a", "b"),
        {},
    )


def test_the_unique_id_is_stable_within_a_request(site: Any) -> None:
    """A random UUID, made when somebody looks."""
    one, same = seen_by(site, lambda request: (str(request.unique_id), str(request.unique_id)))
    other = seen_by(site, lambda request: str(request.unique_id))

    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)
    assert (same == one, other == one) == (True, False)


def test_a_request_knows_how_it_is_served(site: Any) -> None:
    """By threads, in one process, as far as the server knows."""
    assert seen_by(site, lambda request: (request.multithread, request.multiprocess)) == (True, False)


def test_config_toolmaps_and_hooks_are_the_requests_own(site: Any) -> None:
    """The merged ones of the page."""
    config, toolmaps, points = seen_by(
        site,
        lambda request: (dict(request.config), dict(request.toolmaps), list(request.hooks)),
        config={"my.key": 1, "tools.gzip.on": True, "tools.gzip.compress_level": 3},
    )

    assert config["my.key"] == 1
    assert toolmaps["tools"]["gzip"] == {"on": True, "compress_level": 3}
    assert points == hookpoints


def test_the_dispatcher_is_looked_up_by_path(site: Any) -> None:
    """request.dispatch in a section of the application, and nowhere else."""

    class Root:
        def GET(self) -> str:
            return "by method"

        exposed = True

    site.mount(Root(), config={"/": {"request.dispatch": cherrypy.dispatch.MethodDispatcher()}})

    assert site("/").body == b"by method"


def test_further_namespaces_belong_to_the_request_class(site: Any) -> None:
    """``app.request_class.namespaces[...]`` gets the keys of its name."""

    class Own(Request):
        namespaces = Request.namespaces.copy()

    told: list[tuple[str, Any]] = []
    Own.namespaces["mine"] = lambda k, v: told.append((k, v))
    app = site.mount(type("Root", (), {"index": cherrypy.expose(lambda self: "")})(), config={"/": {"mine.a.b": 1}})
    app.request_class = Own
    site("/")

    assert told == [("a.b", 1)]


def test_a_request_class_may_have_other_defaults(site: Any) -> None:
    """As its class attributes."""

    class Silent(Request):
        show_tracebacks = False
        methods_with_bodies = ("POST", "REPORT")

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            raise ZeroDivisionError

    app = site.mount(Root())
    app.request_class = Silent

    assert b"ZeroDivisionError" not in site("/").body
