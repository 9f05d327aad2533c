"""Sessions in a real memcached."""

from __future__ import annotations

import datetime
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cherrypy.core.errors import HTTPError
from cherrypy.lib import sessions
from cherrypy.lib.locking import LockTimeout


def make(servers: list[str], session_id: str | None = None, **settings: Any) -> sessions.MemcachedSession:
    """A session."""
    return sessions.MemcachedSession(session_id, servers=servers, clean_freq=0, **settings)


def test_what_one_worker_saves_another_reads(memcached_servers: list[str]) -> None:
    """The id leads to the data, until it is deleted."""
    session = make(memcached_servers)
    session.acquire_lock()
    session["a"] = {"b": [1, None], "when": datetime.date(2026, 1, 2)}
    session.save()
    again = make(memcached_servers, session.id)

    assert not again.missing
    assert again["a"] == {"b": [1, None], "when": datetime.date(2026, 1, 2)}
    again.delete()
    assert make(memcached_servers, session.id).missing


def test_a_unix_socket_will_do(servers: Any) -> None:
    """'unix:/path'."""
    with tempfile.TemporaryDirectory() as folder:
        # memcached, started by root, is another user
        Path(folder).chmod(0o777)
        servers.memcached(f"{folder}/m")
        session = make([f"unix:{folder}/m"])
        session["a"] = 1
        session.save()

        assert make([f"unix:{folder}/m"], session.id)["a"] == 1
        servers.end()


def test_the_lock_is_shared(memcached_servers: list[str]) -> None:
    """With another worker's too, which has no part in this process's locks."""
    session = make(memcached_servers)
    session.acquire_lock()
    others: dict[str, threading.Lock] = {}
    other = make(memcached_servers, lock_timeout=0.03, locks=others)
    other._id = session._id

    with pytest.raises(LockTimeout):
        other.acquire_lock()
    assert others == {}
    session.release_lock()
    other.acquire_lock()
    assert other.locked
    other.release_lock()


def test_a_lock_within_the_process_alone(memcached_servers: list[str]) -> None:
    """``lock_lifetime_s`` = 0."""
    session = make(memcached_servers, lock_lifetime_s=0)
    session.acquire_lock()

    assert session.cache.get(f"{session.id}.lock") is None
    assert session.locks[session.id or ""].locked()
    session.release_lock()
    assert session.id not in session.locks


def test_a_lock_is_released_by_its_holder_alone(memcached_servers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After its lifetime it may be another worker's; the log says which setting is too small."""
    session = make(memcached_servers)
    session.acquire_lock()
    session.cache.set(f"{session.id}.lock", "another")
    told: list[str] = []
    monkeypatch.setattr("cherrypy.lib.sessions.outage.log", lambda message, *args, **kwargs: told.append(message))
    session.release_lock()

    assert session.cache.get(f"{session.id}.lock") == "another"
    assert "took longer than tools.sessions.lock_lifetime_s = 60" in told[0]


def test_memcached_forgets_by_itself(memcached_servers: list[str]) -> None:
    """Each item has its end."""
    session = make(memcached_servers, timeout=-1)
    session["a"] = 1
    session.save()

    assert make(memcached_servers, session.id).missing


def test_items_of_cherrypy_are_read(memcached_servers: list[str]) -> None:
    """Which let the client library pickle: nobody is logged out by the change to this framework."""
    session = make(memcached_servers)
    session.cache.set("b" * 40, ({"user": "anna"}, session.now() + datetime.timedelta(hours=1)))

    assert make(memcached_servers, "b" * 40)["user"] == "anna"


def test_json_sessions_hold_no_pickle(memcached_servers: list[str]) -> None:
    """SECURITY: whoever can write to the store must not run code here, not even in the client library."""
    session = make(memcached_servers, serializer="json")
    session["a"] = [1, "\xfc"]
    session.save()
    again = make(memcached_servers, session.id, serializer="json")

    assert again["a"] == [1, "\xfc"]
    make(memcached_servers).cache.set("c" * 40, ({"user": "evil"}, session.now()))
    assert not make(memcached_servers, "c" * 40, serializer="json").keys()


def test_a_memcached_that_is_not_there_is_a_503(servers: Any) -> None:
    """Not a new session in silence."""
    pytest.importorskip("memcache", reason="python-memcached is not installed")
    for name in ("a" * 40, None):
        with pytest.raises(HTTPError) as caught:
            make([f"127.0.0.1:{servers.free_port()}"], name)
        assert caught.value.code == 503


def test_a_memcached_that_does_not_answer_is_a_503_in_time(silent_server: tuple[str, int]) -> None:
    """``store_timeout_s``."""
    pytest.importorskip("memcache", reason="python-memcached is not installed")
    began = time.monotonic()
    with pytest.raises(HTTPError) as caught:
        make([f"127.0.0.1:{silent_server[1]}"], "a" * 40, store_timeout_s=0.1)

    assert caught.value.code == 503
    assert time.monotonic() - began < 2


def test_a_memcached_that_dies_is_a_503_and_frees_the_locks(
    serve: Callable[..., Any], servers: Any, pages: Any
) -> None:
    """Before the page and while it runs."""
    import cherrypy

    @cherrypy.expose
    def page() -> str:
        cherrypy.session["a"] = 1
        servers.end()
        return "saved"

    pages.page = page
    port = servers.free_port()
    servers.memcached(str(port))
    browser = serve(
        pages, sessions__on=True, sessions__storage_type="memcached", sessions__servers=[f"127.0.0.1:{port}"]
    )

    assert browser("/page").status == 503
    assert browser("/").status == 503
    assert sessions.MemcachedSession.locks == {}


def test_a_lock_is_not_waited_for_in_a_dead_store(servers: Any) -> None:
    """503 at once, though no ``lock_timeout`` is set."""
    port = servers.free_port()
    servers.memcached(str(port))
    session = make([f"127.0.0.1:{port}"])
    servers.end()
    with pytest.raises(HTTPError) as caught:
        session.acquire_lock()

    assert caught.value.code == 503
    assert not session.locked


def test_a_session_that_is_too_big_is_told(memcached_servers: list[str]) -> None:
    """Memcached takes 1 MB; silence would lose the data."""
    session = make(memcached_servers)
    session["a"] = "x" * 2_000_000

    with pytest.raises(ValueError, match="refused the session's 2000"):
        session.save()


def test_two_servers_in_one_process(memcached_servers: list[str], servers: Any) -> None:
    """Each application has its own."""
    port = servers.free_port()
    servers.memcached(str(port))
    sessions.MemcachedSession.setup(servers=memcached_servers)
    session = sessions.MemcachedSession(clean_freq=0)
    session["a"] = 1
    session.save()

    assert make([f"127.0.0.1:{port}"], session.id).missing
    assert not sessions.MemcachedSession(session.id, clean_freq=0).missing
    assert sessions.MemcachedSession.servers == memcached_servers


def test_an_application_may_bring_a_client_of_its_own(memcached_servers: list[str]) -> None:
    """Held by ``mc_lock``, since it may not be safe for threads."""
    held: list[bool] = []

    class Client:
        def get(self, key: str, default: Any = None) -> Any:
            thread = threading.Thread(target=lambda: held.append(not Store.mc_lock.acquire(blocking=False)))
            thread.start()
            thread.join()
            return default

    class Store(sessions.MemcachedSession):
        cache = Client()

    session = Store("d" * 40, servers=memcached_servers, clean_freq=0)

    assert session.missing
    assert held
    assert all(held)


def test_memcached_cannot_count(memcached_servers: list[str]) -> None:
    """It does not tell its keys."""
    with pytest.raises(NotImplementedError):
        len(make(memcached_servers))
    assert make(memcached_servers)
