"""What workers forget when they are told: answers of the caching tool, caches of applications, sessions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import cherrypy
from cherrypy.lib import caching, sessions
from kirsch.link.cluster import Cluster
from kirsch.link.setting import PURGE_CACHE, PURGE_SESSIONS, SESSION_STORES
from kirsch.worker.sections import chains

log = logging.getLogger(__name__)

#: Channels of the engine on which applications listen, to forget what they keep themselves.
APP_CACHES = "cache_purge"
APP_SESSIONS = "session_purge"


def open_purges(cluster: Cluster) -> None:
    """Let the operator purge."""

    def purge_mine(session_id: str, where: dict[str, Any] | None, chosen: dict[str, dict[str, str]]) -> dict[str, int]:
        others = {name for name, member in chosen.get(cluster.me.host, {}).items() if member != cluster.me.id}
        return purge_sessions(session_id, where, others)

    cluster.subscribe_to(PURGE_CACHE, purge_cache)
    cluster.subscribe_to(SESSION_STORES, name_stores)
    cluster.subscribe_to(PURGE_SESSIONS, purge_mine)


def purge_cache(what: str = "") -> dict[str, int]:
    """Forget what ``caching.purge`` says; listeners on ``cache_purge`` get *what*, too.

    Returns how many items were forgotten, by cache.
    """
    return caching.purge(what) | _told(APP_CACHES, what)


def name_stores() -> dict[str, bool]:
    """Return the stores that sessions of this worker are in: name to whether other workers of the host share it."""
    _learn_stores()
    return {name: store.is_shared for name, store in sessions.stores().items()}


def purge_sessions(
    session_id: str = "", where: Mapping[str, Any] | None = None, others: set[str] | frozenset[str] = frozenset()
) -> dict[str, int]:
    """Forget sessions: all, one, or those that hold all of *where*; stores of *others* are theirs to purge.

    Applications that keep sessions themselves are told on ``session_purge`` which id, "" for all; not of *where*.
    Returns how many sessions were forgotten, by store.
    """
    _learn_stores()
    counts = sessions.purge(session_id or None, where, skip=others)
    return counts if where else counts | _told(APP_SESSIONS, session_id)


def _learn_stores() -> None:
    """Have the framework know the stores that are configured, though no page has used them yet."""
    for config in _configurations():
        if config.get("tools.sessions.on"):
            settings = {key[15:]: value for key, value in config.items() if key.startswith("tools.sessions.")}
            try:
                sessions.check(settings)
            except ValueError as error:
                log.warning("purge: sessions that cannot work have no store: %s", error)


def _configurations() -> Iterator[Mapping[str, Any]]:
    for application in cherrypy.tree.apps.values():
        if isinstance(application, cherrypy.Application):
            yield from chains(application)


def _told(channel: str, what: str) -> dict[str, int]:
    if not cherrypy.engine.listeners.get(channel):
        return {}
    return {channel: sum(result for result in cherrypy.engine.publish(channel, what) if type(result) is int)}
