"""What a worker forgets when the operator says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import sessions
from cherrypy.lib.sessions import storelist
from cherrypy.process.wspbus import Bus
from kirsch.link.cluster import Cluster
from kirsch.link.setting import PURGE_CACHE, PURGE_SESSIONS, SESSION_STORES
from kirsch.worker.purge import APP_CACHES, APP_SESSIONS, open_purges


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An application whose sessions below /shop are files; no page has been asked for."""
    monkeypatch.setattr(storelist, "_known", {})
    before = dict(cherrypy.tree.apps)
    config: dict[str, Any] = {
        "/": {"tools.sessions.storage_class": sessions.FileSession, "tools.sessions.storage_path": str(tmp_path)},
        "/shop": {"tools.sessions.on": True},
        "/wrong": {"tools.sessions.on": True, "tools.sessions.timeout": "long"},
    }
    cherrypy.tree.mount(object(), "/app", config)
    yield f"files in {tmp_path}"
    cherrypy.tree.apps.clear()
    cherrypy.tree.apps.update(before)


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """What the listeners of applications hear; each has forgotten two."""
    heard: list[tuple[str, str]] = []
    listeners: list[tuple[str, Callable[[str], int]]] = []
    for channel in (APP_CACHES, APP_SESSIONS):

        def listen(what: str, channel: str = channel) -> int:
            heard.append((channel, what))
            return 2

        cherrypy.engine.subscribe(channel, listen)
        listeners.append((channel, listen))
    yield heard
    for channel, listener in listeners:
        cherrypy.engine.unsubscribe(channel, listener)


def keep(path: Path, **data: Any) -> str:
    """Keep a session in a file."""
    session = sessions.FileSession(None, storage_path=str(path), clean_freq=0)
    session.acquire_lock()
    session.update(data)
    session.save()
    return str(session.id)


def test_stores_are_known_before_any_page(store: str, tmp_path: Path, told: Any) -> None:
    """From the configuration; what cannot work has none. Whoever is not chosen leaves a shared store alone."""
    first, _, third = (keep(tmp_path, username=name) for name in ("alice", "alice", "bob"))
    cluster = Cluster(Bus())
    open_purges(cluster)
    me, host = cluster.me.id, cluster.me.host
    publish = cluster.inbox._publish
    names = publish(SESSION_STORES)
    not_mine = publish(PURGE_SESSIONS, "", None, {host: {store: "web.2@h:1"}})
    one = publish(PURGE_SESSIONS, first, None, {host: {store: me}})
    of_alice = publish(PURGE_SESSIONS, "", {"username": "alice"}, {host: {store: me}})
    rest = publish(PURGE_SESSIONS, "", None, {})

    assert names == [{store: True}]
    assert not_mine == [{APP_SESSIONS: 2}]
    assert one == [{store: 1, APP_SESSIONS: 2}]
    assert of_alice == [{store: 1}]
    assert rest == [{store: 1, APP_SESSIONS: 2}]
    assert told == [(APP_SESSIONS, ""), (APP_SESSIONS, first), (APP_SESSIONS, "")]
    assert sessions.FileSession(third, storage_path=str(tmp_path), clean_freq=0).missing


def test_caches(told: Any) -> None:
    """The tool's, those that are registered, and listeners; each says how many."""
    cluster = Cluster(Bus())
    open_purges(cluster)

    assert cluster.inbox._publish(PURGE_CACHE, "/x*") == [{"tools.caching": 0, APP_CACHES: 2}]
    assert told == [(APP_CACHES, "/x*")]
