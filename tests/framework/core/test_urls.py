"""``cherrypy.url`` inside and outside of requests."""

from __future__ import annotations

import urllib.parse
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


@pytest.mark.parametrize("path", ["//evil.test/x", "///evil.test", "/\\evil.test", "/\t/evil.test", "//"])
def test_a_relative_url_never_leads_to_another_server(site: Any, path: str) -> None:
    """A browser would read '//evil.test' as a host: an open redirect, made of a path that the client gave."""

    class Echo:
        @cherrypy.expose
        def index(self) -> str:
            given = [cherrypy.url(path, relative=relative) for relative in ("server", True)]
            return "\n".join([*given, cherrypy.url(path, base="")])

    site.mount(Echo())

    for result in site("/").body.decode().split("\n"):
        joined = urllib.parse.urljoin("http://site.test/", result.replace("\\", "/").replace("\t", ""))
        assert urllib.parse.urlsplit(joined).netloc == "site.test"


@pytest.mark.parametrize(
    ("request_path", "path", "expected"),
    [
        ("/leaf", "/", "./"),
        ("/", "/", ""),
        ("/leaf", "a:b", "./a:b"),
        ("/deep/leaf", "../page", "../page"),
        ("/leaf", "../../page", "page"),
    ],
)
def test_a_relative_url_leads_where_the_absolute_one_does(
    site: Any, request_path: str, path: str, expected: str
) -> None:
    """Also where the two have no segment in common, and where a segment looks like a scheme."""

    class Echo:
        @cherrypy.expose
        def default(self, *segments: str) -> str:
            return f"{cherrypy.url(path, relative=True)} {cherrypy.url(path)}"

    site.mount(Echo())
    relative, absolute = site(request_path).body.decode().split(" ")

    assert relative == expected
    assert urllib.parse.urljoin(f"http://site.test{request_path}", relative) == absolute


def test_a_relative_url_keeps_the_path_that_a_proxy_put_in_front() -> None:
    """The base may have one."""
    assert cherrypy.url("/x", base="https://h/shop", relative="server") == "/shop/x"


def test_another_server_has_no_relative_url(site: Any) -> None:
    """The absolute one is given instead."""
    page = cherrypy.expose(lambda self: cherrypy.url("/x", base="https://other.test", relative=True))
    site.mount(type("Root", (), {"index": page})())

    assert site("/").body == b"https://other.test/x"


def test_outside_of_a_request_nothing_is_relative_to_a_page() -> None:
    """Only the scheme goes; libraries rely on it."""
    assert cherrypy.url("/x", relative=True) == cherrypy.server.base().partition("//")[2] + "/x"


def test_the_relative_urls_of_an_application_are_the_default(site: Any) -> None:
    """``Application.relative_urls`` is what ``relative=None`` means."""
    site.mount(Root(), "/app").relative_urls = "server"

    assert site("/app/leaf?path=/page").body == b"/app/page"
    assert site("/app/leaf?path=/page&relative=no").body == b"http://site.test/app/page"


def test_the_slash_of_a_page_is_corrected_by_what_it_is(site: Any) -> None:
    """An index without its slash is a folder; a page with a slash too many is not."""

    class Folder:
        @cherrypy.expose
        def index(self) -> str:
            return cherrypy.url("page")

        @cherrypy.expose
        def leaf(self) -> str:
            return cherrypy.url("page")

    site.mount(type("Root", (), {"folder": Folder()})(), "", {"/": {"tools.trailing_slash.on": False}})

    assert site("/folder").body == site("/folder/").body == b"http://site.test/folder/page"
    assert site("/folder/leaf/").body == site("/folder/leaf").body == b"http://site.test/folder/page"


def test_script_name_and_base_can_be_given(site: Any) -> None:
    """For pages of other applications."""

    class Echo:
        @cherrypy.expose
        def index(self) -> str:
            return cherrypy.url("/x", script_name="/other", base="https://b")

    site.mount(Echo(), "/app")

    assert site("/app/").body == b"https://b/other/x"


def test_outside_of_a_request_the_server_is_the_base() -> None:
    """What else could be."""
    assert cherrypy.url("/x") == cherrypy.server.base() + "/x"
    assert cherrypy.url("/x", script_name="/app", base="http://h") == "http://h/app/x"
    assert cherrypy.url("x", script_name="/app", base="http://h") == "http://h/app/x"
    assert cherrypy.url("x", base="http://h") == "http://h/x"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a/b", "/a/b"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/../../b", "/b"), ("/a/b/..", "/a/"), ("/.", "/")],
)
def test_dots_are_resolved(path: str, expected: str) -> None:
    """And never lead above the root."""
    assert normalize_path(path) == expected
