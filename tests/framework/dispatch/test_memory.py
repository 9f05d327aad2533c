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
