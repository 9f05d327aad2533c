"""What is mounted where, natively and by WSGI."""

from __future__ import annotations

import io
import urllib.parse
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
        ("//", b"root||/"),
        ("//blog//x/", b"blog|/blog|/x/"),
        ("//wsgi//x", b"foreign|/wsgi|/x"),
        ("/wsgi/a%20b", b"foreign|/wsgi|/a b"),
        ("/blog/admin" + "/x" * 200, b"admin|/blog/admin|" + b"/x" * 200),
        ("/blog/admin" + "x" * 300, b"blog|/blog|/admin" + b"x" * 300),
        ("/" + "x" * 300, b"root||/" + b"x" * 300),
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
    app = cherrypy.Application(Root("x"), "/a")

    with pytest.raises(TypeError, match=r"mount\(\) needs a script_name.*tree\.graft\(Application\(root, None\)\)"):
        site.mount(Root("x"), None)
    with pytest.raises(ValueError, match=r"has the script_name '/a', not '/b'"):
        site.mount(app, "/b")
    assert site.tree.apps == {}


@pytest.mark.parametrize("script_name", ["", "/", "/a", "/a/"])
def test_an_application_is_mounted_where_it_says(site: Any, script_name: str) -> None:
    """Nothing, or the same, may be said again; its configuration is added to."""
    app = cherrypy.Application(Root("app"), "/a", {"/": {"x": 1}})

    mounted = site.mount(app, script_name, {"/": {"y": 2}})

    assert mounted is app
    assert site.tree.apps == {"/a": app}
    assert app.config == {"/": {"x": 1, "y": 2}}


def test_a_root_is_mounted_as_an_application(site: Any) -> None:
    """Which is returned; slashes at its end are cut."""
    app = site.mount(Root("x"), "/x//", {"/": {"a": 1}})

    assert isinstance(app, cherrypy.Application)
    assert (app.script_name, app.config) == ("/x", {"/": {"a": 1}})
    assert site.tree.apps == {"/x": app}


def test_the_last_one_mounted_at_a_place_answers(site: Any) -> None:
    """A graft as well."""
    site.mount(Root("first"), "/x")
    site.mount(Root("second"), "/x")
    assert site("/x/").body == b"second|/x|/"

    site.tree.graft(foreign, "/x/")

    assert site("/x/").body == b"foreign|/x|/"


def test_a_site_has_an_icon(site: Any) -> None:
    """At its root."""
    site.mount(Root("root"))

    reply = site("/favicon.ico")

    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/x-icon")
    assert reply.body[:4] == b"\x00\x00\x01\x00"


def test_an_icon_of_its_own_is_kept(site: Any) -> None:
    """Also the absence of one: ``favicon_ico = None``."""

    class Own:
        @cherrypy.expose
        def favicon_ico(self) -> str:
            return "own"

    class Without:
        favicon_ico = None

    site.mount(Own())
    assert site("/favicon.ico").body == b"own"
    site.mount(Without())
    assert site("/favicon.ico").status == 404


@pytest.mark.parametrize("root", [None, object(), type("Slots", (), {"__slots__": ()})()])
def test_a_root_that_cannot_have_an_icon_is_mounted_without(site: Any, root: Any) -> None:
    """Nothing, or an object that takes no attributes."""
    site.mount(root)

    assert site("/favicon.ico").status == 404


def test_below_the_root_there_is_no_icon(site: Any) -> None:
    """Browsers ask for that of the site."""
    root = Root("x")
    site.mount(root, "/x")

    assert not hasattr(root, "favicon_ico")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/blog", "/blog"),
        ("/blog/", "/blog"),
        ("/blog/x/y", "/blog"),
        ("/blog/admin/x", "/blog/admin"),
        ("/blogs", ""),
        ("/", ""),
        ("", ""),
        ("x", ""),
    ],
)
def test_script_name_is_the_longest_mount_point(site: Any, path: str, found: str) -> None:
    """By whole segments; None where nothing is mounted."""
    for name in ("", "/blog", "/blog/admin"):
        site.mount(Root("x"), name)
    assert site.tree.script_name(path) == found

    del site.tree.apps[""]

    assert site.tree.script_name(path) == (found or None)


def test_script_name_of_the_current_request(site: Any) -> None:
    """Without an argument."""
    tree = site.tree

    class Shows:
        @cherrypy.expose
        def default(self, *args: str) -> str:
            return str(tree.script_name())

    site.mount(Shows(), "/here")

    assert site("/here/x").body == b"/here"


def by_wsgi(tree: Any, script_name: str, path: str, **more: Any) -> tuple[str, bytes]:
    """Return (status, body) of what *tree* answers to an environ."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "site.test",
        "wsgi.version": (1, 0),
        "wsgi.input": io.BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        **more,
    }
    given = dict(environ)
    statuses: list[str] = []
    answer = tree(environ, lambda status, headers, exc_info=None: statuses.append(status))
    body = b"".join(answer)
    getattr(answer, "close", lambda: None)()
    assert environ == given
    return statuses[0], body


@pytest.mark.parametrize(
    ("script_name", "path", "status", "body"),
    [
        ("", "/", "200 OK", b"root||/"),
        ("", "", "200 OK", b"root||/"),
        ("", "/blog/x", "200 OK", b"blog|/blog|/x"),
        ("/blog", "/x", "200 OK", b"blog|/blog|/x"),
        ("/blog", "", "200 OK", b"blog|/blog|/"),
        ("", "//blog//x", "200 OK", b"blog|/blog|/x"),
        ("", "/wsgi/x", "200 OK", b"foreign|/wsgi|/x"),
        ("", "/wsgi", "200 OK", b"foreign|/wsgi|"),
        ("/wsgi/", "x", "200 OK", b"foreign|/wsgi|/x"),
    ],
)
def test_by_wsgi_the_environ_is_put_right(site: Any, script_name: str, path: str, status: str, body: bytes) -> None:
    """SCRIPT_NAME is the mount point, PATH_INFO the rest; in a copy: the server's own stays."""
    site.mount(Root("root"))
    site.mount(Root("blog"), "/blog")
    site.tree.graft(foreign, "/wsgi")

    assert by_wsgi(site.tree, script_name, path) == (status, body)


def test_by_wsgi_nothing_is_mounted_there(site: Any) -> None:
    """404 with an empty body."""
    site.mount(Root("blog"), "/blog")

    assert by_wsgi(site.tree, "", "/other") == ("404 Not Found", b"")


@pytest.mark.parametrize(
    ("mounted", "path"),
    [
        ("/caf\xe9", "/caf%C3%A9/\u0436"),
        ("/\u0436/\u65e5", "/%D0%B6/%E6%97%A5/\u0436"),
        ("/caf\xe9", "/caf%E9/x"),
    ],
)
def test_mount_points_may_be_of_any_script(site: Any, mounted: str, path: str) -> None:
    """On the native way and by WSGI: names are text, and paths are octets."""
    site.mount(Root("root"))
    site.mount(Root("there"), mounted)
    octets = urllib.parse.unquote_to_bytes(path).decode("latin-1")

    natively = site(urllib.parse.quote(path, safe="/%"))
    status, body = by_wsgi(site.tree, "", octets)

    assert natively.body.startswith(f"there|{mounted}|/".encode())
    assert (natively.status, status) == (200, "200 OK")
    assert body == natively.body


def test_a_graft_in_another_script_gets_octets(site: Any) -> None:
    """SCRIPT_NAME and PATH_INFO as PEP 3333 has them."""
    site.tree.graft(foreign, "/caf\xe9")
    octets = "/caf\xc3\xa9"

    assert by_wsgi(site.tree, "", f"{octets}/x")[1].decode() == f"foreign|{octets}|/x"
    assert site("/caf%C3%A9/x").body.decode() == f"foreign|{octets}|/x"


def test_by_wsgi_with_text_of_utf_8(site: Any) -> None:
    """``wsgi.version`` ("u", 0)."""
    site.mount(Root("blog"), "/caf\xe9")

    status, body = by_wsgi(site.tree, "", "/caf\xe9/\xfc", **{"wsgi.version": ("u", 0), "wsgi.url_encoding": "utf-8"})

    assert status == "200 OK"
    assert body.decode() == "blog|/caf\xe9|/\xfc"


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


def test_a_prefix_that_a_trusted_proxy_took_off_is_in_every_url(site: Any) -> None:
    """With the host that it names, or with the one that was asked for."""

    class Links:
        @cherrypy.expose
        def index(self) -> str:
            return cherrypy.url("/a")

    site.mount(Links())
    site.server.trusted_proxies = ["192.0.2.0/24"]

    assert site("/", headers={"X-Forwarded-Prefix": "/v1"}).body == b"http://site.test/v1/a"
    assert site("/", headers={"X-Forwarded-Prefix": "/v1", "X-Forwarded-Host": "b"}).body == b"http://b/v1/a"


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
