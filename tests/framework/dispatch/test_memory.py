"""Walks that are remembered, and every change that must be noticed all the same."""

from __future__ import annotations

from typing import Any

import cherrypy
from cherrypy.dispatch import objects


def says(text: str) -> Any:
    """Return an exposed page."""

    def page(self: Any, **params: str) -> str:
        return text + (cherrypy.request.config.get("x.mark") or "")

    return cherrypy.expose(page)


def tree() -> Any:
    """Return a root with a page and a branch; each call makes its own classes."""
    branch = type("Branch", (), {"index": says("branch")})
    return type("Root", (), {"index": says("index"), "page": says("page"), "branch": branch()})()


def warmed(site: Any, *paths: str) -> Any:
    """Mount a tree and ask for each path twice."""
    root = tree()
    site.mount(root)
    for path in paths * 2:
        assert site(path).status == 200
    return root


def test_the_same_answer_again(site: Any) -> None:
    """With arguments of the query, too."""
    warmed(site, "/", "/page", "/branch/")

    assert [site(path).body for path in ("/", "/page?a=1", "/branch/")] == [b"index", b"page", b"branch"]


def test_a_page_may_be_replaced(site: Any) -> None:
    """On the class or on the object."""
    root = warmed(site, "/page", "/branch/")
    type(root).page = says("another")
    root.branch = type("Branch", (), {"index": says("other branch")})()

    assert [site("/page").body, site("/branch/").body] == [b"another", b"other branch"]


def test_a_page_may_be_hidden_or_removed(site: Any) -> None:
    """404 at once."""
    root = warmed(site, "/page", "/branch/")
    type(root).page.exposed = False
    del type(root).branch

    assert [site("/page").status, site("/branch/").status] == [404, 404]


def test_an_object_that_is_a_page_may_get_a_default(site: Any) -> None:
    """Which goes before it, as on the first walk."""

    class Resource:
        exposed = True

        def __call__(self) -> str:
            return "called"

    root: Any = type("Root", (), {"resource": Resource()})()
    site.mount(root)
    assert [site("/resource").body for _ in range(3)] == [b"called"] * 3

    Resource.default = says("default")  # type: ignore[attr-defined]
    assert [site("/resource").body for _ in range(3)] == [b"default"] * 3
    del Resource.default  # type: ignore[attr-defined]

    assert site("/resource").body == b"called"


def test_a_page_may_get_configuration(site: Any) -> None:
    """On the page, on what is above it, and changed in place."""
    root = warmed(site, "/page", "/branch/")
    type(root).page._cp_config = {"x.mark": "!"}
    first = site("/page").body
    type(root).page._cp_config["x.mark"] = "?"
    second = site("/page").body
    type(root)._cp_config = {"x.mark": "#"}

    assert [first, second, site("/branch/").body] == [b"page!", b"page?", b"branch#"]


def test_a_child_may_appear_below_a_page(site: Any) -> None:
    """What was not there is looked for again; the page is an index now."""
    root = warmed(site, "/page")
    type(root).page.index = cherrypy.expose(lambda: "new child")

    assert [site("/page").status, site("/page/").body] == [301, b"new child"]


def test_another_root(site: Any) -> None:
    """The application's root may be exchanged."""
    warmed(site, "/page")
    site.tree.apps[""].root = type("Root", (), {"page": says("from another root")})()

    assert site("/page").body == b"from another root"


def test_a_slash_keeps_its_meaning(site: Any) -> None:
    """/branch and /branch/ are two walks."""
    warmed(site, "/branch/")

    assert [site("/branch").status, site("/branch/").status, site("/branch").status] == [301, 200, 301]


def test_clients_cannot_fill_the_memory(site: Any, monkeypatch: Any) -> None:
    """Paths with arguments are not remembered; those with many slashes are bounded."""
    monkeypatch.setattr(objects, "LIMIT", 10)

    class Root:
        @cherrypy.expose
        def default(self, *args: str) -> str:
            return "x"

        page = says("page")

    app = site.mount(Root())
    for number in range(50):
        site(f"/{number}")
        site("/" * number + "page")
    dispatcher = cherrypy._cprequest.Request.dispatch

    assert len(app.plans.walks_of(dispatcher)) <= 10


def test_dispatch_methods_are_asked_each_time(site: Any) -> None:
    """They may answer differently."""
    asked: list[str] = []

    class Root:
        def _cp_dispatch(self, vpath: list[str]) -> Any:
            asked.append(vpath.pop(0))
            return type("Made", (), {"index": says(f"{len(asked)}")})()

    site.mount(Root())

    assert [site("/x/").body for _ in range(3)] == [b"1", b"2", b"3"]


def catch_all() -> Any:
    """Return a root whose branch answers for whatever is not there, and whose page takes the rest of the path."""

    def page(self: Any, *rest: str) -> str:
        return f"page {rest}"

    def default(self: Any, *rest: str) -> str:
        return f"default {rest}"

    branch = type("Branch", (), {"default": cherrypy.expose(default)})
    return type("Root", (), {"page": cherrypy.expose(page), "branch": branch()})()


def test_a_walk_serves_for_other_arguments(site: Any) -> None:
    """It is remembered once, whatever clients put behind it."""
    application = site.mount(catch_all())
    answers = [site(path).body for path in ("/page/1", "/page/2/3", "/branch/4", "/branch/5/6")]
    walks = application.plans.walks_of(cherrypy.request.dispatch)

    assert answers == [b"page ('1',)", b"page ('2', '3')", b"default ('4',)", b"default ('5', '6')"]
    assert set(walks) == {("/page",), ("/branch",)}


def test_what_appears_in_the_place_of_an_argument_is_found(site: Any) -> None:
    """An attribute, or a dispatch method that has its say."""
    root = catch_all()
    site.mount(root)
    for path in ("/page/1", "/branch/1", "/branch/new") * 2:
        site(path)
    type(root.branch).new = says("new")
    first = site("/branch/new").body
    type(root.branch)._cp_dispatch = lambda self, vpath: vpath.pop() and cherrypy.expose(lambda: "dispatched")
    type(root).page.deeper = cherrypy.expose(lambda: "deeper")

    assert [first, site("/branch/1").body, site("/page/deeper").body] == [b"new", b"dispatched", b"deeper"]


def test_a_section_below_a_page_that_takes_arguments_counts(site: Any) -> None:
    """Configuration for one value of an argument is not lost on a walk that was remembered for another."""
    application = site.mount(catch_all())
    for path in ("/page/1", "/page/2"):
        site(path)
    application.merge(
        {"/page/2": {"tools.response_headers.on": True, "tools.response_headers.headers": [("X-A", "b")]}}
    )
    answers = [site(path) for path in ("/page/1", "/page/2", "/page/1", "/page/2")]

    assert ["X-A" in answer.headers for answer in answers] == [False, True, False, True]
