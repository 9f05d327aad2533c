"""Answers kept in memory, and what clients are told about keeping them."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.http.dates import HTTPDate, parse_date
from cherrypy.lib import caching
from cherrypy.lib.memorycache import AntiStampedeCache


@pytest.fixture(autouse=True)
def fresh_cache() -> Iterator[None]:
    """Each test has a cache of its own."""
    caching._Current.cache = None
    yield
    caching._Current.cache = None


class Root:
    """A page that counts how often it was made."""

    made = 0
    status = 200
    headers: dict[str, str] = {}

    @cherrypy.expose
    def index(self, **params: str) -> str:
        """Count."""
        self.made += 1
        cherrypy.response.status = self.status
        cherrypy.response.headers.update(self.headers)
        if self.status == 500:
            raise RuntimeError
        return f"{self.made}"


@pytest.fixture
def root() -> Root:
    """The page."""
    return Root()


@pytest.fixture
def browser(serve: Callable[..., Any], root: Root) -> Any:
    """A site that is cached."""
    return serve(root, caching__on=True)


def test_an_answer_is_kept_with_its_headers(browser: Any, root: Root) -> None:
    """And its age is told."""
    root.headers = {"X-A": "b"}
    first, second = browser("/"), browser("/")

    assert first.body == second.body == b"1"
    assert second.headers["X-A"] == "b"
    assert second.headers["Age"] == "0"
    assert "Age" not in first.headers
    assert cherrypy._cache.tot_hist == 1


def test_each_url_has_its_answer(browser: Any) -> None:
    """The query belongs to it."""
    assert [browser(path).body for path in ("/", "/?a=1", "/", "/?a=1")] == [b"1", b"2", b"1", b"2"]


def test_variants_are_told_apart_by_vary(browser: Any, root: Root) -> None:
    """Also when two headers have each other's values."""
    root.headers = {"Vary": "X-A, X-B"}
    one, two = {"X-A": "1", "X-B": "2"}, {"X-A": "2", "X-B": "1"}

    assert browser("/", headers=one).body == b"1"
    assert browser("/", headers=two).body == b"2"
    assert browser("/", headers=one).body == b"1"
    assert browser("/", headers=two).body == b"2"


def test_vary_on_everything_is_never_kept(browser: Any, root: Root) -> None:
    """``Vary: *``."""
    root.headers = {"Vary": "*"}

    assert [browser("/").body for _ in range(2)] == [b"1", b"2"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_drops_what_was_kept(browser: Any, method: str) -> None:
    """The next reader gets a new answer."""
    browser("/")
    browser("/", method, body=b"")

    assert browser("/").body == b"3"


@pytest.mark.parametrize(
    "headers",
    [{"Pragma": "no-cache"}, {"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0"}],
)
def test_a_client_may_insist_on_a_new_answer(browser: Any, headers: dict[str, str]) -> None:
    """Which is then the one that is kept."""
    browser("/")
    cherrypy._cache.store["http://localhost/"][()] = ("200 OK", {}, b"old", time.time() - 10)

    assert browser("/", headers=headers).body == b"2"


def test_no_store_keeps_an_answer_out(browser: Any) -> None:
    """The client's wish."""
    browser("/", headers={"Cache-Control": "no-store"})

    assert browser("/").body == b"2"


@pytest.mark.parametrize("value", ["max-age", "max-age=", "max-age=x", "max-age=-1", "max-age=\xb2"])
def test_a_malformed_age_is_a_bad_request(browser: Any, value: str) -> None:
    """Never an internal error."""
    browser("/")

    assert browser("/", headers={"Cache-Control": value}).status == 400


@pytest.mark.parametrize("value", ["private", "no-store, max-age=1", "no-cache"])
def test_what_the_page_calls_private_is_not_kept(browser: Any, root: Root, value: str) -> None:
    """SECURITY: one client's page must not be shown to another."""
    root.headers = {"Cache-Control": value}

    assert [browser("/").body for _ in range(2)] == [b"1", b"2"]


@pytest.mark.parametrize("status", [500, 403, 206, 401, 503])
def test_errors_and_slices_are_not_kept(browser: Any, root: Root, status: int) -> None:
    """They would outlive their cause."""
    root.status = status
    browser("/")
    root.status = 200

    assert browser("/").body == b"2"
    assert root.made == 2


def test_a_kept_answer_is_compared_with_the_client_s_copy(browser: Any, root: Root) -> None:
    """304, and counted."""
    root.headers = {"Last-Modified": HTTPDate(10)}
    browser("/")

    assert browser("/", headers={"If-Modified-Since": HTTPDate(20)}).status == 304
    assert cherrypy._cache.tot_non_modified == 1


def test_settings_reach_the_cache(serve: Callable[..., Any], root: Root) -> None:
    """``tools.caching.delay`` and the like; too large answers are not kept."""
    browser = serve(root, caching__on=True, caching__maxobj_size=1, caching__delay=5)

    assert [browser("/").body for _ in range(2)] == [b"1", b"2"]
    assert cherrypy._cache.delay == 5
    assert cherrypy._cache.tot_puts == 0
    assert cherrypy._cache.store == {}


def test_the_number_of_urls_is_bounded(serve: Callable[..., Any], root: Root) -> None:
    """SECURITY: a client that makes up queries must not fill the memory."""
    browser = serve(root, caching__on=True, caching__maxobjects=3)
    for number in range(10):
        browser(f"/?n={number}")

    assert len(cherrypy._cache.store) == 3


def test_expired_answers_go(browser: Any) -> None:
    """With their size."""
    browser("/")
    cache = cherrypy._cache
    assert cache.cursize == 1
    cache.expire_now(time.time() + 601)

    assert (cache.cursize, cache.store, cache.expirations) == (0, {}, {})
    assert browser("/").body == b"2"


def test_clear_forgets_everything(browser: Any) -> None:
    """Counts too."""
    browser("/")
    cherrypy._cache.clear()

    assert (cherrypy._cache.tot_puts, cherrypy._cache.store) == (0, {})
    assert browser("/").body == b"2"


def test_one_thread_makes_an_answer_for_all() -> None:
    """The others wait for it."""
    cache = AntiStampedeCache()
    assert cache.wait("a") is None
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(cache.wait("a", 10))) for _ in range(3)]
    for thread in threads:
        thread.start()
    cache["a"] = "made"
    for thread in threads:
        thread.join(10)

    assert results == ["made"] * 3


def test_nobody_waits_for_a_page_that_failed(browser: Any, root: Root) -> None:
    """They used to wait five seconds, each."""
    root.status = 500
    began = time.monotonic()
    for _ in range(3):
        browser("/")

    assert time.monotonic() - began < 2
    assert cherrypy._cache.store == {}


def test_waiting_ends_with_its_time_and_can_be_off() -> None:
    """Then the waiter makes the answer."""
    cache = AntiStampedeCache()
    cache.wait("a")

    assert cache.wait("a", 0.01, debug=True) is None
    assert cache.wait("a", None) is None


def make_expiring(serve: Callable[..., Any], root: Root, **settings: Any) -> dict[str, str]:
    """The headers of a page with the expires tool."""
    tools = {f"expires__{name}": value for name, value in settings.items()}
    return dict(serve(root, expires__on=True, **tools)("/").headers)


def test_expires_says_how_long_a_page_may_be_kept(serve: Callable[..., Any], root: Root) -> None:
    """Seconds or a timedelta, if the page can be kept at all."""
    root.headers = {"ETag": '"a"'}
    for secs in (3600, datetime.timedelta(hours=1)):
        headers = make_expiring(serve, root, secs=secs)
        assert abs((parse_date(headers["Expires"]) or 0) - time.time() - 3600) < 5
    root.headers = {}
    assert "Expires" not in make_expiring(serve, root, secs=1)
    assert "Expires" in make_expiring(serve, root, secs=1, force=True)


def test_expires_at_once_forbids_keeping(serve: Callable[..., Any], root: Root) -> None:
    """In the words of both protocols; what the page said itself stays unless forced."""
    root.headers = {"ETag": '"a"', "Cache-Control": "private"}
    headers = make_expiring(serve, root)

    assert headers["Pragma"] == "no-cache"
    assert headers["Cache-Control"] == "private"
    assert headers["Expires"] == "Sun, 28 Jan 2007 00:00:00 GMT"
    assert make_expiring(serve, root, force=True)["Cache-Control"] == "no-cache, must-revalidate"
