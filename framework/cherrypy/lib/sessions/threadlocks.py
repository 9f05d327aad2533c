"""Locks by session id, within one process."""

from __future__ import annotations

import datetime
import threading

from cherrypy.lib.locking import LockTimeout

Locks = dict[str, threading.Lock]


def acquire(locks: Locks, session_id: str, timeout: datetime.timedelta | None) -> None:
    """Take the lock of *session_id*, making it if it is new.

    Plain locks, not reentrant ones: a streamed answer may be finished by another thread than the one that began it.

    Raises:
        LockTimeout: it was not free in time.
    """
    while True:
        lock = locks.setdefault(session_id, threading.Lock())
        # COMPAT: 0 is for ever too
        if not lock.acquire(timeout=max(timeout.total_seconds(), 0) if timeout else -1):
            raise LockTimeout(f"Timeout acquiring lock for {session_id}")
        # the cleaner may have dropped this lock while we waited, and someone made another
        if locks.get(session_id) is lock:
            return
        lock.release()


def release(locks: Locks, session_id: str | None) -> None:
    """Give the lock of *session_id* back."""
    lock = locks.get(session_id or "")
    if lock is not None and lock.locked():
        lock.release()


def drop_if_free(locks: Locks, session_id: str) -> None:
    """Forget the lock of *session_id* unless someone holds it."""
    lock = locks.get(session_id)
    if lock is not None and lock.acquire(blocking=False):
        locks.pop(session_id, None)
        lock.release()
