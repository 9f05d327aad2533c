"""Sessions in Redis, shared by the workers of several machines."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from cherrypy.core.logs import log
from cherrypy.lib.locking import LockChecker
from cherrypy.lib.sessions.outage import outage, tell_lost_lock
from cherrypy.lib.sessions.serializer import Stored
from cherrypy.lib.sessions.session import Session
from cherrypy.lib.sessions.settings import SECONDS, Rule

# A lock may be released by its holder alone: when it expired meanwhile it may be another's.
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


_SECRET = re.compile(r"//[^@/]*@")


def _library() -> Any:
    """The redis package: an application that keeps its sessions elsewhere need not load it."""
    import redis  # noqa: PLC0415
    import redis.backoff  # noqa: PLC0415
    import redis.retry  # noqa: PLC0415

    return redis


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("redis://", "rediss://", "unix://"))


class RedisSession(Session):
    """A session in Redis, which forgets it by itself.

    SECURITY: with the 'pickle' serializer whoever can write to this Redis runs code here; 'json' is safe.

    Attributes:
        url: 'redis://host:port/database', 'rediss://...' or 'unix://...'.
        key_prefix: of the keys.
        lock_lifetime_s: after which the lock of a worker that died is free.
        store_timeout_s: to wait for Redis; then the answer is 503.
    """

    url: str = "redis://localhost:6379/0"
    key_prefix: str = "session:"
    lock_lifetime_s: int = 60
    store_timeout_s: float = 5.0
    is_shared = True
    rules: ClassVar[dict[str, Rule]] = {
        "url": (_is_url, "an address 'redis://...', 'rediss://...' or 'unix://...'"),
        "key_prefix": (lambda value: isinstance(value, str), "text"),
        "lock_lifetime_s": (lambda value: isinstance(value, int) and value > 0, "a whole number of seconds above 0"),
        "store_timeout_s": SECONDS,
    }

    _clients: ClassVar[dict[tuple[str, float], Any]] = {}
    _clients_lock: ClassVar[threading.Lock] = threading.Lock()
    _lock_token: str | None = None

    @classmethod
    def setup(cls, **kwargs: Any) -> None:
        """Take the address as the class's own; the other settings are each application's."""
        cls.url = kwargs.get("url", cls.url)

    def now(self) -> datetime.datetime:
        """The present moment with its zone: the hosts that share a store may be in several."""
        return datetime.datetime.now(datetime.UTC)

    @property
    def client(self) -> Any:
        """The Redis client for ``url``; a pool of connections, shared by all threads."""
        key = (self.url, self.store_timeout_s)
        client = self._clients.get(key)
        if client is None:
            redis = _library()
            with self._clients_lock:
                client = self._clients.setdefault(
                    key,
                    redis.Redis.from_url(
                        self.url,
                        socket_timeout=self.store_timeout_s,
                        socket_connect_timeout=self.store_timeout_s,
                        health_check_interval=30,
                        # a connection from before Redis was restarted; no answer in time is final
                        retry=redis.retry.Retry(redis.backoff.NoBackoff(), 1, (redis.exceptions.ConnectionError,)),
                    ),
                )
        return client

    @contextlib.contextmanager
    def _answering(self) -> Iterator[Any]:
        """Yield the client; a store that is down is a 503, neither a hang nor a lost session."""
        try:
            yield self.client
        except _library().RedisError as error:
            raise outage(f"redis at {_SECRET.sub('//***@', self.url)}", error) from error

    @property
    def _key(self) -> str:
        return f"{self.key_prefix}{self._id}"

    def _exists(self) -> bool:
        with self._answering() as client:
            return bool(client.exists(self._key))

    def _load(self) -> Stored | None:
        with self._answering() as client:
            packed = client.get(self._key)
        return None if packed is None else self._unpack(packed, f"{self._id} in Redis")

    def _save(self, expiration_time: datetime.datetime) -> None:
        packed = self._serializer.pack(self._data, expiration_time)
        rest_ms = max(int((expiration_time - self.now()).total_seconds() * 1000), 1)
        with self._answering() as client:
            # what was purged meanwhile stays away
            client.set(self._key, packed, px=rest_ms, xx=self._was_stored)

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
        checker = LockChecker(self._id or "", self._patience)
        token = secrets.token_hex(16)
        pause_s = 0.001
        with self._answering() as client:
            while not client.set(f"{self._key}:lock", token, nx=True, ex=self.lock_lifetime_s):
                checker.expired()
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.02)
        self._lock_token = token
        self.locked = True

    def release_lock(self) -> None:
        """Let other requests work on this session."""
        if not self.locked:
            return
        self.locked = False
        try:
            is_ours = self.client.eval(_RELEASE, 1, f"{self._key}:lock", self._lock_token)
        except _library().RedisError as error:
            # it goes by itself, and what was to be saved has been
            log(f"The lock of a session stays for its lifetime: {error}", "TOOLS.SESSIONS", severity=30)
            return
        if not is_ours:
            tell_lost_lock(self.lock_lifetime_s)

    def store_name(self) -> str:
        """Name the address, without its password, and the keys."""
        return f"{_SECRET.sub('//', self.url)} {self.key_prefix}*"

    def _ids(self) -> Iterator[str]:
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self.key_prefix) + "*"
        with self._answering() as client:
            for key in client.scan_iter(pattern, count=1000):
                session_id = key.decode("utf-8", "replace").removeprefix(self.key_prefix)
                if self.id_pattern.fullmatch(session_id):
                    yield session_id

    def _remove_all(self, session_ids: Iterable[str]) -> int:
        keys = iter([f"{self.key_prefix}{one}" for one in session_ids])
        count = 0
        with self._answering() as client:
            while batch := list(itertools.islice(keys, 1000)):
                count += client.unlink(*batch)
        return count

    def __len__(self) -> int:
        """The number of sessions; walks over all keys."""
        return sum(1 for _ in self._ids())

    def __bool__(self) -> bool:
        return True
