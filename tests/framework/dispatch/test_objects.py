"""From paths to pages by walking through objects."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy


def shows(name: str) -> Any:
    """Return an exposed page that shows its name and its arguments."""

    def page(self: Any = None, *args: str, **kwargs: str) -> str:
        return " ".join([name, *args, *(f"{key}={kwargs[key]}" for key in sorted(kwargs))])

    return cherrypy.expose(page)


class Leaf:
    """A node with an index only."""

    index = shows("leaf.index")


class Greedy:
    """A node that takes whatever is left."""

    default = shows("greedy.default")
    index = shows("greedy.index")


class Chosen:
    """A node that is made by a dispatch method."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cherrypy.expose
    def index(self) -> str:
        return f"chosen {self.name}"

    @cherrypy.expose
    def edit(self, *rest: str) -> str:
        return f"edit {self.name} {rest}"


class Dynamic:
    """A node whose children are made."""

    index = shows("dynamic.index")

    def _cp_dispatch(self, vpath: list[str]) -> Any:
        return Chosen(vpath.pop(0))


class Adding:
    """A node that breaks the rule."""

    def _cp_dispatch(self, vpath: list[str]) -> Any:
        vpath.append("more")
        return self


class Root:
    """The tree of the tests."""

    index = shows("index")
    page = shows("page")
    with_punctuation = shows("punctuation")
    leaf = Leaf()
    greedy = Greedy()
    dynamic = Dynamic()
    adding = Adding()
    hidden = lambda self: "hidden"  # noqa: E731


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", "index"),
        ("/page", "page"),
        ("/page/a/b", "page a b"),
        ("/page?x=1", "page x=1"),
        ("/with-punctuation", "punctuation"),
        ("/with.punctuation/a-b", "punctuation a-b"),
        ("/leaf/", "leaf.index"),
        ("/greedy/", "greedy.index"),
        ("/greedy/a/b", "greedy.default a b"),
        ("/greedy/a%2Fb", "greedy.default a/b"),
        ("/greedy/a%20b", "greedy.default a b"),
        ("/greedy/%C3%A9", "greedy.default \u00e9"),
        ("//page//a", "page a"),
        ("/dynamic/", "dynamic.index"),
        ("/dynamic/x/", "chosen x"),
        ("/dynamic/x/edit/1", "edit x ('1',)"),
    ],
)
def test_paths(site: Any, path: str, body: str) -> None:
    """Each path has one page."""
    site.mount(Root())

    assert site(path).body.decode() == body


@pytest.mark.parametrize("path", ["/nothing", "/hidden", "/leaf/nothing", "/_cp_dispatch", "/page.__class__"])
def test_what_is_not_exposed_is_not_there(site: Any, path: str) -> None:
    """404."""
    site.mount(Root())

    assert site(path).status == 404


def test_a_missing_slash_is_added(site: Any) -> None:
    """The address of an index ends in a slash."""
    site.mount(Root(), "/app")

    assert site("/app/leaf?x=1").headers["Location"] == "http://site.test/app/leaf/?x=1"


def test_dispatch_methods_only_remove(site: Any) -> None:
    """Adding a segment could go on for ever."""
    site.mount(Root())

    reply = site("/adding/x")

    assert reply.status == 500
    assert b"may only remove" in reply.body


def test_configuration_is_merged_along_the_path(site: Any) -> None:
    """Site, root, '/', each node with its section, default's own."""

    class Node:
        _cp_config = {"x.node": "node", "x.section": "node"}

        @cherrypy.expose
        def default(self, *args: str) -> str:
            config = cherrypy.request.config
            return " ".join(f"{key}={config.get(f'x.{key}')}" for key in ("site", "root", "node", "section", "page"))

        default._cp_config = {"x.page": "default"}

    class Top:
        _cp_config = {"x.root": "root", "x.site": "root"}
        node = Node()

    cherrypy.config.update({"x.site": "site", "x.root": "site"})
    site.mount(Top(), config={"/": {"x.root": "slash"}, "/node/deep": {"x.section": "deep"}})

    assert site("/node/deep").body == b"site=root root=slash node=node section=deep page=default"
    assert site("/node/other").body == b"site=root root=slash node=node section=node page=default"


def test_sections_of_static_folders_are_where_they_are_set(site: Any) -> None:
    """tools.staticdir.section is the path that was matched."""

    class Node:
        _cp_config = {"tools.staticdir.dir": "x"}

        @cherrypy.expose
        def default(self, *args: str) -> Any:
            return cherrypy.request.config["tools.staticdir.section"]

    root = type("Root", (), {"one": Node(), "two": Node()})()
    site.mount(root)

    assert [site("/one/a").body, site("/two/a").body] == [b"/one", b"/two"]


def test_translate_must_be_a_table() -> None:
    """A function would be a silent mistake."""
    with pytest.raises(ValueError, match="must be a dict"):
        cherrypy.dispatch.Dispatcher(translate=str.upper)  # type: ignore[arg-type]


def test_another_dispatcher_for_a_path(site: Any) -> None:
    """``request.dispatch`` of a section, here by HTTP method."""

    class Resource:
        exposed = True

        def GET(self, *args: str) -> str:
            return f"get {args}"

        @cherrypy.tools.response_headers(headers=[("X-Put", "1")])
        def PUT(self, *args: str) -> str:
            return "put"

    root = Root()
    root.thing = Resource()  # type: ignore[attr-defined]
    site.mount(root, config={"/thing": {"request.dispatch": cherrypy.dispatch.MethodDispatcher()}})

    put = site("/thing", "PUT", body=b"x", headers={"Content-Type": "text/plain"})

    assert site("/thing/1").body == b"get ('1',)"
    assert (put.body, put.headers["X-Put"]) == (b"put", "1")
    assert site("/thing", "DELETE").status == 405
    assert site("/thing").headers["Allow"] == "GET, HEAD, PUT"
    assert site("/page").body == b"page"


def test_virtual_hosts(site: Any) -> None:
    """The host decides about a prefix that the client does not see."""
    root = Root()
    root.two = Greedy()  # type: ignore[attr-defined]
    dispatcher = cherrypy.dispatch.VirtualHost(**{"two.test": "/two"})
    site.mount(root, config={"/": {"request.dispatch": dispatcher}})

    assert site("/page").body == b"page"
    assert site("/page", headers={"Host": "two.test"}).body == b"greedy.default page"
    assert site("/page", headers={"X-Forwarded-Host": "two.test"}).body == b"greedy.default page"


@pytest.mark.parametrize(
    "path",
    [
        "/under_score",
        "/under-score",
        "/under.score/1",
        "/page/__self__/under_score",
        "/page/--self--/under-score",
        "/leaf/__class__/index/1",
        "/__class__/under_score/1",
    ],
)
def test_a_section_protects_its_page_however_it_is_spelt(site: Any, path: str) -> None:
    """SECURITY: nobody gets to a page around the configuration of its path."""
    root = Root()
    root.under_score = shows("secret")  # type: ignore[attr-defined]
    site.mount(root, config={"/under_score": {"tools.auth_basic.on": True, "tools.auth_basic.realm": "r"}})

    for _ in range(2):  # found, then remembered
        assert b"secret" not in site(path).body


@pytest.mark.parametrize("path", ["/under-score/deep", "/under_score/deep"])
def test_a_section_below_a_page_that_takes_arguments(site: Any, path: str) -> None:
    """It holds however the page is spelt, also when the page has just been remembered with other arguments."""
    root = Root()
    root.under_score = shows("under")  # type: ignore[attr-defined]
    headers = {"tools.response_headers.on": True, "tools.response_headers.headers": [("X-Deep", "1")]}
    site.mount(root, config={"/under_score/deep": headers})
    site("/under-score/other")

    reply = site(path)

    assert (reply.body, reply.headers["X-Deep"]) == (b"under", "1")


def test_a_section_of_the_path_as_it_was_sent_goes_first(site: Any) -> None:
    """Where both spellings are configured, the one that was asked for wins."""
    root = Root()
    root.under_score = shows("under")  # type: ignore[attr-defined]
    on = {"tools.response_headers.on": True}
    sections = {f"/under{mark}score": {**on, "tools.response_headers.headers": [("X-Mark", mark)]} for mark in "_-"}
    site.mount(root, config=sections)

    assert [site(f"/under{mark}score").headers["X-Mark"] for mark in "_-."] == ["_", "-", "_"]
