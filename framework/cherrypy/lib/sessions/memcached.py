"""Sessions in memcached, shared by the workers of several machines. Needs the package ``python-memcached``."""

from __future__ import annotations

import datetime
import threading
import time
from typing import Any, ClassVar

from cherrypy.core.errors import HTTPError
from cherrypy.lib.locking import LockChecker
from cherrypy.lib.sessions import threadlocks
from cherrypy.lib.sessions.session import Session, Stored


class MemcachedSession(Session):
    """A session in memcached, which forgets it by itself.

    Attributes:
        servers: 'host:port' of each server.
        cache: the client, shared by all threads, under ``mc_lock``.
        locks: {id: lock} within this process.
        lock_lifetime_s: after which the lock of a worker that died is free; 0 to lock within this process only.
    """

    mc_lock = threading.RLock()
    locks: ClassVar[dict[str, threading.Lock]] = {}
    servers: list[str] = ["localhost:11211"]
    cache: ClassVar[Any] = None
    lock_lifetime_s = 60

    @classmethod
    def setup(cls, **kwargs: Any) -> None:
        """Take the store's settings as defaults of the class, and connect."""
        for name, value in kwargs.items():
            setattr(cls, name, value)
        import memcache  # noqa: PLC0415

        cls.cache = memcache.Client(cls.servers)

    def _exists(self) -> bool:
        with self.mc_lock:
            return bool(self.cache.get(self._id))

    def _load(self) -> Stored | None:
        with self.mc_lock:
            stored: Stored | None = self.cache.get(self._id)
        return stored

    def _save(self, expiration_time: datetime.datetime) -> None:
        moment = int(time.mktime(expiration_time.timetuple()))
        with self.mc_lock:
            stored = self.cache.set(self._id, (self._data, expiration_time), moment)
        if not stored:
            # no server answered; saying nothing would lose the data in silence
            raise HTTPError(503, "The session store does not answer.")

    def _delete(self) -> None:
        with self.mc_lock:
            self.cache.delete(self._id)

    def acquire_lock(self) -> None:
        """Wait until no other request, here or in another worker, works on this session."""
        if self.locked:
            return
        threadlocks.acquire(self.locks, self._id or "", self.lock_timeout)
        try:
            self._acquire_shared_lock()
        except BaseException:
            threadlocks.release(self.locks, self._id)
            raise
        self.locked = True

    def _acquire_shared_lock(self) -> None:
        if not self.lock_lifetime_s:
            return
        checker = LockChecker(self._id or "", self.lock_timeout)
        deadline = time.monotonic() + self.lock_lifetime_s + 5
        pause_s = 0.002
        while not checker.expired():
            with self.mc_lock:
                if self.cache.add(f"{self._id}.lock", 1, self.lock_lifetime_s):
                    return
            if time.monotonic() > deadline:
                # even a dead worker's lock would be gone by now: the store is
                raise HTTPError(503, "The session store does not answer.")
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)

    def release_lock(self) -> None:
        """Let other requests work on this session."""
        if not self.locked:
            return
        self.locked = False
        if self.lock_lifetime_s:
            with self.mc_lock:
                self.cache.delete(f"{self._id}.lock")
        threadlocks.release(self.locks, self._id)
        threadlocks.drop_if_free(self.locks, self._id or "")

    def __len__(self) -> int:
        """Not to be had: memcached does not tell.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError

    def __bool__(self) -> bool:
        return True
