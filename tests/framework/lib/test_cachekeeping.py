"""What the memory cache keeps, for how long, and under which keys; which methods it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import caching
from cherrypy.lib.memorycache import Cache, MemoryCache

URI = "http://localhost/"


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a cache of its own."""
    monkeypatch.setattr(caching._Current, "cache", None)


class Counting:
    """A page that counts how often it was made."""

    made = 0
    headers: dict[str, str] = {}
    before_end: Callable[[], Any] | None = None

    @cherrypy.expose
    def index(self, **params: str) -> str:
        """Count."""
        self.made += 1
        cherrypy.response.headers.update(self.headers)
        if self.before_end is not None:
            self.before_end()
        return f"{self.made}"


@pytest.fixture
def page() -> Counting:
    """The page."""
    return Counting()


@pytest.fixture
def browser(serve: Callable[..., Any], page: Counting) -> Any:
    """A site that is cached."""
    return serve(page, caching__on=True)


def test_the_defaults_of_the_cache() -> None:
    """As documented; the timeouts in seconds, the sizes in bytes."""
    cache = MemoryCache()

    assert (cache.maxobjects, cache.maxobj_size, cache.maxsize) == (1000, 100_000, 10_000_000)
    assert (cache.delay, cache.antistampede_timeout, cache.expire_freq) == (600, 5, 0.1)
    assert (cache.store, cache.expirations, cache.cursize) == ({}, {}, 0)
    assert [cache.tot_puts, cache.tot_gets, cache.tot_hist, cache.tot_expires, cache.tot_non_modified] == [0] * 5
    assert cache.expiration_thread.daemon


@pytest.mark.parametrize("method", ["get", "delete", "clear", "purge"])
def test_a_cache_of_one_s_own_has_to_say_how(method: str) -> None:
    """The base class does nothing."""
    with pytest.raises(NotImplementedError):
        getattr(Cache(), method)()


class Shelf(Cache):
    """A cache in a dict, as an application may write it."""

    kept: dict[str, Any] = {}
    prefix = ""

    def get(self) -> Any:
        """Look up."""
        return self.kept.get(self.prefix + cherrypy.url())

    def put(self, obj: Any, size: int) -> None:
        """Keep."""
        self.kept[self.prefix + cherrypy.url()] = obj

    def delete(self) -> None:
        """Forget."""
        self.kept.pop(self.prefix + cherrypy.url(), None)


def test_a_cache_of_one_s_own_is_used(
    serve: Callable[..., Any], page: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings as its attributes, and the ends of all answers told to it."""
    monkeypatch.setattr(Shelf, "delay", 600, raising=False)
    monkeypatch.setattr(Shelf, "kept", {})
    browser = serve(page, caching__on=True, caching__cache_class=Shelf, caching__prefix="p:")
    first = [browser("/").body for _ in range(2)]
    page.headers = {"Cache-Control": "private"}
    browser("/", "POST", body=b"")

    assert first == [b"1", b"1"]
    assert [browser("/").body for _ in range(2)] == [b"3", b"4"]
    assert cherrypy._cache.prefix == "p:"


@pytest.mark.parametrize("method", ["PATCH", "PROPPATCH"])
def test_an_unknown_method_is_never_answered_from_the_cache(browser: Any, method: str) -> None:
    """It may change the page: the handler has to run, and what was kept is void."""
    browser("/")

    assert browser("/", method, body=b"").body == b"2"
    assert browser("/").body == b"3"


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_a_safe_method_leaves_what_is_kept(browser: Any, method: str) -> None:
    """It asks for something else."""
    browser("/")

    assert browser("/", method).body == b"2"
    assert browser("/").body == b"1"


def test_head_is_answered_from_what_get_has_kept(browser: Any) -> None:
    """And the other way round: the page is made whole for both."""
    head = browser("/", "HEAD")

    assert (head.body, head.headers["Content-Length"]) == (b"", "1")
    assert browser("/").body == b"1"
    assert browser("/", "HEAD").headers["Age"] == "0"


def test_the_methods_that_invalidate_are_configurable(serve: Callable[..., Any], page: Counting) -> None:
    """COMPAT: answers to a POST that only asks may be kept."""
    browser = serve(page, caching__on=True, caching__invalid_methods=("PUT",))
    browser("/", "POST", body=b"")

    assert browser("/").body == b"1"
    browser("/", "PUT", body=b"")
    assert browser("/").body == b"3"


def test_a_change_also_drops_what_was_kept_while_it_was_made(browser: Any, page: Counting) -> None:
    """Somebody reads the page in the middle of a POST."""

    def read() -> None:
        page.before_end = None
        request, response = cherrypy.serving.request, cherrypy.serving.response
        browser("/")
        cherrypy.serving.load(request, response)

    page.before_end = read
    browser("/", "POST", body=b"")

    assert browser("/").body == b"3"


def test_an_answer_that_varies_by_more_is_not_found_under_old_keys(browser: Any, page: Counting) -> None:
    """SECURITY: a page in German, or of one user, would be shown to all."""
    browser("/", headers={"X-A": "a"})
    page.headers = {"Vary": "X-A"}
    fresh = {"Cache-Control": "no-cache"}
    browser("/", headers={"X-A": "a", **fresh})

    assert browser("/", headers={"X-A": "b"}).body == b"3"
    assert browser("/", headers={"X-A": "a"}).body == b"2"


def test_making_an_answer_anew_does_not_fill_the_cache(browser: Any) -> None:
    """SECURITY: reloads counted each time until nothing more could be kept."""
    for _ in range(5):
        browser("/", headers={"Cache-Control": "no-cache", "Pragma": "no-cache"})
    cache = cherrypy._cache

    assert cache.cursize == 1
    assert sum(map(len, cache.expirations.values())) == 1


def test_a_dropped_answer_gives_its_room_back(browser: Any) -> None:
    """At once, not when it would have expired."""
    browser("/")
    browser("/", "DELETE")
    cache = cherrypy._cache

    assert (cache.cursize, cache.expirations, cache.store) == (0, {}, {})


def test_a_newer_answer_does_not_expire_with_the_older(browser: Any) -> None:
    """It has a time of its own."""
    browser("/")
    cache = cherrypy._cache
    (moment,) = cache.expirations
    cache.expirations[moment - 100] = cache.expirations.pop(moment)
    cache._kept[URI, ()] = (moment - 100, 1)
    browser("/", headers={"Cache-Control": "no-cache"})
    cache.expire_now(moment - 50)

    assert browser("/").body == b"2"
    assert cache.tot_expires == 0


def test_only_so_many_pages_are_remembered_as_private(serve: Callable[..., Any], page: Counting) -> None:
    """SECURITY: a client that makes up queries must not fill the memory."""
    page.headers = {"Cache-Control": "private"}
    browser = serve(page, caching__on=True, caching__maxobjects=3)
    for number in range(6):
        browser(f"/?n={number}")
    cache = cherrypy._cache

    assert len(cache._declined) == 3
    cache._declined = dict.fromkeys(cache._declined, time.time() - 1)
    browser("/?n=7")
    assert list(cache._declined) == ["http://localhost/?n=7"]


@pytest.mark.parametrize("relative_urls", [True, "server"])
def test_relative_urls_do_not_mix_hosts_or_pages(browser: Any, relative_urls: Any) -> None:
    """SECURITY: the key was the URL as the application writes it, '' for every index."""
    browser.app.relative_urls = relative_urls
    bodies = [browser(path, headers={"Host": host}).body for host in ("a", "b") for path in ("/", "/?a=1")]

    assert bodies == [b"1", b"2", b"3", b"4"]
    assert browser("/", headers={"Host": "a"}).body == b"1"


def test_tests_may_empty_one_url(browser: Any) -> None:
    """COMPAT: ``cherrypy._cache.store[url].clear()``, as upstream's tests do."""
    browser("/")
    cherrypy._cache.store[URI].clear()

    assert browser("/").body == b"2"
    assert cherrypy._cache.cursize == 1


class File:
    """A page of known length, in pieces."""

    read: list[bytes] = []
    closed = 0
    length: str | None = "6"

    @cherrypy.expose
    def index(self, **params: str) -> Any:
        """Three pieces."""
        if self.length is not None:
            cherrypy.response.headers["Content-Length"] = self.length
        cherrypy.response.headers["Content-Type"] = "image/png"
        return self.pieces()

    def pieces(self) -> Any:
        """The body."""
        try:
            for piece in (b"ab", b"cd", b"ef"):
                self.read.append(piece)
                yield piece
        finally:
            type(self).closed += 1


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> File:
    """The page."""
    monkeypatch.setattr(File, "read", [])
    monkeypatch.setattr(File, "closed", 0)
    return File()


def test_an_answer_is_kept_with_its_last_octet(site: Any, file: File) -> None:
    """A server that knows the length does not ask for more, and may read wherever it likes."""
    site.mount(file, config={"/": {"tools.caching.on": True}})
    message = site.message("/", "GET", {}, b"", (1, 1))
    _, _, pieces, close = site.respond(message)
    body = b"".join(next(pieces) for _ in range(3))
    close()

    assert body == site("/").body == b"abcdef"
    assert len(file.read) == 3


def test_a_body_that_is_read_under_another_request_is_kept_under_its_own(site: Any, file: File) -> None:
    """SECURITY: its thread may serve somebody else by then."""
    site.mount(file, config={"/": {"tools.caching.on": True, "response.stream": True}})
    _, _, pieces, close = site.respond(site.message("/?a=1", "GET", {}, b"", (1, 1)))
    mine = dict(cherrypy.serving.__dict__)
    cherrypy.serving.clear()
    other = object()
    cherrypy.serving.load(other, None)
    body = b"".join(pieces)
    untouched = cherrypy.serving.request is other
    cherrypy.serving.__dict__.update(mine)
    close()

    assert body == b"abcdef"
    assert untouched
    assert [uri for uri in cherrypy._cache.store if cherrypy._cache.store[uri]] == ["http://site.test/?a=1"]


@pytest.mark.parametrize("length", ["6", None])
def test_what_is_too_large_is_not_collected(site: Any, file: File, length: str | None) -> None:
    """A film would be held in memory only to be thrown away."""
    file.length = length
    config = {"tools.caching.on": True, "tools.caching.maxobj_size": 3, "response.stream": True}
    site.mount(file, config={"/": config})

    assert site("/").body == b"abcdef"
    assert cherrypy._cache.tot_puts == 0
    assert cherrypy._cache.cursize == 0
    assert list(cherrypy._cache._declined) == ["http://site.test/"]


def test_a_body_that_is_kept_is_closed(site: Any, file: File) -> None:
    """Read to its end, or left by the client."""
    file.length = None
    site.mount(file, config={"/": {"tools.caching.on": True, "response.stream": True}})
    _, _, pieces, close = site.respond(site.message("/", "GET", {}, b"", (1, 1)))
    next(pieces)
    pieces.close()
    close()
    left = file.closed
    site("/")

    assert (left, file.closed) == (1, 2)


def test_a_file_too_large_to_keep_is_still_the_server_s_to_send(site: Any, tmp_path: Any) -> None:
    """By ``sendfile``: the body is not wrapped."""
    (tmp_path / "film").write_bytes(b"x" * 100_000)  # smaller ones are read at once
    config = {
        "tools.staticfile.on": True,
        "tools.staticfile.filename": str(tmp_path / "film"),
        "tools.caching.on": True,
    }
    site.mount(object(), config={"/": {**config, "tools.caching.maxobj_size": 500}})
    _, _, body, close = site.respond(site.message("/", "GET", {}, b"", (1, 1)))
    close()

    assert type(body).__name__ == "FileSlice"
