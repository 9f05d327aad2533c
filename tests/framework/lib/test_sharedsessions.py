"""Sessions in Redis (a real one, if the machine has it) and in memcached (one of ours)."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cherrypy.core.errors import HTTPError
from cherrypy.lib import sessions
from cherrypy.lib.locking import LockTimeout


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of this test's own."""
    redis = pytest.importorskip("redis")
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed")
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "s"
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "ready to accept connections" in line.lower():
                break
        threading.Thread(target=process.stdout.read, daemon=True).start()
        assert redis.Redis(unix_socket_path=str(path)).ping()
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait(10)


class FakeClient:
    """A memcached that is a dict."""

    def __init__(self, servers: list[str]) -> None:
        self.servers = servers
        self.data: dict[str, Any] = {}
        self.is_dead = False

    def get(self, key: str) -> Any:
        return self.data.get(key)

    def set(self, key: str, value: Any, time: int = 0) -> bool:
        if not self.is_dead:
            self.data[key] = value
        return not self.is_dead

    def add(self, key: str, value: Any, time: int = 0) -> bool:
        return not self.is_dead and self.data.setdefault(key, object()) is not None and self._claim(key, value)

    def _claim(self, key: str, value: Any) -> bool:
        if isinstance(self.data[key], int):
            return False
        self.data[key] = value
        return True

    def delete(self, key: str) -> None:
        self.data.pop(key, None)


@pytest.fixture
def memcached(monkeypatch: pytest.MonkeyPatch) -> type[sessions.MemcachedSession]:
    """The store, connected to a fake."""
    module = types.ModuleType("memcache")
    module.Client = FakeClient  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "memcache", module)

    class Store(sessions.MemcachedSession):
        clean_freq = 0

    Store.setup(servers=["here:1"])
    return Store


@pytest.fixture(params=["redis", "memcached"])
def store(request: Any) -> Any:
    """How to make a session in each store."""
    if request.param == "memcached":
        return request.getfixturevalue("memcached")
    url = request.getfixturevalue("redis_url")

    def make(session_id: str | None = None, **settings: Any) -> sessions.RedisSession:
        return sessions.RedisSession(session_id, url=url, clean_freq=0, **settings)

    return make


def test_what_one_worker_saves_another_reads(store: Any) -> None:
    """The id leads to the data."""
    session = store()
    session.acquire_lock()
    session["a"] = {"b": [1, None]}
    session.save()
    again = store(session.id)

    assert not again.missing
    assert again["a"] == {"b": [1, None]}
    again.delete()
    assert store(session.id).missing


def test_the_lock_is_shared(store: Any) -> None:
    """Between objects as between workers."""
    session = store()
    session["a"] = 1
    session.acquire_lock()
    session._save(session.now() + datetime.timedelta(hours=1))
    other = store(session.id, lock_timeout=datetime.timedelta(seconds=0.05))

    with pytest.raises(LockTimeout):
        other.acquire_lock()
    session.release_lock()
    other.acquire_lock()
    assert other.locked
    other.release_lock()


def test_redis_forgets_by_itself(redis_url: str) -> None:
    """Each key has its end."""
    session = sessions.RedisSession(url=redis_url, clean_freq=0, timeout=1)
    session["a"] = 1
    session.save()

    assert 50_000 < session.client.pttl(session._key) <= 60_000
    assert len(session) >= 1


def test_a_lock_is_released_by_its_holder_alone(redis_url: str) -> None:
    """After its lifetime it may be another worker's."""
    session = sessions.RedisSession(url=redis_url, clean_freq=0)
    session.acquire_lock()
    session.client.set(f"{session._key}:lock", "another")
    session.release_lock()

    assert session.client.get(f"{session._key}:lock") == b"another"


def test_a_dead_redis_is_a_503(tmp_path: Path) -> None:
    """Neither a hang nor a new session in silence."""
    pytest.importorskip("redis")
    with pytest.raises(HTTPError) as caught:
        sessions.RedisSession("a" * 40, url=f"unix://{tmp_path}/none", clean_freq=0)

    assert caught.value.code == 503


def test_a_dead_memcached_is_a_503(memcached: Any) -> None:
    """What could not be saved is not lost in silence."""
    session = memcached()
    session["a"] = 1
    memcached.cache.is_dead = True

    with pytest.raises(HTTPError) as caught:
        session.save()
    assert caught.value.code == 503
    assert memcached.cache.servers == ["here:1"]


def test_memcached_cannot_count(memcached: Any) -> None:
    """It does not tell its keys."""
    with pytest.raises(NotImplementedError):
        len(memcached())
    assert memcached()
