"""What workers forget when they are told: answers of the caching tool, caches of applications, sessions."""

from __future__ import annotations

from typing import Any

import cherrypy
from cherrypy.lib import sessions
from kirsch.link.cluster import Cluster

CACHE_CHANNEL = "kirsch.purge_cache"
SESSIONS_CHANNEL = "kirsch.purge_sessions"
#: Channels of the engine on which applications listen, to forget what they keep themselves.
APP_CACHES = "cache_purge"
APP_SESSIONS = "session_purge"


def open_purges(cluster: Cluster) -> None:
    """Let the operator purge."""
    cluster.subscribe_to(CACHE_CHANNEL, purge_cache)
    cluster.subscribe_to(SESSIONS_CHANNEL, purge_sessions)


def purge_cache(what: str = "") -> int:
    """Forget every answer of the caching tool; *what* is for the applications' own caches, whose listeners get it.

    Returns how many pages were forgotten, those that the listeners on ``cache_purge`` tell included.
    """
    cache = getattr(cherrypy, "_cache", None)
    count = 0
    if cache is not None:
        count = len(getattr(cache, "store", ()))
        cache.clear()
    return count + _told(cherrypy.engine.publish(APP_CACHES, what))


def purge_sessions(session_id: str = "") -> int:
    """Forget sessions in memory: all, or one; stores of others are told on ``session_purge``. Returns how many."""
    known = sessions.RamSession.cache
    if session_id:
        count = int(known.pop(session_id, None) is not None)
    else:
        count = len(known)
        known.clear()
    return count + _told(cherrypy.engine.publish(APP_SESSIONS, session_id))


def _told(results: list[Any]) -> int:
    return sum(result for result in results if type(result) is int)
