"""Sessions in a real Redis."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cherrypy.core.errors import HTTPError
from cherrypy.lib import sessions
from cherrypy.lib.locking import LockTimeout


def make(url: str, session_id: str | None = None, **settings: Any) -> sessions.RedisSession:
    """A session."""
    return sessions.RedisSession(session_id, url=url, clean_freq=0, **settings)


def test_what_one_worker_saves_another_reads(redis_url: str) -> None:
    """The id leads to the data, until it is deleted."""
    session = make(redis_url)
    session.acquire_lock()
    session["a"] = {"b": [1, None], "when": datetime.date(2026, 1, 2)}
    session.save()
    again = make(redis_url, session.id)

    assert not again.missing
    assert again["a"] == {"b": [1, None], "when": datetime.date(2026, 1, 2)}
    again.delete()
    assert make(redis_url, session.id).missing


def test_the_lock_is_shared(redis_url: str) -> None:
    """Between objects as between workers."""
    session = make(redis_url)
    session["a"] = 1
    session.acquire_lock()
    session._save(session.now() + datetime.timedelta(hours=1))
    other = make(redis_url, session.id, lock_timeout=0.03)

    with pytest.raises(LockTimeout):
        other.acquire_lock()
    session.release_lock()
    other.acquire_lock()
    assert other.locked
    other.release_lock()


def test_redis_forgets_by_itself(redis_url: str) -> None:
    """Each key has its end, so no cleaner is needed."""
    session = make(redis_url, timeout=1)
    session["a"] = 1
    session.save()

    assert 50_000 < session.client.pttl(session._key) <= 60_000


def test_keys_have_a_prefix_of_ones_choice(redis_url: str) -> None:
    """Two applications may share a database; sessions are counted by it, locks are not."""
    session = make(redis_url, key_prefix="shop*[1]:")
    session["a"] = 1
    session.acquire_lock()
    session._save(session.now() + datetime.timedelta(hours=1))
    other = make(redis_url, session.id, key_prefix="shopX1:")

    assert other.missing
    assert (len(session), len(other)) == (1, 0)
    assert session
    session.release_lock()


def test_a_lock_is_released_by_its_holder_alone(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its lifetime it may be another worker's; the log says which setting is too small."""
    session = make(redis_url)
    session.acquire_lock()
    session.client.set(f"{session._key}:lock", "another")
    told: list[str] = []
    monkeypatch.setattr("cherrypy.lib.sessions.outage.log", lambda message, *args, **kwargs: told.append(message))
    session.release_lock()

    assert session.client.get(f"{session._key}:lock") == b"another"
    assert "took longer than tools.sessions.lock_lifetime_s = 60" in told[0]


def test_the_lock_of_a_dead_worker_has_an_end(redis_url: str) -> None:
    """``lock_lifetime_s``."""
    session = make(redis_url, lock_lifetime_s=7)
    session.acquire_lock()

    assert 0 < session.client.ttl(f"{session._key}:lock") <= 7
    session.release_lock()


def test_a_waiter_goes_on_as_soon_as_the_lock_is_free(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks often, and never pauses for a tenth of a second."""
    pauses: list[float] = []
    looked = threading.Event()
    sleep = time.sleep

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 8:
            looked.set()
        sleep(seconds)

    # a clock of its own: threads of other tests sleep too
    monkeypatch.setattr("cherrypy.lib.sessions.redis.time", SimpleNamespace(**{**vars(time), "sleep": pause}))
    session = make(redis_url)
    session.acquire_lock()
    other = make(redis_url)
    other._id = session._id
    thread = threading.Thread(target=other.acquire_lock)
    thread.start()
    assert looked.wait(10)
    assert not other.locked
    session.release_lock()
    thread.join(10)

    assert other.locked
    assert max(pauses) <= 0.02
    other.release_lock()


def test_a_redis_that_is_not_there_is_a_503(tmp_path: Any) -> None:
    """Neither a hang nor a new session in silence; the log does not tell the password."""
    pytest.importorskip("redis")
    for name in ("a" * 40, None):
        with pytest.raises(HTTPError) as caught:
            make(f"unix://{tmp_path}/none", name)
        assert caught.value.code == 503


def test_the_log_of_an_outage_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: addresses of stores carry secrets."""
    pytest.importorskip("redis")
    told: list[str] = []
    monkeypatch.setattr("cherrypy.lib.sessions.outage.log", lambda message, *args, **kwargs: told.append(message))
    with pytest.raises(HTTPError):
        make("redis://user:secret@127.0.0.1:1/0")

    assert "redis://***@127.0.0.1:1/0" in told[0]
    assert "secret" not in told[0]


def test_a_redis_that_does_not_answer_is_a_503_in_time(silent_server: tuple[str, int]) -> None:
    """``store_timeout_s``, not the patience of the client."""
    pytest.importorskip("redis")
    began = time.monotonic()
    with pytest.raises(HTTPError) as caught:
        make(f"redis://127.0.0.1:{silent_server[1]}/0", "a" * 40, store_timeout_s=0.1)

    assert caught.value.code == 503
    assert time.monotonic() - began < 2


def test_a_redis_that_dies_answers_503_and_is_taken_up_again(
    serve: Callable[..., Any], servers: Any, pages: Any
) -> None:
    """Users wait for it, but nobody has to restart the application, and no worker hangs on a lock."""
    url = servers.redis()
    browser = serve(pages, sessions__on=True, sessions__storage_type="redis", sessions__url=url)
    assert browser("/").body == b"1"
    old = dict(browser.cookies)
    servers.end()

    assert [browser("/").status for _ in range(2)] == [503, 503]
    assert browser.cookies == old
    assert servers.redis() == url
    assert browser("/").status == 200


def test_a_redis_that_dies_while_the_page_runs_is_a_503(serve: Callable[..., Any], servers: Any, pages: Any) -> None:
    """What could not be saved is not lost in silence."""
    import cherrypy

    @cherrypy.expose
    def page() -> str:
        cherrypy.session["a"] = 1
        servers.end()
        return "saved"

    pages.page = page
    browser = serve(pages, sessions__on=True, sessions__storage_type="redis", sessions__url=servers.redis())

    assert browser("/page").status == 503


def test_json_sessions_hold_no_pickle(redis_url: str) -> None:
    """SECURITY: whoever can write to the store must not run code here."""
    import pickle

    session = make(redis_url, serializer="json")
    session["a"] = ["\xfc", 1.5, None, {"b": True}]
    session.save()
    packed = session.client.get(session._key)
    again = make(redis_url, session.id, serializer="json")

    assert packed.partition(b"\n")[2] == b'{"a":["\\u00fc",1.5,null,{"b":true}]}'
    assert again["a"] == ["\xfc", 1.5, None, {"b": True}]
    session.client.set(session._key, pickle.dumps(({"a": 1}, session.now())))
    assert list(make(redis_url, session.id, serializer="json")) == []


def test_two_servers_in_one_process(redis_url: str, servers: Any) -> None:
    """Each application has its own."""
    other_url = servers.redis()
    session = make(redis_url)
    session["a"] = 1
    session.save()

    assert make(other_url, session.id).missing
    assert not make(redis_url, session.id).missing


def test_setup_takes_the_address_for_the_class(redis_url: str) -> None:
    """Sessions outside of a request need not name it."""
    sessions.RedisSession.setup(url=redis_url, key_prefix="x")

    assert sessions.RedisSession(clean_freq=0).url == redis_url
    assert sessions.RedisSession.key_prefix == "session:"
