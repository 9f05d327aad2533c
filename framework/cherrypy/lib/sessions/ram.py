"""Sessions in this process's memory: gone with it, and not shared with other workers."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from typing import ClassVar

from cherrypy.lib.sessions import threadlocks
from cherrypy.lib.sessions.serializer import Stored
from cherrypy.lib.sessions.session import Session


class RamSession(Session):
    """A session in memory: the objects themselves, so no serializer is asked.

    Attributes:
        cache: {id: (data, expiration)} of all sessions.
        locks: {id: lock}.
    """

    cache: ClassVar[dict[str, Stored]] = {}
    locks: ClassVar[dict[str, threading.Lock]] = {}
    _keeping: ClassVar[threading.Lock] = threading.Lock()

    def clean_up(self) -> None:
        """Drop expired sessions, and locks that no session or request needs."""
        for session_id, (_, expiration) in list(self.cache.items()):
            if self._is_past(expiration):
                self.cache.pop(session_id, None)
        for session_id in list(self.locks):
            if session_id not in self.cache:
                threadlocks.drop_if_free(self.locks, session_id)

    def _exists(self) -> bool:
        return self._id in self.cache

    def _load(self) -> Stored | None:
        return self.cache.get(self._id or "")

    def _save(self, expiration_time: datetime.datetime) -> None:
        with self._keeping:
            # what was purged meanwhile stays away
            if not self._was_stored or self._id in self.cache:
                self.cache[self._id or ""] = (self._data, expiration_time)

    def _delete(self) -> None:
        self.cache.pop(self._id or "", None)

    def acquire_lock(self) -> None:
        """Wait until no other request works on this session."""
        if not self.locked:
            threadlocks.acquire(self.locks, self._id or "", self._patience)
            self.locked = True

    def release_lock(self) -> None:
        """Let other requests work on this session."""
        if self.locked:
            self.locked = False
            threadlocks.release(self.locks, self._id)
            if self._id not in self.cache:
                # a visitor whose session was never saved; the cleaner may come late, or never
                threadlocks.drop_if_free(self.locks, self._id or "")

    def __len__(self) -> int:
        """The number of sessions."""
        return len(self.cache)

    def __bool__(self) -> bool:
        return True

    def _ids(self) -> Iterator[str]:
        yield from tuple(self.cache)

    def _remove(self, session_id: str) -> bool:
        with self._keeping:
            return self.cache.pop(session_id, None) is not None
