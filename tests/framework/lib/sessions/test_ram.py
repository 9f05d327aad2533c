"""Sessions in memory."""

from __future__ import annotations

import datetime
import threading

import pytest

from cherrypy.lib import sessions
from cherrypy.lib.locking import LockTimeout


def test_an_expired_session_is_empty_and_cleaned_up() -> None:
    """At its next use, and by the cleaner."""
    session = sessions.RamSession(clean_freq=0, timeout=-1)
    session["a"] = 1
    session.acquire_lock()
    session.save()
    again = sessions.RamSession(session.id, clean_freq=0)

    assert not again.missing
    assert "a" not in again
    assert len(again) == 1
    again.clean_up()
    assert len(again) == 0
    assert not sessions.RamSession.locks


def test_the_cleaner_leaves_locks_in_use() -> None:
    """Only what nobody holds goes."""
    session = sessions.RamSession(clean_freq=0)
    session.acquire_lock()
    session.clean_up()

    assert len(sessions.RamSession.locks) == 1
    session.release_lock()
    session.clean_up()
    assert not sessions.RamSession.locks


def test_locks_of_visitors_who_store_nothing_go_at_once() -> None:
    """They piled up until the cleaner came."""
    for _ in range(3):
        session = sessions.RamSession(clean_freq=0)
        session.acquire_lock()
        session.release_lock()

    assert sessions.RamSession.locks == {}


@pytest.mark.parametrize("timeout", [0.02, datetime.timedelta(seconds=0.02)])
def test_a_lock_that_is_not_free_in_time(timeout: float | datetime.timedelta) -> None:
    """``lock_timeout``, in seconds or as a timedelta."""
    first = sessions.RamSession(clean_freq=0)
    first.acquire_lock()
    first["a"] = 1
    first._save(first.now() + datetime.timedelta(hours=1))
    second = sessions.RamSession(first.id, clean_freq=0, lock_timeout=timeout)

    with pytest.raises(LockTimeout, match=str(first.id)):
        second.acquire_lock()
    assert not second.locked
    first.release_lock()


@pytest.mark.parametrize("timeout", [0, None])
def test_no_timeout_waits_for_ever(timeout: float | None) -> None:
    """Nought means none, as it always has."""
    first = sessions.RamSession(clean_freq=0)
    first.acquire_lock()
    first["a"] = 1
    first._save(first.now() + datetime.timedelta(hours=1))
    second = sessions.RamSession(first.id, clean_freq=0, lock_timeout=timeout)
    thread = threading.Thread(target=second.acquire_lock)
    thread.start()
    thread.join(0.05)

    assert thread.is_alive()
    first.release_lock()
    thread.join(5)
    assert second.locked
    second.release_lock()


def test_sessions_are_counted() -> None:
    """All of the process."""
    session = sessions.RamSession(clean_freq=0)
    session["a"] = 1
    session.save()

    assert len(session) == 1
    assert session
