"""The stores that this process keeps sessions in: known from the configuration of its pages, and purged as a whole."""

from __future__ import annotations

import threading
from collections.abc import Container, Mapping
from typing import Any

from cherrypy.lib.sessions.session import Session

#: Settings of the tool that say how a session is sent, not where it is kept.
_OF_THE_TOOL = frozenset(
    ("on", "priority", "locking", "storage_class", "storage_type", "path", "path_header", "name", "domain", "secure")
) | {"persistent", "httponly", "samesite"}

_known: dict[str, tuple[type[Session], dict[str, Any]]] = {}
_noting = threading.Lock()


def note(storage_class: Any, settings: Mapping[str, Any]) -> None:
    """Remember where pages keep their sessions; called when a page's configuration is compiled."""
    if isinstance(storage_class, type) and hasattr(storage_class, "purge"):
        own = {name: value for name, value in settings.items() if name not in _OF_THE_TOOL}
        with _noting:
            _known.setdefault(f"{storage_class!r} {sorted(own.items(), key=str)}", (storage_class, own))


def set_up(storage_class: type[Session], settings: Mapping[str, Any]) -> None:
    """Call the store's ``setup`` before its first session; each class has its own."""
    setup = getattr(storage_class, "setup", None)
    if setup is not None and "_is_set_up" not in storage_class.__dict__:
        setup(**settings)
        storage_class._is_set_up = True  # type: ignore[attr-defined]


def stores() -> dict[str, Session]:
    """Return a session of each store, by the store's name; they are never saved, and stand for the store.

    Raises:
        HTTPError: 503, a store does not answer.
    """
    found: dict[str, Session] = {}
    with _noting:
        known = list(_known.values())
    for storage_class, settings in known:
        set_up(storage_class, settings)
        session = storage_class(None, **settings)
        found.setdefault(session.store_name(), session)
    return found


def purge(
    id: str | None = None, where: Mapping[str, Any] | None = None, *, skip: Container[str] = ()
) -> dict[str, int]:
    """Remove sessions from every store that pages of this process use.

    Args:
        id: of one session.
        where: values that the sessions have to hold: ``{"username": "alice"}``. With neither all are removed.
        skip: names of stores that somebody else purges.

    Returns:
        {name of the store: how many were removed}.

    Raises:
        NotImplementedError: a store of others cannot tell which sessions it has.
        HTTPError: 503, a store does not answer.
    """
    return {name: store.purge(id, where) for name, store in stores().items() if name not in skip}
