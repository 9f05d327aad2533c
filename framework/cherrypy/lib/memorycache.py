"""Answers kept in this process's memory, by URL and by the request headers they vary with."""

from __future__ import annotations

import threading
import time
from typing import Any

from cherrypy.context import serving
from cherrypy.core.logs import log
from cherrypy.core.urls import url

Variant = Any


class Cache:
    """What the caching tool asks of a cache; the current request says which answer is meant."""

    def get(self) -> Variant | None:
        """The answer to the current request, None if there is none."""
        raise NotImplementedError

    def put(self, obj: Variant, size: int) -> None:
        """Keep *obj*, of *size* bytes, as the answer to the current request."""
        raise NotImplementedError

    def delete(self) -> None:
        """Forget the answers to the current request's URL."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget everything."""
        raise NotImplementedError

    def purge(self, what: str = "") -> int:
        """Forget the answers to some URLs (see ``is_meant``), or to all; return how many there were."""
        raise NotImplementedError


def is_meant(uri: str, what: str) -> bool:
    """True if a purge of *what* concerns the page *uri*.

    ======================  =====================================================
    what                    which pages
    ======================  =====================================================
    ""                      all
    "/shop/cart"            that path on every host, whatever its query
    "/shop/cart?id=5"       with that query only
    "http://h/shop/cart"    of that host only
    "/shop/*"               what begins so; also with a host
    ======================  =====================================================
    """
    if what.startswith("/"):
        uri = f"/{uri.partition('://')[2].partition('/')[2]}"
    if not what or what.endswith("*"):
        return uri.startswith(what[:-1])
    return what in (uri, uri.partition("?")[0])


def _uri_of(request: Any) -> str:
    """The URL of *request*, with its host: ``relative_urls`` would give all hosts, or all pages, the same."""
    return url(qs=request.query_string, relative=False)


class _Making(threading.Event):
    """Stands for an answer that some thread is making.

    Attributes:
        result: the answer; None if it failed.
        since: when the latest thread began to make it, in seconds of the monotonic clock.
    """

    result: Variant | None = None

    def __init__(self) -> None:
        super().__init__()
        self.since = time.monotonic()


class AntiStampedeCache(dict[Any, Any]):
    """The variants of one URL; while one thread makes a variant the others wait for it.

    Attributes:
        selecting_headers: names of the request headers that tell the variants apart; None until the first is made.
    """

    selecting_headers: list[str] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.Lock()

    def wait(self, key: Any, timeout: float | None = 5, debug: bool = False) -> Variant | None:
        """Return the variant *key*; None makes the caller the one who makes it.

        A variant that is not there after *timeout* is made by one more of those who wait; the others go on waiting
        for either, so that a slow page is not asked for by all of them at once. Nobody waits longer than twice that.

        Args:
            key: of the variant.
            timeout: seconds to wait for another thread that is making it; None: do not wait.
            debug: log the waiting.
        """
        with self._lock:
            value = self.get(key)
            if value is None:
                dict.__setitem__(self, key, _Making())
                return None
        if not isinstance(value, _Making):
            return value
        if timeout is None:
            return None
        if debug:
            log(f"Waiting up to {timeout} seconds", "TOOLS.CACHING")
        return self._wait_for(value, timeout)

    def _wait_for(self, making: _Making, timeout: float) -> Variant | None:
        deadline = time.monotonic() + 2 * timeout
        while True:
            until = min(making.since + timeout, deadline)
            if making.wait(max(until - time.monotonic(), 0)):
                # None: it failed, or was none of the variants that were being waited for
                return making.result
            with self._lock:
                now = time.monotonic()
                if now >= deadline:
                    return None
                if now >= making.since + timeout and not making.is_set():
                    making.since = now
                    return None

    def __setitem__(self, key: Any, value: Variant) -> None:
        """Keep the variant *key*, and give it to those who wait."""
        with self._lock:
            previous = self.get(key)
            dict.__setitem__(self, key, value)
        if isinstance(previous, _Making):
            previous.result = value
            previous.set()

    def release(self, key: Any = None) -> None:
        """Let go those who wait for *key* (None: for any): it was not made."""
        with self._lock:
            keys = list(self) if key is None else [key]
            making = {one: self[one] for one in keys if isinstance(self.get(one), _Making)}
            for one in making:
                del self[one]
        for event in making.values():
            event.set()


class MemoryCache(Cache):
    """Answers in memory.

    Attributes:
        maxobjects: number of URLs.
        maxobj_size: bytes of one answer.
        maxsize: bytes of all answers.
        delay: seconds that an answer is kept.
        antistampede_timeout: seconds to wait for another thread that makes the same answer; None: do not wait.
        expire_freq: seconds between two searches for expired answers.
        declined_s: seconds in which nobody waits for a page whose answer could not be kept.
        store: {URL: AntiStampedeCache}.
        expirations: {moment: [(size, URL, key of the variant)]}.
        cursize, tot_puts, tot_gets, tot_hist, tot_expires, tot_non_modified: counts; tot_hist counts hits.
        expiration_thread: a daemon; sleeps while nothing is kept.
    """

    maxobjects = 1000
    maxobj_size = 100000
    maxsize = 10000000
    delay: float = 600
    antistampede_timeout: float | None = 5
    expire_freq: float = 0.1
    declined_s: float = 10
    debug = False

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._not_empty = threading.Event()
        self.clear()
        self.expiration_thread = threading.Thread(target=self.expire_cache, name="expire_cache", daemon=True)
        self.expiration_thread.start()

    def clear(self) -> None:
        """Forget everything, the counts too."""
        with self._lock:
            old = getattr(self, "store", {})
            self.store: dict[str, AntiStampedeCache] = {}
            self.expirations: dict[float, list[tuple[int, str, Any]]] = {}
            self._kept: dict[tuple[str, Any], tuple[float, int]] = {}
            self._declined: dict[str, float] = {}
            self.tot_puts = self.tot_gets = self.tot_hist = self.tot_expires = self.tot_non_modified = 0
            self.cursize = 0
        for variants in old.values():
            variants.release()

    def expire_cache(self) -> None:
        """Drop what has expired, again and again: the work of ``expiration_thread``."""
        while True:
            self._not_empty.wait()
            self.expire_now(time.time())
            with self._lock:
                if not self.expirations:
                    self._not_empty.clear()
            time.sleep(self.expire_freq)

    def expire_now(self, now: float) -> None:
        """Drop what has expired at *now*."""
        with self._lock:
            for moment in [one for one in self.expirations if one <= now]:
                for _, uri, key in list(self.expirations.get(moment, ())):
                    self.tot_expires += 1
                    self._drop(uri, key)

    def get(self) -> Variant | None:
        """The answer to the current request; None makes the caller the one who makes it."""
        request = serving.request
        self.tot_gets += 1
        uri = _uri_of(request)
        with self._lock:
            variants = self.store.get(uri)
            if variants is None:
                if len(self.store) >= self.maxobjects:
                    return None
                variants = self.store[uri] = AntiStampedeCache()
        # what could not be kept last time is not worth waiting for
        timeout = None if self._declined.get(uri, 0) > time.time() else self.antistampede_timeout
        while True:
            key = self._key(variants)
            variant = variants.wait(key, timeout, self.debug)
            if variant is not None or key == self._key(variants):
                break
            # the first answer came, and said which headers tell the variants apart
            variants.release(key)
        if variant is not None:
            self.tot_hist += 1
            return variant
        request._cache_variants = variants
        # a page that fails puts nothing: nobody must wait for it
        request.hooks.attach("on_end_request", self._let_go, failsafe=True, uri=uri, variants=variants, key=key)
        return None

    def _key(self, variants: AntiStampedeCache) -> tuple[str, ...]:
        headers = serving.request.headers
        return tuple(headers.get(name, "") for name in variants.selecting_headers or ())

    def _let_go(self, uri: str, variants: AntiStampedeCache, key: Any) -> None:
        variants.release(key)
        with self._lock:
            if not variants and self.store.get(uri) is variants:
                del self.store[uri]

    def put(self, variant: Variant, size: int) -> None:
        """Keep *variant* as the answer to the current request, if there is room for *size* bytes more."""
        request, response = serving.request, serving.response
        uri = _uri_of(request)
        selecting = [element.value for element in response.headers.elements("Vary")]
        with self._lock:
            variants = self.store.get(uri)
            begun = getattr(request, "_cache_variants", None)
            if begun is not None and begun is not variants:
                # the page was changed while this answer was being made of the old one
                return
            if "*" in selecting or not self._has_room(uri, variants, size):
                self.decline()
                return
            if variants is None:
                variants = self.store[uri] = AntiStampedeCache()
            self._select_by(uri, variants, selecting)
            key = self._key(variants)
            self._forget(uri, key)
            moment = response.time + self.delay
            self.expirations.setdefault(moment, []).append((size, uri, key))
            self._kept[uri, key] = moment, size
            self._declined.pop(uri, None)
            self.tot_puts += 1
            self.cursize += size
            variants[key] = variant
        self._not_empty.set()

    def _has_room(self, uri: str, variants: AntiStampedeCache | None, size: int) -> bool:
        if variants is None and len(self.store) >= self.maxobjects:
            return False
        return size < self.maxobj_size and self.cursize + size < self.maxsize

    def _select_by(self, uri: str, variants: AntiStampedeCache, names: list[str]) -> None:
        """Tell variants apart by *names* too.

        SECURITY: an answer that varies by more than the earlier ones must not be found under their keys.
        """
        known = variants.selecting_headers
        if known is not None and set(names) <= set(known):
            return
        variants.selecting_headers = [*(known or []), *(name for name in names if name not in (known or []))]
        if known is not None:
            for key in [one for one in variants if not isinstance(variants[one], _Making)]:
                self._drop(uri, key)
            self.store[uri] = variants
        if names:
            # whoever waited did not know of these variants
            variants.release()

    def _forget(self, uri: str, key: Any) -> None:
        """Take a variant out of the books."""
        moment, size = self._kept.pop((uri, key), (0, 0))
        bucket = self.expirations.get(moment)
        if bucket is not None:
            bucket.remove((size, uri, key))
            if not bucket:
                del self.expirations[moment]
        self.cursize -= size

    def _drop(self, uri: str, key: Any) -> None:
        self._forget(uri, key)
        variants = self.store.get(uri)
        if variants is not None and not isinstance(variants.get(key), _Making):
            variants.pop(key, None)
            if not variants:
                self.store.pop(uri, None)

    def decline(self) -> None:
        """Note that the answer to the current request cannot be kept: for a while nobody waits for it.

        Otherwise the requests for such a page would run one after the other.
        """
        uri = _uri_of(serving.request)
        now = time.time()
        with self._lock:
            variants = self.store.get(uri)
            if variants is not None:
                key = self._key(variants)
                self._drop(uri, key)
                variants.release(key)
            if len(self._declined) >= self.maxobjects:
                self._declined = {one: until for one, until in self._declined.items() if until > now}
            if len(self._declined) < self.maxobjects:
                self._declined[uri] = now + self.declined_s

    def delete(self) -> None:
        """Forget the answers to the current request's URL."""
        self._delete(_uri_of(serving.request))

    def purge(self, what: str = "") -> int:
        """Forget the answers to some URLs (see ``is_meant``), or to all; return how many there were.

        Answers that are being made right now are of before, and are not kept either.
        """
        return sum(self._delete(uri) for uri in list(self.store) if is_meant(uri, what))

    def _delete(self, uri: str) -> int:
        with self._lock:
            variants = self.store.pop(uri, None)
            count = sum((uri, key) in self._kept for key in variants or ())
            for key in list(variants or ()):
                self._forget(uri, key)
        if variants is not None:
            variants.release()
        return count
