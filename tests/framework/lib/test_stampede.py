"""Many requests for one page that is being made: one thread makes it, the others wait, and nobody for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import caching, memorycache
from cherrypy.lib.memorycache import AntiStampedeCache, _Making

LIMIT_S = 20


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a cache of its own."""
    monkeypatch.setattr(caching._Current, "cache", None)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released each time a thread begins to wait for another one's answer."""
    semaphore = threading.Semaphore(0)
    wait = _Making.wait

    def count(self: Any, timeout: float | None = None) -> bool:
        semaphore.release()
        return wait(self, timeout)

    monkeypatch.setattr(_Making, "wait", count)
    return semaphore


class Slow:
    """A page that takes until it is let go."""

    headers: dict[str, str] = {}

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.made = 0
        self._lock = threading.Lock()

    @cherrypy.expose
    def index(self, **params: str) -> str:
        """Wait, then say which of the makings this is."""
        with self._lock:
            self.made += 1
            number = self.made
        self.begun.release()
        assert self.may_end.wait(LIMIT_S)
        cherrypy.response.headers.update(self.headers)
        return f"{number}"


class Crowd:
    """Threads that ask, and what they were answered."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.answers: list[bytes] = []
        self.threads: list[threading.Thread] = []

    def ask(self, count: int, **options: Any) -> None:
        """Let *count* more threads ask."""
        for _ in range(count):
            thread = threading.Thread(target=self._ask, kwargs=options)
            self.threads.append(thread)
            thread.start()

    def _ask(self, **options: Any) -> None:
        self.answers.append(self.browser("/", **options).body)

    def join(self) -> list[bytes]:
        """The answers, once all have come."""
        for thread in self.threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        return sorted(self.answers)


@pytest.fixture
def slow() -> Iterator[Slow]:
    """The page; whatever a test does, nobody stays in it."""
    page = Slow()
    yield page
    page.may_end.set()


def take(semaphore: threading.Semaphore, count: int) -> None:
    """Wait until *semaphore* was released *count* times."""
    for _ in range(count):
        assert semaphore.acquire(timeout=LIMIT_S)


def test_a_page_that_many_ask_for_is_made_once(
    serve: Callable[..., Any], slow: Slow, waiting: threading.Semaphore
) -> None:
    """Thirty requests, one making, one answer for all."""
    crowd = Crowd(serve(slow, caching__on=True))
    crowd.ask(30)
    take(slow.begun, 1)
    take(waiting, 29)
    slow.may_end.set()

    assert crowd.join() == [b"1"] * 30
    assert slow.made == 1
    assert cherrypy._cache.tot_hist == 29


def test_first_requests_at_once_share_one_cache(serve: Callable[..., Any], slow: Slow) -> None:
    """Of two caches, one waits for answers that are put into the other."""
    gate, made = threading.Barrier(2), []

    class Meeting(memorycache.MemoryCache):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)
            try:
                gate.wait(0.2)
            except threading.BrokenBarrierError:
                # nobody else makes a cache meanwhile, as it should be
                return

    slow.may_end.set()
    crowd = Crowd(serve(slow, caching__on=True, caching__cache_class=Meeting))
    crowd.ask(4)

    assert crowd.join() == [b"1"] * 4
    assert made == [cherrypy._cache]


def test_each_variant_is_made_once(serve: Callable[..., Any], slow: Slow, waiting: threading.Semaphore) -> None:
    """Also for those who began to wait before anybody knew that there are variants."""
    slow.headers = {"Vary": "X-A"}
    crowd = Crowd(serve(slow, caching__on=True))
    crowd.ask(1, headers={"X-A": "a"})
    take(slow.begun, 1)
    crowd.ask(8, headers={"X-A": "a"})
    crowd.ask(8, headers={"X-A": "b"})
    take(waiting, 16)
    slow.may_end.set()
    answers = crowd.join()

    assert slow.made == 2
    assert answers == [b"1"] * 9 + [b"2"] * 8
    assert sorted(cherrypy._cache.store["http://localhost/"]) == [("a",), ("b",)]


def test_a_page_that_cannot_be_kept_is_not_waited_for(serve: Callable[..., Any], slow: Slow) -> None:
    """Its requests would run one after the other; all of these are inside at once."""
    slow.headers = {"Cache-Control": "private"}
    slow.may_end.set()
    browser = serve(slow, caching__on=True)
    browser("/")
    slow.may_end.clear()
    take(slow.begun, 1)
    crowd = Crowd(browser)
    crowd.ask(8)
    take(slow.begun, 8)
    slow.may_end.set()

    assert len(set(crowd.join())) == 8


def test_a_page_that_can_be_kept_again_is_waited_for_again(serve: Callable[..., Any], slow: Slow) -> None:
    """The memory of one private answer ends with the first public one."""
    slow.headers = {"Cache-Control": "private"}
    slow.may_end.set()
    browser = serve(slow, caching__on=True)
    browser("/")
    slow.headers = {}
    browser("/")

    assert browser("/").body == b"2"
    assert cherrypy._cache._declined == {}


def test_a_client_that_goes_away_lets_the_others_go_on(
    serve: Callable[..., Any], slow: Slow, waiting: threading.Semaphore
) -> None:
    """Its answer is never complete."""
    crowd = Crowd(serve(slow, caching__on=True))
    crowd.ask(1, read=False)
    take(slow.begun, 1)
    crowd.ask(5)
    take(waiting, 5)
    slow.may_end.set()
    answers = crowd.join()

    assert answers[0] == b""
    assert all(answers[1:])
    assert not any(isinstance(one, _Making) for one in cherrypy._cache.store.get("http://localhost/", {}).values())


def test_a_slow_page_is_taken_over_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by all that have waited long enough; the answer of either is for all."""
    clock = [0.0]
    monkeypatch.setattr(memorycache.time, "monotonic", lambda: clock[0])
    cache = AntiStampedeCache()
    cache.wait("a")
    making = cache["a"]
    timeouts: list[float] = []

    def wait(timeout: float) -> bool:
        timeouts.append(timeout)
        clock[0] += timeout
        return False

    making.wait = wait

    assert cache.wait("a", 5) is None
    assert (clock[0], making.since) == (5, 5)
    assert cache.wait("a", 5) is None
    assert timeouts == [5, 5]


def test_nobody_waits_longer_than_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often others take over."""
    clock = [0.0]
    monkeypatch.setattr(memorycache.time, "monotonic", lambda: clock[0])
    cache = AntiStampedeCache()
    cache.wait("a")
    making = cache["a"]

    def wait(timeout: float) -> bool:
        clock[0] += timeout
        # somebody else was a little faster
        making.since = clock[0]
        return False

    making.wait = wait

    assert cache.wait("a", 5) is None
    assert clock[0] == 10


def test_an_answer_of_the_page_as_it_was_is_not_kept(serve: Callable[..., Any], slow: Slow) -> None:
    """A POST came while it was being made: everybody after it must see the change."""
    browser = serve(slow, caching__on=True)
    crowd = Crowd(browser)
    crowd.ask(1)
    take(slow.begun, 1)
    changing = Crowd(browser)
    changing.ask(1, method="POST", body=b"")
    take(slow.begun, 1)
    slow.may_end.set()
    crowd.join()
    changing.join()

    assert browser("/").body == b"3"


def test_the_expiry_thread_sleeps_while_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle site does not wake up ten times a second."""
    monkeypatch.setattr(memorycache.MemoryCache, "expire_freq", 0.001)
    cache = memorycache.MemoryCache()
    searched = threading.Event()
    monkeypatch.setattr(cache, "expire_now", lambda now: searched.set())

    assert not searched.wait(0.05)
    cache._not_empty.set()
    assert searched.wait(LIMIT_S)


def test_the_time_of_waiting_is_the_configured_one(serve: Callable[..., Any], slow: Slow) -> None:
    """``tools.caching.antistampede_timeout``; None does not wait at all."""
    crowd = Crowd(serve(slow, caching__on=True, caching__antistampede_timeout=None))
    crowd.ask(4)
    take(slow.begun, 4)
    slow.may_end.set()

    assert len(set(crowd.join())) == 4
