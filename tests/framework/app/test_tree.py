"""What is mounted where, natively and by WSGI."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy


class Root:
    """Shows where it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cherrypy.expose
    def default(self, *args: str) -> str:
        return f"{self.name}|{cherrypy.request.script_name}|{cherrypy.request.path_info}"


def foreign(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A WSGI application of somebody else."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"foreign|{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"root||/"),
        ("/x", b"root||/x"),
        ("/blog", b"blog|/blog|"),
        ("/blog/", b"blog|/blog|/"),
        ("/blog/x", b"blog|/blog|/x"),
        ("/blogs", b"root||/blogs"),
        ("/blog/admin/x", b"admin|/blog/admin|/x"),
        ("/wsgi", b"foreign|/wsgi|"),
        ("/wsgi/a%20b", b"foreign|/wsgi|/a b"),
    ],
)
def test_the_longest_mount_point_answers(site: Any, path: str, body: bytes) -> None:
    """Applications and grafted callables side by side."""
    site.mount(Root("root"), "/")
    site.mount(Root("blog"), "/blog/")
    site.mount(Root("admin"), "/blog/admin")
    site.tree.graft(foreign, "/wsgi")

    assert site(path).body == body


def test_links_of_a_mounted_index_lead_below_it(site: Any, page: Any) -> None:
    """Asked for without its last slash, it is redirected to; else "x" on it would be a page beside it."""
    site.mount(page(lambda: "index"), "/blog")

    reply = site("/blog?q=1")

    assert (reply.status, reply.headers["Location"]) == (301, "http://site.test/blog/?q=1")
    assert site("/blog/").body == b"index"
    assert site("/blog").status == 301


def test_nothing_is_mounted_there(site: Any) -> None:
    """404 with an empty body."""
    site.mount(Root("blog"), "/blog")

    reply = site("/other")

    assert (reply.status, reply.body) == (404, b"")


def test_mistakes_of_mounting(site: Any) -> None:
    """Each says what is wrong."""
    with pytest.raises(TypeError, match="script_name"):
        site.mount(Root("x"), None)
    with pytest.raises(ValueError, match="'/a'"):
        site.mount(cherrypy.Application(Root("x"), "/a"), "/b")


def test_a_site_has_an_icon(site: Any) -> None:
    """Unless it has one of its own."""
    site.mount(Root("root"))

    reply = site("/favicon.ico")

    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/x-icon")


def test_trusted_proxies_are_believed_before_dispatch(site: Any) -> None:
    """A redirect raised in a dispatch method has the client's scheme and host."""

    class Moved:
        def _cp_dispatch(self, vpath: list[str]) -> Any:
            raise cherrypy.HTTPRedirect("/there")

        @cherrypy.expose
        def index(self) -> str:
            return f"{cherrypy.request.remote.ip} {cherrypy.request.headers['Remote-Addr']}"

    site.mount(Moved())
    site.server.trusted_proxies = ["192.0.2.0/24"]
    said = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}

    assert site("/here", headers=said).headers["Location"] == "https://shop.example/there"
    assert site("/", headers=said).body == b"203.0.113.7 203.0.113.7"


def test_nobody_else_is(site: Any) -> None:
    """The default: no proxy is trusted, and a made-up Remote-Addr is replaced."""

    class Shows:
        @cherrypy.expose
        def index(self) -> str:
            return f"{cherrypy.request.base} {cherrypy.request.remote.ip} {cherrypy.request.headers['Remote-Addr']}"

    site.mount(Shows())
    said = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "evil.example", "Remote-Addr": "127.0.0.1"}

    assert site("/", headers=said).body == b"http://site.test 192.0.2.1 192.0.2.1"


def test_an_application_replaced_by_middleware_still_answers(site: Any) -> None:
    """The whole tree may stand behind a WSGI callable."""
    site.mount(Root("root"))
    tree = site.tree
    site.tree = lambda environ, start_response: [b"around ", *tree(environ, start_response)]

    assert site("/").body == b"around root||/"


def test_find_config_walks_up(site: Any) -> None:
    """The nearest section that has the key."""
    app = site.mount(Root("x"), config={"/": {"a": 1, "b": 1}, "/deep": {"a": 2}, "free": {"a": 9}})

    assert [app.find_config(path, "a") for path in ("/", "/deep", "/deep/er", "/other", "")] == [1, 2, 2, 1, 1]
    assert app.find_config("/deep/er", "b") == 1
    assert app.find_config("/deep", "c", "none") == "none"
    assert app.config["free"]["a"] == 9


def test_reserved_state_is_left_alone_on_interrupts(site: Any) -> None:
    """KeyboardInterrupt of a page reaches the server, and the thread is clean."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            raise KeyboardInterrupt

    site.mount(Root())

    with pytest.raises(KeyboardInterrupt):
        site("/")
    assert cherrypy.serving.__dict__ == {}
