"""Sessions: data that stay with a client from one request to the next.

Turn them on with ``tools.sessions.on = True`` and use ``cherrypy.session`` as a dict. ``tools.sessions.storage_class``
is the store, or its dotted name: RamSession (the default), FileSession, MemcachedSession, RedisSession, or one of your
own.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import Any

from cherrypy.conf.expression import attributes
from cherrypy.context import ThreadLocalProxy, announce, serving
from cherrypy.core.errors import HTTPError, InternalRedirect
from cherrypy.core.logs import log
from cherrypy.core.streams import file_generator, is_iterator
from cherrypy.lib import httputil, locking
from cherrypy.lib.sessions.cookie import check_samesite, cookie_arguments, expire, id_from_cookie, set_response_cookie
from cherrypy.lib.sessions.files import FileSession
from cherrypy.lib.sessions.memcached import MemcachedSession
from cherrypy.lib.sessions.ram import RamSession
from cherrypy.lib.sessions.redis import RedisSession
from cherrypy.lib.sessions.session import Session, missing
from cherrypy.lib.sessions.settings import check_settings
from cherrypy.lib.sessions.storelist import note, purge, set_up, stores

__all__ = [
    "FileSession",
    "MemcachedSession",
    "RamSession",
    "RedisSession",
    "Session",
    "check",
    "close",
    "cookie_arguments",
    "expire",
    "httputil",
    "init",
    "is_iterator",
    "lock",
    "locking",
    "missing",
    "purge",
    "save",
    "set_response_cookie",
    "stores",
]

_proxy = ThreadLocalProxy("session")


def init(
    storage_type: str | None = None,
    path: str | None = None,
    path_header: str | None = None,
    name: str = "session_id",
    timeout: float = 60,
    domain: str | None = None,
    secure: bool = False,
    clean_freq: float = 5,
    persistent: bool = True,
    httponly: bool = False,
    debug: bool = False,
    samesite: str | None = None,
    **kwargs: Any,
) -> None:
    """Give the request its session.

    Args:
        storage_type: 'ram', 'file', 'memcached' or 'redis'; old, use ``storage_class``.
        path: of the cookie; default: '/'.
        path_header: a request header to take the path from.
        name: of the cookie.
        timeout: minutes without a request after which the session is forgotten.
        domain: of the cookie.
        secure: send the cookie over TLS only.
        clean_freq: minutes between two searches for expired sessions; 0 for none.
        persistent: False lets the client forget the cookie when it closes.
        httponly: keep the cookie from scripts.
        debug: log what is done.
        samesite: 'Lax', 'Strict' or 'None' (with *secure*): whether the cookie comes with requests from other sites;
            None to leave it to the browser.
        **kwargs: ``storage_class``, ``serializer``, ``lock_timeout``, and the store's own settings.
    """
    request = serving.request
    # the tool may be turned on twice for a page
    if hasattr(request, "_session_init_flag"):
        return
    request._session_init_flag = True
    storage_class = _class_of(kwargs.pop("storage_class", None), storage_type)
    set_up(storage_class, kwargs)
    kwargs["timeout"] = timeout
    kwargs["clean_freq"] = clean_freq
    known_id = getattr(request.prev, "_session_id", None) or id_from_cookie(request, name)
    serving.session = session = storage_class(known_id, **kwargs)
    session.debug = debug
    session.cookie_name = name

    def update_cookie(new_id: str | None) -> None:
        """Tell the client when the id changes."""
        if new_id is not None:
            serving.response.cookie[name] = new_id

    session.id_observers.append(update_cookie)
    announce("session", _proxy)
    set_response_cookie(
        path=path,
        path_header=path_header,
        name=name,
        timeout=timeout if persistent else None,
        domain=domain,
        secure=secure,
        httponly=httponly,
        samesite=samesite,
    )


def check(settings: Mapping[str, Any]) -> None:
    """Look at the settings of the tool, before any request is served with them.

    Raises:
        ValueError: one is not allowed; the text names the key, the value, and what is.
    """
    check_settings(settings)
    check_samesite(settings.get("samesite"), settings.get("secure"))
    storage_class = _class_of(settings.get("storage_class"), settings.get("storage_type"))
    check_settings(settings, getattr(storage_class, "rules", {}))
    note(storage_class, settings)


def _class_of(storage_class: Any, storage_type: Any) -> type[Session]:
    if isinstance(storage_class, str) and storage_class:
        return _class_named(storage_class)
    if storage_class and not callable(storage_class):
        raise ValueError(
            f"tools.sessions.storage_class must be a session class or its dotted name, not {storage_class!r}"
        )
    return storage_class or (_class_for(str(storage_type)) if storage_type else RamSession)


@functools.cache
def _class_named(name: str) -> type[Session]:
    try:
        storage_class: type[Session] = attributes(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"tools.sessions.storage_class must be a session class or its dotted name, not {name!r}: {error}"
        ) from error
    return storage_class


def _class_for(storage_type: str) -> type[Session]:
    """The class NAMESession of this module.

    COMPAT: ``storage_type`` of old; libraries put classes of their own here, also in the place of ours.
    """
    storage_class = globals().get(f"{storage_type.title()}Session")
    if not isinstance(storage_class, type):
        allowed = ", ".join(
            sorted(name.removesuffix("Session").lower() for name in globals() if name.endswith("Session"))
        ).lstrip(", ")
        raise ValueError(f"tools.sessions.storage_type must be one of {allowed}, not {storage_type!r}")
    _tell_once(storage_class.__name__)
    return storage_class


@functools.cache
def _tell_once(name: str) -> None:
    log(
        f"tools.sessions.storage_type is deprecated. Set tools.sessions.storage_class to {name}.",
        "TOOLS.SESSIONS",
        severity=30,
    )


def lock() -> None:
    """Lock the session before the page runs.

    Raises:
        HTTPError: 503 when other requests of the same client held it for ``lock_timeout``.
    """
    try:
        serving.session.acquire_lock()
    except locking.LockTimeout as error:
        raise _busy(error) from error


def _busy(error: locking.LockTimeout) -> HTTPError:
    log(str(error), "TOOLS.SESSIONS", severity=30)
    return HTTPError(503, "The session is busy.")


def save() -> None:
    """Save the session before the response goes out, and release its lock.

    A streamed body may still use the session: then at the request's end.
    """
    session = getattr(serving, "session", None)
    # after an InternalRedirect to a page without sessions, or an early error, it may be that of the request before
    if session is None or getattr(session, "is_closed", False):
        return
    request, response = serving.request, serving.response
    # the hook runs again when an error page is finalized
    if hasattr(request, "_sessionsaved"):
        return
    request._sessionsaved = True
    if response.stream:
        request.hooks.attach("on_end_request", session.save, failsafe=True)
        return
    body = response.body
    if is_iterator(body) and not isinstance(body, file_generator):
        # its code may still use the session; a file has none
        response.collapse_body()
    try:
        _spare_the_new_cookie(session)
    finally:
        try:
            session.save()
        except locking.LockTimeout as error:
            raise _busy(error) from error


def _spare_the_new_cookie(session: Any) -> None:
    """Send no cookie for a session that another request of the client has renamed (logged in) meanwhile.

    Sent after that request's answer, it would take the place of the new one, and the user would be logged out.
    """
    cookie = serving.response.cookie
    name = getattr(session, "cookie_name", "")
    if name in cookie and cookie[name].value == session.id and isinstance(session, Session) and session.has_vanished():
        del cookie[name]


save.failsafe = True  # type: ignore[attr-defined]


def close() -> None:
    """Release the session's lock at the end of the request, whatever happened before."""
    session = getattr(serving, "session", None)
    if session is None:
        return
    session.is_closed = True
    try:
        if isinstance(sys.exc_info()[1], InternalRedirect):
            # the page it leads to goes on with what this one has set, under the id that this one has given
            session.save()
            serving.request._session_id = session.id
    finally:
        if getattr(session, "locked", False):
            session.release_lock()


close.failsafe = True  # type: ignore[attr-defined]
close.priority = 90  # type: ignore[attr-defined]
