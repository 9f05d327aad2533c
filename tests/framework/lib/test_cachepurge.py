"""Cached answers that somebody else has forgotten: by URL, by its beginning, or all; and caches of applications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import caching
from cherrypy.lib.memorycache import Cache, is_meant


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has caches of its own."""
    monkeypatch.setattr(caching._Current, "cache", None)
    monkeypatch.setattr(caching, "_others", {})


class Pages:
    """Pages that count how often they were made."""

    made = 0
    during: Callable[[], Any] | None = None

    @cherrypy.expose
    def default(self, *path: str, **params: str) -> str:
        """Count."""
        self.made += 1
        if self.during is not None:
            self.during()
        cherrypy.response.headers["Vary"] = "Accept-Language"
        return str(self.made)


@pytest.mark.parametrize(
    ("what", "pages"),
    [
        ("", ["http://h/a", "http://h/a?x=1", "http://h/ab", "https://o/a"]),
        ("*", ["http://h/a", "http://h/a?x=1", "http://h/ab", "https://o/a"]),
        ("/a", ["http://h/a", "http://h/a?x=1", "https://o/a"]),
        ("/a?x=1", ["http://h/a?x=1"]),
        ("/a*", ["http://h/a", "http://h/a?x=1", "http://h/ab", "https://o/a"]),
        ("/a?*", ["http://h/a?x=1"]),
        ("http://h/a", ["http://h/a", "http://h/a?x=1"]),
        ("https://*", ["https://o/a"]),
        ("a", []),
        ("/", []),
    ],
)
def test_which_pages_are_meant(what: str, pages: list[str]) -> None:
    """A path on every host, a URL, what begins so."""
    known = ["http://h/a", "http://h/a?x=1", "http://h/ab", "https://o/a"]

    assert [uri for uri in known if is_meant(uri, what)] == pages


def test_pages_are_made_anew(serve: Callable[..., Any]) -> None:
    """Those that are meant, in all their variants; the others go on coming from the cache, and the books are right."""
    browser = serve(Pages(), caching__on=True)
    for language in ("de", "en"):
        browser("/shop/cart", headers={"Accept-Language": language})
    browser("/shop/cart?id=5")
    browser("/news")
    counts = caching.purge("/shop/*")
    bodies = [browser(path).body for path in ("/news", "/shop/cart?id=5")]

    assert counts == {"tools.caching": 3}
    assert bodies == [b"4", b"5"]
    assert caching.purge() == {"tools.caching": 2}
    assert caching._Current.cache.cursize == 0
    assert caching.purge() == {"tools.caching": 0}


def test_an_answer_that_is_being_made_is_of_before(serve: Callable[..., Any]) -> None:
    """It goes to its visitor, and is not kept."""
    pages = Pages()
    browser = serve(pages, caching__on=True)
    pages.during = lambda: caching.purge("/news")
    first = browser("/news").body
    pages.during = None

    assert (first, browser("/news").body, browser("/news").body) == (b"1", b"2", b"2")


def test_caches_of_applications_are_purged_too() -> None:
    """Each by its name, with what is to be forgotten."""
    told: list[str] = []
    caching.register("prices", lambda what: told.append(what) or 7)

    assert caching.purge("/prices/*") == {"tools.caching": 0, "prices": 7}
    assert told == ["/prices/*"]


class Shelf(Cache):
    """What an application may have written before there were purges."""

    store = {"a": 1, "b": 2}

    def clear(self) -> None:
        """Forget everything."""
        self.store = {}


def test_a_cache_class_of_others_forgets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that it cannot do less."""
    monkeypatch.setattr(caching._Current, "cache", Shelf())
    with pytest.raises(NotImplementedError, match="Shelf"):
        caching.purge("/a")

    assert caching.purge() == {"tools.caching": 2}
    assert caching._Current.cache.store == {}
