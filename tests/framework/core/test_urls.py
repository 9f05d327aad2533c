"""``cherrypy.url`` inside and outside of requests."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy
from cherrypy.core.urls import normalize_path


class Root:
    """Shows what url() makes of its query."""

    @cherrypy.expose
    def index(self, path: str = "", relative: str | None = None) -> str:
        return cherrypy.url(path, relative={"yes": True, "no": False}.get(relative or "", relative))

    @cherrypy.expose
    def leaf(self, path: str = "", relative: str | None = None) -> str:
        return self.index(path, relative)


@pytest.mark.parametrize(
    ("request_path", "path", "relative", "expected"),
    [
        ("/app/", "", None, "http://site.test/app/"),
        ("/app/leaf", "", None, "http://site.test/app/leaf"),
        ("/app/leaf", "page", None, "http://site.test/app/page"),
        ("/app/leaf", "/page", None, "http://site.test/app/page"),
        ("/app/leaf", "/a/../b/./c", None, "http://site.test/app/b/c"),
        ("/app/leaf", "/page", "yes", "page"),
        ("/app/leaf", "/deep/page", "yes", "deep/page"),
        ("/app/leaf", "/page", "server", "/app/page"),
        ("/app/leaf", "/page", "no", "http://site.test/app/page"),
    ],
)
def test_url_of_a_request(site: Any, request_path: str, path: str, relative: str | None, expected: str) -> None:
    """Relative to the page that asks."""
    site.mount(Root(), "/app")
    query = f"?path={path}" + (f"&relative={relative}" if relative else "")

    assert site(request_path + query).body.decode() == expected


@pytest.mark.parametrize(("qs", "expected"), [("a=1", "?a=1"), ({"a": 1}, "?a=1"), ([("a", 1), ("a", 2)], "?a=1&a=2")])
def test_queries(qs: Any, expected: str) -> None:
    """Text, a dict, or pairs."""
    assert cherrypy.url("/x", qs=qs, base="http://h") == "http://h/x" + expected


def test_outside_of_a_request_the_server_is_the_base() -> None:
    """What else could be."""
    assert cherrypy.url("/x") == cherrypy.server.base() + "/x"
    assert cherrypy.url("/x", script_name="/app", base="http://h") == "http://h/app/x"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a/b", "/a/b"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/../../b", "/b"), ("/a/b/..", "/a/"), ("/.", "/")],
)
def test_dots_are_resolved(path: str, expected: str) -> None:
    """And never lead above the root."""
    assert normalize_path(path) == expected
