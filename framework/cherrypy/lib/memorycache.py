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


class _Making(threading.Event):
    """Stands for an answer that some thread is making."""

    result: Variant | None = None


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
        if not isinstance(value, threading.Event):
            return value
        if timeout is None:
            return None
        if debug:
            log(f"Waiting up to {timeout} seconds", "TOOLS.CACHING")
        value.wait(timeout)
        result = getattr(value, "result", None)
        if result is None:
            # it failed, or takes too long: this thread is the next to try
            with self._lock:
                if self.get(key) is value:
                    dict.__setitem__(self, key, _Making())
        return result

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
        store: {URL: AntiStampedeCache}.
        expirations: {moment: [(size, URL, key of the variant)]}.
        cursize, tot_puts, tot_gets, tot_hist, tot_expires, tot_non_modified: counts; tot_hist counts hits.
        expiration_thread: a daemon.
    """

    maxobjects = 1000
    maxobj_size = 100000
    maxsize = 10000000
    delay: float = 600
    antistampede_timeout: float | None = 5
    expire_freq: float = 0.1
    debug = False

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.clear()
        self.expiration_thread = threading.Thread(target=self.expire_cache, name="expire_cache", daemon=True)
        self.expiration_thread.start()

    def clear(self) -> None:
        """Forget everything, the counts too."""
        with self._lock:
            old = getattr(self, "store", {})
            self.store: dict[str, AntiStampedeCache] = {}
            self.expirations: dict[float, list[tuple[int, str, Any]]] = {}
            self.tot_puts = self.tot_gets = self.tot_hist = self.tot_expires = self.tot_non_modified = 0
            self.cursize = 0
        for variants in old.values():
            variants.release()

    def expire_cache(self) -> None:
        """Drop what has expired, again and again: the work of ``expiration_thread``."""
        while True:
            self.expire_now(time.time())
            time.sleep(self.expire_freq)

    def expire_now(self, now: float) -> None:
        """Drop what has expired at *now*."""
        # an iteration over a copy: requests put answers meanwhile
        for moment in [one for one in list(self.expirations) if one <= now]:
            with self._lock:
                for size, uri, key in self.expirations.pop(moment, ()):
                    self.cursize -= size
                    self.tot_expires += 1
                    variants = self.store.get(uri)
                    if variants is not None and not isinstance(variants.get(key), threading.Event):
                        variants.pop(key, None)
                        if not variants:
                            self.store.pop(uri, None)

    def get(self) -> Variant | None:
        """The answer to the current request; None makes the caller the one who makes it."""
        request = serving.request
        self.tot_gets += 1
        uri = url(qs=request.query_string)
        with self._lock:
            variants = self.store.get(uri)
            if variants is None:
                if len(self.store) >= self.maxobjects:
                    return None
                variants = self.store[uri] = AntiStampedeCache()
        key = self._key(variants)
        variant = variants.wait(key, self.antistampede_timeout, self.debug)
        if variant is not None:
            self.tot_hist += 1
            return variant
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
        uri = url(qs=request.query_string)
        selecting = [element.value for element in response.headers.elements("Vary")]
        with self._lock:
            variants = self.store.get(uri)
            has_room = size < self.maxobj_size and self.cursize + size < self.maxsize and "*" not in selecting
            if not has_room or (variants is None and len(self.store) >= self.maxobjects):
                if variants is not None:
                    variants.release(self._key(variants))
                return
            if variants is None:
                variants = self.store[uri] = AntiStampedeCache()
            if variants.selecting_headers is None:
                variants.selecting_headers = selecting
                if selecting:
                    # whoever waited did not know that there are variants
                    variants.release()
            key = self._key(variants)
            self.expirations.setdefault(response.time + self.delay, []).append((size, uri, key))
            variants[key] = variant
            self.tot_puts += 1
            self.cursize += size

    def delete(self) -> None:
        """Forget the answers to the current request's URL."""
        uri = url(qs=serving.request.query_string)
        with self._lock:
            variants = self.store.pop(uri, None)
        if variants is not None:
            variants.release()
