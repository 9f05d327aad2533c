"""Sessions in Redis, shared by the workers of several machines."""

from __future__ import annotations

import contextlib
import datetime
import pickle
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from cherrypy.core.errors import HTTPError
from cherrypy.lib.locking import LockChecker
from cherrypy.lib.sessions.session import Session, Stored

# A lock may be released by its holder alone: when it expired meanwhile it may be another's.
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


def _library() -> Any:
    """The redis package: an application that keeps its sessions elsewhere need not load it."""
    import redis  # noqa: PLC0415

    return redis


class RedisSession(Session):
    """A session in Redis, which forgets it by itself.

    SECURITY: values are pickles, as in the other stores: whoever can write to this Redis runs code here.

    Attributes:
        url: 'redis://host:port/database', 'rediss://...' or 'unix://...'.
        key_prefix: of the keys.
        lock_lifetime_s: after which the lock of a worker that died is free.
        store_timeout_s: to wait for Redis; then the answer is 503.
    """

    url = "redis://localhost:6379/0"
    key_prefix = "session:"
    lock_lifetime_s = 60
    store_timeout_s = 5.0
    pickle_protocol = pickle.HIGHEST_PROTOCOL

    _clients: ClassVar[dict[str, Any]] = {}
    _clients_lock: ClassVar[threading.Lock] = threading.Lock()
    _lock_token: str | None = None

    @classmethod
    def setup(cls, **kwargs: Any) -> None:
        """Take the store's settings as defaults of the class."""
        for name, value in kwargs.items():
            setattr(cls, name, value)

    @property
    def client(self) -> Any:
        """The Redis client for ``url``; a pool of connections, shared by all threads."""
        client = self._clients.get(self.url)
        if client is None:
            redis = _library()
            with self._clients_lock:
                client = self._clients.setdefault(
                    self.url,
                    redis.Redis.from_url(
                        self.url,
                        socket_timeout=self.store_timeout_s,
                        socket_connect_timeout=self.store_timeout_s,
                        health_check_interval=30,
                    ),
                )
        return client

    @contextlib.contextmanager
    def _answering(self) -> Iterator[Any]:
        """Yield the client; a store that is down is a 503, neither a hang nor a lost session."""
        try:
            yield self.client
        except _library().RedisError as error:
            raise HTTPError(503, "The session store does not answer.") from error

    @property
    def _key(self) -> str:
        return f"{self.key_prefix}{self._id}"

    def _exists(self) -> bool:
        with self._answering() as client:
            return bool(client.exists(self._key))

    def _load(self) -> Stored | None:
        with self._answering() as client:
            packed = client.get(self._key)
        if packed is None:
            return None
        stored: Stored = pickle.loads(packed)
        return stored

    def _save(self, expiration_time: datetime.datetime) -> None:
        packed = pickle.dumps((self._data, expiration_time), self.pickle_protocol)
        rest_ms = max(int((expiration_time - self.now()).total_seconds() * 1000), 1)
        with self._answering() as client:
            client.set(self._key, packed, px=rest_ms)

    def _delete(self) -> None:
        with self._answering() as client:
            client.delete(self._key)

    def acquire_lock(self) -> None:
        """Wait until no other request, here or in another worker, works on this session.

        Raises:
            LockTimeout: ``lock_timeout`` has passed.
        """
        if self.locked:
            return
        checker = LockChecker(self._id or "", self.lock_timeout)
        token = secrets.token_hex(16)
        pause_s = 0.002
        with self._answering() as client:
            while not client.set(f"{self._key}:lock", token, nx=True, ex=self.lock_lifetime_s):
                checker.expired()
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.05)
        self._lock_token = token
        self.locked = True

    def release_lock(self) -> None:
        """Let other requests work on this session."""
        if not self.locked:
            return
        self.locked = False
        with self._answering() as client:
            client.eval(_RELEASE, 1, f"{self._key}:lock", self._lock_token)

    def __len__(self) -> int:
        """The number of sessions; walks over all keys."""
        with self._answering() as client:
            return sum(1 for key in client.scan_iter(f"{self.key_prefix}*", count=1000) if not key.endswith(b":lock"))

    def __bool__(self) -> bool:
        return True
