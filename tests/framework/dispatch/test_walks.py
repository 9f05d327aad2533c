"""The walk from a path to a page, rule by rule: what is found, with which arguments, and whether it is an index."""

from __future__ import annotations

import time
from typing import Any

import pytest

import cherrypy
from cherrypy.dispatch import Dispatcher


def shows(name: str) -> Any:
    """Return an exposed page that shows its name, its arguments and ``is_index``."""

    def page(self: Any = None, *args: str, **kwargs: Any) -> str:
        words = [name, *args, *(f"{key}={kwargs[key]}" for key in sorted(kwargs))]
        return " ".join(words) + (" index" if cherrypy.request.is_index else "")

    return cherrypy.expose(page)


class Leaf:
    index = shows("leaf.index")


class Greedy:
    default = shows("greedy.default")


class Both:
    index = shows("both.index")
    default = shows("both.default")


class Called:
    """A node that is a page itself."""

    exposed = True

    def __call__(self, *args: str) -> str:
        return f"called {args}"


class CalledWithIndex(Called):
    index = shows("called.index")


class Root:
    index = shows("index")
    page = shows("page")
    under_score = shows("under")
    a_b_c = shows("abc")
    leaf = Leaf()
    greedy = Greedy()
    both = Both()
    called = Called()
    called_index = CalledWithIndex()
    number = 5
    nothing = None
    table = {"keys": 1}

    def hidden(self) -> str:
        return "hidden"


Root.café = shows("café")
setattr(Root, "1digit", shows("digit"))
setattr(Root, "with space", shows("space"))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", "index index"),
        ("/index", "index"),
        ("/index/", "index"),
        ("/index/x", "index x"),
        ("/index/index", "index index"),
        ("/page", "page"),
        ("/page/", "page"),
        ("/page/a/b/", "page a b"),
        ("/page?q=1&q=2&r=", "page q=['1', '2'] r="),
        ("/leaf/", "leaf.index index"),
        ("/leaf/index", "leaf.index"),
        ("/leaf/index/x", "leaf.index x"),
        ("/greedy", "greedy.default"),
        ("/greedy/", "greedy.default index"),
        ("/greedy/a/", "greedy.default a index"),
        ("/greedy/default", "greedy.default"),
        ("/greedy/default/x", "greedy.default x"),
        ("/both/", "both.index index"),
        ("/both/a", "both.default a"),
        ("/both/default/x", "both.default x"),
        ("/both/index", "both.index"),
        ("/called", "called ()"),
        ("/called/a/b", "called ('a', 'b')"),
        ("/called-index/", "called.index index"),
        ("/called-index/x", "called ('x',)"),
        ("/under-score", "under"),
        ("/under.score", "under"),
        ("/under~score", "under"),
        ("/a.b-c", "abc"),
        ("/a!b@c", "abc"),
        ("/1digit", "digit"),
        ("/with%20space", "space"),
        ("/caf%C3%A9", "caf\u00e9"),
        ("/page/%C3%A9", "page \u00e9"),
        ("/page/a%2Fb", "page a/b"),
        ("/page/a%2fb", "page a/b"),
        ("/page/%2B+", "page ++"),
        ("/page/a=b;c", "page a=b;c"),
        ("//page//a//", "page a"),
        ("/page/__class__", "page __class__"),
    ],
)
def test_found(site: Any, path: str, body: str) -> None:
    """index, default, callables, arguments, punctuation, escapes, empty segments."""
    site.mount(Root())

    assert site(path).body.decode() == body


@pytest.mark.parametrize(
    "path",
    [
        "/absent",
        "/PAGE",
        "/default",
        "/index.html",
        "/leaf/x",
        "/hidden",
        "/hidden/x",
        "/number",
        "/nothing",
        "/table",
        "/table/keys",
        "/exposed",
        "/_cp_config",
        "/__class__/leaf/",
        "/--class--/page/x",
        "/leaf/__class__/",
        "/hidden/__self__/page",
        "/./page",
        "/leaf/../page",
        "/..",
        "/%2F",
    ],
)
def test_not_found(site: Any, path: str) -> None:
    """Not exposed, not there, or not a path of ours: 404 with the path in its message."""
    site.mount(Root())

    reply = site(path)

    assert reply.status == 404
    assert b"was not found." in reply.body


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/leaf", "/leaf/"),
        ("/both", "/both/"),
        ("/called-index", "/called-index/"),
        ("/leaf?q=1&q=2", "/leaf/?q=1&q=2"),
    ],
)
def test_an_index_has_a_slash_at_its_end(site: Any, path: str, location: str) -> None:
    """301 to where its relative links are right."""
    site.mount(Root())

    reply = site(path)

    assert (reply.status, reply.headers["Location"]) == (301, f"http://site.test{location}")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PROPFIND"])
def test_the_method_does_not_matter(site: Any, method: str) -> None:
    """Pages have all of them."""
    site.mount(Root())

    assert site("/page", method).body == b"page"


def test_pages_may_come_and_go(site: Any) -> None:
    """At any time: nothing is registered anywhere."""
    root: Any = Root()
    site.mount(root)
    assert site("/late").status == 404

    root.late = shows("late")
    assert site("/late").body == b"late"
    del root.late

    assert site("/late").status == 404


# dispatch methods


class Popping:
    """Takes one segment for itself, as often as it is asked."""

    index = shows("popping.index")
    page = shows("popping.page")

    def _cp_dispatch(self, vpath: list[str]) -> Any:
        cherrypy.request.params["popped"] = vpath.pop(0)
        return self


class Chooser:
    """Does what the test wants."""

    default = None

    def __init__(self, choose: Any) -> None:
        self.choose = choose

    def _cp_dispatch(self, vpath: list[str]) -> Any:
        return self.choose(vpath)


def take_all(vpath: list[str]) -> Any:
    """Take every segment."""
    cherrypy.request.params["all"] = "/".join(vpath)
    del vpath[:]
    return Both()


def rewrite(vpath: list[str]) -> Any:
    """Change a segment."""
    vpath[0] = "rewritten"
    return Both()


def not_found(vpath: list[str]) -> Any:
    """Know that there is nothing."""
    raise cherrypy.NotFound()


@pytest.mark.parametrize(
    ("node", "path", "status", "body"),
    [
        (Popping(), "/node/", 200, "popping.index index"),
        (Popping(), "/node/1/", 200, "popping.index popped=1 index"),
        (Popping(), "/node/1/page", 200, "popping.page popped=1"),
        (Popping(), "/node/1/page/2", 200, "popping.page 2 popped=1"),
        (Popping(), "/node/1/2/page", 200, "popping.page popped=2"),
        (Chooser(take_all), "/node/1/2/3/", 200, "both.index all=1/2/3 index"),
        (Chooser(take_all), "/node", 404, "was not found"),
        (Chooser(lambda vpath: Both()), "/node/a/b", 200, "both.default b"),
        (Chooser(lambda vpath: shows("method").__get__(vpath)), "/node/a/b", 200, "method b"),
        (Chooser(lambda vpath: None), "/node/a", 404, "was not found"),
        (Chooser(rewrite), "/node/a/b", 200, "both.default b"),
        (Chooser(not_found), "/node/a", 404, "was not found"),
        (
            Chooser(lambda vpath: vpath.append("z")),
            "/node/a",
            500,
            "segment was added: ['a'] became ['a', 'z']",
        ),
    ],
)
def test_dispatch_methods(site: Any, node: Any, path: str, status: int, body: str) -> None:
    """``_cp_dispatch`` gets the segments that are left, may take some off, and returns the object that goes on."""
    site.mount(type("Top", (), {"node": node})())

    reply = site(path)

    assert reply.status == status
    assert body in reply.body.decode()


def test_a_dispatch_method_may_answer(site: Any) -> None:
    """By a redirect, which is the site's own."""

    def redirect(vpath: list[str]) -> Any:
        raise cherrypy.HTTPRedirect("/elsewhere")

    site.mount(type("Top", (), {"node": Chooser(redirect)})())

    assert site("/node/x").headers["Location"] == "http://site.test/elsewhere"


def test_it_is_asked_only_for_what_is_not_there(site: Any) -> None:
    """Attributes go first; what is exposed or cannot be called is no dispatch method."""
    asked: list[list[str]] = []

    class Node(Chooser):
        page = shows("page")

    node = Node(lambda vpath: asked.append(list(vpath)))
    exposed = type("Exposed", (), {"_cp_dispatch": shows("dispatch"), "default": shows("default")})()
    text = type("Text", (), {"_cp_dispatch": "nothing", "default": shows("default")})()
    site.mount(type("Top", (), {"node": node, "exposed_one": exposed, "text": text})())

    assert site("/node/page").body == b"page"
    assert asked == []
    assert site("/node/absent/x").status == 404
    assert asked == [["absent", "x"]]
    assert site("/exposed-one/x").body == b"default x"
    assert site("/text/x").body == b"default x"


def test_the_dispatch_method_may_have_another_name(site: Any) -> None:
    """``Dispatcher(dispatch_method_name=...)``."""

    class Node:
        def choose(self, vpath: list[str]) -> Any:
            return shows(f"chosen {vpath.pop()}")

    dispatcher = Dispatcher(dispatch_method_name="choose")
    site.mount(type("Top", (), {"node": Node()})(), config={"/": {"request.dispatch": dispatcher}})

    assert site("/node/x").body == b"chosen x"
    assert Dispatcher("").dispatch_method_name == "_cp_dispatch"


def test_another_table_translates_segments(site: Any) -> None:
    """``Dispatcher(translate=...)``: here only '-' stands for '_'."""
    dispatcher = Dispatcher(translate={ord("-"): ord("_")})
    site.mount(Root(), config={"/": {"request.dispatch": dispatcher}})

    assert site("/under-score").body == b"under"
    assert site("/under.score").status == 404


@pytest.mark.parametrize("table", [str.upper, None, 5, "abc", [1]])
def test_translate_is_a_table(table: Any) -> None:
    """Anything else is refused when the dispatcher is made, with its type."""
    with pytest.raises(ValueError, match=rf"The translate argument must be a dict, not {type(table).__name__}\."):
        Dispatcher(translate=table)


@pytest.mark.parametrize("piece", ["/a", "/page", "/%41", "/.."])
def test_a_path_of_thousands_of_segments_costs_linear_time(site: Any, piece: str) -> None:
    """SECURITY: 16 KiB took 0.4 seconds, with the path's parents looked for among mount points and sections."""
    site.mount(Root(), config={"/page": {"tools.trailing_slash.on": True}, "/other/place": {}})
    before = time.process_time()
    for _ in range(5):
        site(piece * (16_000 // len(piece)))

    assert time.process_time() - before < 0.5
