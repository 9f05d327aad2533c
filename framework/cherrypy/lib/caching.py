"""The caching and expires tools: answers kept in memory, and what clients are told about keeping them.

Source: RFC 9111.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from cherrypy.context import announce, serving
from cherrypy.core.errors import HTTPError, HTTPRedirect
from cherrypy.core.logs import log
from cherrypy.http.dates import HTTPDate
from cherrypy.http.headers import HeaderMap
from cherrypy.http.status import valid_status
from cherrypy.lib import conditional, is_closable_iterator
from cherrypy.lib.memorycache import AntiStampedeCache, Cache, MemoryCache

__all__ = ["AntiStampedeCache", "Cache", "MemoryCache", "expires", "get", "purge", "register", "tee_output"]

# RFC 9110, 15.1: the statuses that may be kept without being asked to, less 206: slices are not the page.
_KEEPABLE = frozenset((200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501))
# Methods whose answers may be kept, if the configuration lets them; and those that change nothing.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_INDICATORS = ("Etag", "Last-Modified", "Age", "Expires")
_LONG_AGO = HTTPDate(1169942400)


class _Current:
    """The cache in use: ``cherrypy._cache`` once it exists."""

    cache: Any = None
    lock = threading.Lock()


def _cache_for(cache_class: Callable[[], Any], settings: dict[str, Any], debug: bool) -> Any:
    if _Current.cache is None:
        # of two caches made at once, one would wait for answers that are put into the other
        with _Current.lock:
            if _Current.cache is None:
                cache = cache_class()
                for name, value in settings.items():
                    setattr(cache, name, value)
                cache.debug = debug
                announce("_cache", cache)
                _Current.cache = cache
    return _Current.cache


_others: dict[str, Callable[[str], int]] = {}


def register(name: str, purge: Callable[[str], int]) -> None:
    """Have a cache of the application's own purged with the tool's.

    Args:
        name: of the cache.
        purge: called with what to forget, as ``purge`` is; returns how many items it has forgotten.
    """
    _others[name] = purge


def purge(what: str = "") -> dict[str, int]:
    """Forget answers in the caching tool's cache and in all that are registered; return how many by cache.

    Args:
        what: "" for everything, a path or URL, or the beginning of some with "*" at its end (``memorycache.is_meant``).

    Raises:
        NotImplementedError: the tool's ``cache_class`` can only forget everything; the others have done it.
    """
    counts = {name: purge_it(what) for name, purge_it in _others.items()}
    cache = _Current.cache
    if cache is None:
        return {"tools.caching": 0, **counts}
    if getattr(type(cache), "purge", Cache.purge) is not Cache.purge:
        return {"tools.caching": cache.purge(what), **counts}
    if what:
        raise NotImplementedError(f"{type(cache).__qualname__} has no purge(what): purge everything")
    count = len(getattr(cache, "store", ()))
    cache.clear()
    return {"tools.caching": count, **counts}


def get(invalid_methods: Container[str] = ("POST", "PUT", "DELETE"), debug: bool = False, **kwargs: Any) -> bool:
    """Answer from the cache if it can; ``request.cached`` and ``request.cacheable`` tell what became of it.

    Args:
        invalid_methods: methods that change the page: what is kept of it is dropped.
        debug: log what is decided.
        **kwargs: ``cache_class`` (default MemoryCache) and the attributes of the cache; taken on first use.

    Returns:
        True when the response is ready.

    Raises:
        HTTPError: 400 for a malformed max-age, 412; HTTPRedirect 304.
    """
    request, response = serving.request, serving.response
    cache = _cache_for(kwargs.pop("cache_class", MemoryCache), kwargs, debug)
    request.cached = request.cacheable = False
    if request.method in invalid_methods or request.method not in _METHODS:
        if debug:
            log(f"request.method {request.method!r} in invalid_methods", "TOOLS.CACHING")
        if request.method not in _SAFE:
            # now, and once the page has done its work: others may ask for it meanwhile
            cache.delete()
            request.hooks.attach("on_end_resource", cache.delete, failsafe=True)
        return False
    request.cacheable = True
    if "no-cache" in (element.value for element in request.headers.elements("Pragma")):
        return False
    found = cache.get()
    if not found:
        return False
    status, headers, body, create_time = found
    age = int(response.time - create_time)
    max_age = _wanted_age(request, cache.delay)
    if debug:
        log(f"cached {age} s ago, may be {max_age} s old", "TOOLS.CACHING")
    if max_age is None or age > max_age:
        return False
    response.headers = HeaderMap()
    dict.update(response.headers, headers)
    response.headers["Age"] = str(age)
    request.cached, request.cacheable = True, False
    try:
        conditional.validate_since()
    except HTTPRedirect as redirect:
        if redirect.status == 304:
            cache.tot_non_modified += 1
        raise
    response.status = status
    response.body = body
    return True


def _wanted_age(request: Any, delay: float) -> float | None:
    """How old an answer the client takes, in seconds; None when it wants a new one."""
    for element in request.headers.elements("Cache-Control"):
        directive, equals, argument = element.value.partition("=")
        if directive == "no-cache":
            return None
        if directive == "max-age":
            if not equals or not (argument.isascii() and argument.isdigit()):
                raise HTTPError(400, "Invalid Cache-Control header")
            return int(argument)
    return delay


def _directives(headers: HeaderMap) -> set[str]:
    return {element.value.partition("=")[0].lower() for element in headers.elements("Cache-Control")}


def tee_output() -> None:
    """Keep a copy of the body, while it is sent, for the cache."""
    request, response = serving.request, serving.response
    if "no-store" in _directives(request.headers):
        return
    if not _may_keep(response):
        _decline()
        return
    limit = getattr(_Current.cache, "maxobj_size", None)
    declared = response.headers.get("Content-Length")
    length = int(declared) if declared is not None and str(declared).isdecimal() else None
    if limit is not None and length is not None and length >= limit:
        # too large to keep: a file stays one that the server can send by itself
        _decline()
        return
    response.body = _tee(response.body, request, response, length, limit)


def _decline() -> None:
    """Let go those who wait for this answer: they must make their own."""
    cache = _Current.cache
    getattr(cache, "decline", cache.delete)()


def _may_keep(response: Any) -> bool:
    refusals = {"no-store", "no-cache", "private"} & _directives(response.headers)
    return not refusals and valid_status(response.status)[0] in _KEEPABLE


def _tee(body: Iterable[bytes], request: Any, response: Any, length: int | None, limit: int | None) -> Iterator[bytes]:
    """Yield *body*, and keep a copy of it if it is whole.

    It is whole with its last octet: a server that knows the *length* may not ask for an end. Past *limit* it is not
    collected any more.
    """
    output: list[bytes] = []
    size, is_open = 0, True
    try:
        for chunk in body:
            size += len(chunk)
            if is_open:
                output.append(chunk)
                if size == length or (limit is not None and size >= limit):
                    is_open = False
                    _keep(output, size, request, response)
                    output = []
            yield chunk
        if is_open:
            _keep(output, size, request, response)
    finally:
        if is_closable_iterator(body):
            body.close()  # type: ignore[attr-defined]


def _keep(output: list[bytes], size: int, request: Any, response: Any) -> None:
    """Give the answer to the cache, which knows it by the request of this thread."""
    if serving.request is not request:
        # the server may read a body wherever it likes
        before = dict(serving.__dict__)
        serving.load(request, response)
        try:
            _keep(output, size, request, response)
        finally:
            serving.clear()
            serving.__dict__.update(before)
        return
    if size:
        kept = (response.status, response.headers.copy(), b"".join(output), response.time)
        _Current.cache.put(kept, size)
    else:
        _decline()


def expires(secs: float | datetime.timedelta = 0, force: bool = False, debug: bool = False) -> None:
    """Tell clients how long they may keep the answer.

    Args:
        secs: seconds or a timedelta; 0: not at all.
        force: replace what is there, and do it also for answers that show no sign that they may be kept
            (ETag, Last-Modified, Age or Expires).
        debug: log what is decided.
    """
    request, response = serving.request, serving.response
    headers = response.headers
    if not force and not any(name in headers for name in _INDICATORS):
        if debug:
            log("request is not cacheable", "TOOLS.EXPIRES")
        return
    seconds = secs.total_seconds() if isinstance(secs, datetime.timedelta) else secs
    if seconds == 0:
        if force or "Pragma" not in headers:
            headers["Pragma"] = "no-cache"
        if request.protocol >= (1, 1) and (force or "Cache-Control" not in headers):
            headers["Cache-Control"] = "no-cache, must-revalidate"
        expiry = _LONG_AGO
    else:
        expiry = HTTPDate(response.time + seconds)
    if force or "Expires" not in headers:
        headers["Expires"] = expiry
