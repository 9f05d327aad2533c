"""Pages by HTTP method."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy
from cherrypy.dispatch import MethodDispatcher


class Item:
    exposed = True

    def GET(self) -> str:
        return "item"

    GET._cp_config = {"tools.response_headers.on": True, "tools.response_headers.headers": [("X-Own", "GET")]}  # type: ignore[attr-defined]

    def DELETE(self) -> str:
        return "deleted"


class OnlyHead:
    exposed = True

    def HEAD(self) -> str:
        cherrypy.response.headers["X-Head"] = "own"
        return ""


class Unexposed:
    def GET(self) -> str:
        return "never"


class Resource:
    exposed = True
    item = Item()
    only_head = OnlyHead()
    unexposed = Unexposed()

    def GET(self, *args: str, **kwargs: str) -> str:
        return f"get {args} {sorted(kwargs.items())}"

    def POST(self, **kwargs: str) -> str:
        return f"post {sorted(kwargs.items())}"

    def PUT(self, name: str) -> str:
        return f"put {name}"

    def PURGE(self) -> str:
        return "purged"

    def lower(self) -> str:
        return "never"

    def _cp_dispatch(self, vpath: list[str]) -> Any:
        return Item() if vpath.pop(0).isdigit() else None


@pytest.fixture
def api(site: Any) -> Any:
    """Give the site with the resource at its root."""
    site.mount(Resource(), config={"/": {"request.dispatch": MethodDispatcher(), "request.show_tracebacks": False}})
    return site


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/", 200, b"get () []"),
        ("GET", "/?a=1", 200, b"get () [('a', '1')]"),
        ("GET", "/x%2Fy/z", 200, b"get ('x/y', 'z') []"),
        ("PURGE", "/", 200, b"purged"),
        ("GET", "/5", 200, b"item"),
        ("GET", "/item", 200, b"item"),
        ("DELETE", "/item", 200, b"deleted"),
        ("DELETE", "/5", 200, b"deleted"),
        ("HEAD", "/", 200, b""),
        ("DELETE", "/", 405, None),
        ("OPTIONS", "/", 405, None),
        ("POST", "/item", 411, None),
        ("GET", "/only-head", 405, None),
        ("HEAD", "/only-head", 200, b""),
        ("GET", "/5/x/y", 404, None),
    ],
)
def test_methods(api: Any, method: str, target: str, status: int, body: bytes | None) -> None:
    """Each calls its own; what there is none of is 405."""
    reply = api(target, method)

    assert reply.status == status
    assert body is None or reply.body == body


def test_bodies_reach_their_method(api: Any) -> None:
    """As parameters."""
    assert api.form("/", b"a=1").body == b"post [('a', '1')]"


@pytest.mark.parametrize(
    ("target", "allowed"),
    [("/", "GET, HEAD, POST, PURGE, PUT"), ("/item", "DELETE, GET, HEAD"), ("/only-head", "HEAD")],
)
@pytest.mark.parametrize("method", ["HEAD", "TRACE"])
def test_allow_lists_the_methods(api: Any, method: str, target: str, allowed: str) -> None:
    """Sorted, HEAD wherever there is GET; in answers of all kinds."""
    assert api(target, method).headers["Allow"] == allowed


def test_head_is_get_unless_there_is_one(api: Any) -> None:
    """With the length of what GET would have sent."""
    assert api("/", "HEAD").headers["Content-Length"] == str(len(b"get () []"))
    assert api("/only-head", "HEAD").headers["X-Head"] == "own"


def test_the_method_has_a_configuration_of_its_own(api: Any) -> None:
    """Merged over the resource's."""
    assert api("/item").headers["X-Own"] == "GET"
    assert "X-Own" not in api("/item", "DELETE").headers


def test_a_resource_that_is_not_exposed_is_not_there(api: Any) -> None:
    """The one above it is asked, with the rest of the path."""
    assert api("/unexposed").body == b"get ('unexposed',) []"


def test_lower_case_attributes_are_no_methods(api: Any) -> None:
    """Whatever the client sends: methods are compared in capitals."""
    assert api("/", "LOWER").status == 405
    assert api("/", "get").body == b"get () []"


def test_constants_are_no_methods(site: Any) -> None:
    """Any token can be a method, and constants are upper case as well."""

    class Limited(Item):
        LIMIT = 5
        PURGE = None

    root: Any = Item()
    root.limited = Limited()
    site.mount(root, config={"/": {"request.dispatch": MethodDispatcher()}})

    for method in ("LIMIT", "PURGE"):
        reply = site("/limited", method)
        assert (reply.status, reply.headers["Allow"]) == (405, "DELETE, GET, HEAD")


def test_nothing_is_mounted(site: Any) -> None:
    """404, not 405."""
    site.mount(None, config={"/": {"request.dispatch": MethodDispatcher()}})

    assert site("/x").status == 404


def test_the_resource_decides_about_arguments(api: Any) -> None:
    """404 for a path that does not fit, as everywhere."""
    reply = api("/a/b", "PUT", body=b"x", headers={"Content-Type": "text/plain"})

    assert reply.status == 404
    assert api("/a", "PUT", body=b"x", headers={"Content-Type": "text/plain"}).body == b"put a"


def test_another_dispatch_method(site: Any) -> None:
    """``MethodDispatcher('dynamic_dispatch')``, as the manual shows."""

    class Users:
        exposed = True

        def dynamic_dispatch(self, vpath: list[str]) -> Any:
            return Item() if vpath.pop(0) == "known" else None

    site.mount(Users(), config={"/": {"request.dispatch": MethodDispatcher("dynamic_dispatch")}})

    assert site("/known").body == b"item"
    assert site("/known", "DELETE").body == b"deleted"
