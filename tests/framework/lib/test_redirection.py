"""Where redirects lead: relative ones, odd names, slashes, unseen ones, and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy


class Shelf:
    """An index."""

    @cherrypy.expose
    def index(self, **params: str) -> str:
        """Its page."""
        return "shelf"


class Root:
    """Pages that send elsewhere."""

    shelf = Shelf()

    @cherrypy.expose
    def page(self) -> str:
        """A page that is no index."""
        return "page"

    @cherrypy.expose
    def leave(self, to: str) -> None:
        """Go where the client says."""
        raise cherrypy.HTTPRedirect(to)

    @cherrypy.expose
    def fail(self) -> None:
        """Break."""
        raise RuntimeError


Root.für = Shelf()


class Anything:
    """A site on which every path is an index."""

    @cherrypy.expose
    def index(self) -> str:
        """Its page."""
        return "index"

    def _cp_dispatch(self, vpath: list[str]) -> Any:
        vpath.clear()
        return self


@pytest.mark.parametrize(
    ("relative_urls", "location"),
    [(False, "http://localhost/shelf/?a=b"), ("server", "/shelf/?a=b"), (True, "/shelf/?a=b")],
)
def test_a_missing_slash_leads_to_the_page_itself(serve: Callable[..., Any], relative_urls: Any, location: str) -> None:
    """Relative to the current page it would have led to where the client is already, for ever."""
    browser = serve(Root())
    browser.app.relative_urls = relative_urls
    answer = browser("/shelf?a=b")

    assert (answer.status, answer.headers["Location"]) == (301, location)


@pytest.mark.parametrize(
    ("relative_urls", "to", "location"),
    [
        (False, "/page", "http://localhost/page"),
        ("server", "/page", "/page"),
        ("server", "page", "/page"),
        (True, "/page", "/page"),
        ("server", "http://other.example/", "http://other.example/"),
    ],
)
def test_redirects_are_relative_if_the_application_says_so(
    serve: Callable[..., Any], relative_urls: Any, to: str, location: str
) -> None:
    """``Application.relative_urls``: right behind every proxy, since neither scheme nor host is in them."""
    browser = serve(Root())
    browser.app.relative_urls = relative_urls

    assert browser(f"/leave?to={to}").headers["Location"] == location


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/f%C3%BCr?a=%C3%BC", "/f%C3%BCr/?a=%C3%BC"),
        ("/a%20b", "/a%20b/"),
        ("/a%3Fb", "/a%3Fb/"),
        ("/a%23b", "/a%23b/"),
        ("/100%25", "/100%25/"),
        ("/a%2Fb", "/a%2Fb/"),
        ("/a+b&c=d;e,f:g@h!i$j'k(l)*m~n", "/a+b&c=d;e,f:g@h!i$j'k(l)*m~n/"),
        ("/%22%3Cb%3E", "/%22%3Cb%3E/"),
    ],
)
def test_a_slash_is_added_to_the_address_that_was_asked_for(
    serve: Callable[..., Any], path: str, location: str
) -> None:
    """A '?', '#' or '%' in a name stays in the name, other scripts stay percent-encoded."""
    assert serve(Anything())(path).headers["Location"] == f"http://localhost{location}"


def test_a_redirect_to_another_script_is_a_uri(serve: Callable[..., Any]) -> None:
    """Not an RFC 2047 word, which no browser reads there."""
    answer = serve(Root())("/leave?to=/%E2%82%AC%20x?q=%C3%BC")

    assert answer.headers["Location"] == "http://localhost/%E2%82%AC%20x?q=%C3%BC"


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example/x", "///evil.example"])
@pytest.mark.parametrize("relative_urls", [False, True, "server"])
def test_a_slash_never_leads_to_another_site(serve: Callable[..., Any], path: str, relative_urls: Any) -> None:
    """SECURITY: two slashes, or a backslash, at the beginning of a Location name another site."""
    browser = serve(Anything())
    browser.app.relative_urls = relative_urls
    location = browser(path).headers.get("Location", "")

    assert not location.startswith(("//", "/\\"))
    assert location == "" or location.startswith(("http://localhost/", "/"))


@pytest.mark.parametrize(("status", "sent"), [(None, 301), (0, 301), (302, 302), (308, 308), ("307", 307)])
def test_the_status_of_a_slash_is_configurable(serve: Callable[..., Any], status: Any, sent: int) -> None:
    """``tools.trailing_slash.status``."""
    assert serve(Root(), trailing_slash__status=status)("/shelf").status == sent


def test_an_extra_slash_is_taken_away_only_if_asked(serve: Callable[..., Any]) -> None:
    """Off by default; never from the root."""
    assert serve(Root())("/page/").body == b"page"
    assert serve(Root(), trailing_slash__extra=True)("/page/").headers["Location"] == "http://localhost/page"
    assert serve(Shelf(), trailing_slash__extra=True)("/").body == b"shelf"
    assert serve(Root(), trailing_slash__on=False)("/shelf").body == b"shelf"


def test_an_error_can_lead_elsewhere(serve: Callable[..., Any]) -> None:
    """``err_redirect``, seen by the client."""
    answer = serve(Root(), err_redirect__on=True, err_redirect__url="/page", err_redirect__internal=False)("/fail")

    assert (answer.status, answer.headers["Location"]) == (303, "http://localhost/page")


def test_an_error_can_be_another_page_unseen(serve: Callable[..., Any]) -> None:
    """``err_redirect`` on one page, ``internal`` by default."""

    class Page(Root):
        @cherrypy.expose
        @cherrypy.tools.err_redirect(url="/page")
        def fail(self) -> None:
            raise RuntimeError

    assert serve(Page())("/fail").body == b"page"
    assert serve(Page(), err_redirect__debug=True)("/fail").status == 200


def test_an_error_redirect_may_have_a_priority(serve: Callable[..., Any]) -> None:
    """COMPAT: every tool has that key; this one runs alone."""
    browser = serve(
        Root(), err_redirect__on=True, err_redirect__url="/page", err_redirect__internal=False, err_redirect__priority=1
    )

    assert browser("/fail").status == 303
