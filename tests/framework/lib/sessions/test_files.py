"""Sessions in files."""

from __future__ import annotations

import datetime
import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cherrypy.core.errors import HTTPError
from cherrypy.lib import sessions
from cherrypy.lib.locking import LockTimeout
from cherrypy.lib.sessions import files


def make_file_session(tmp_path: Path, session_id: str | None = None, **settings: Any) -> sessions.FileSession:
    """A session in files."""
    return sessions.FileSession(session_id, storage_path=str(tmp_path), clean_freq=0, **settings)


def save_file_session(tmp_path: Path, timeout: float = 60) -> str:
    """Make one and return its id."""
    session = make_file_session(tmp_path, timeout=timeout)
    session.acquire_lock()
    session["a"] = 1
    session.save()
    return str(session.id)


def test_a_waiter_goes_on_as_soon_as_the_lock_is_free(tmp_path: Path) -> None:
    """No polling with long pauses."""
    first = make_file_session(tmp_path)
    first.acquire_lock()
    first["a"] = 1
    first._save(first.now() + datetime.timedelta(hours=1))
    other = make_file_session(tmp_path, first.id)
    done = threading.Event()

    def wait() -> None:
        other.acquire_lock()
        other.release_lock()
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not done.wait(0.05)
    first.release_lock()
    thread.join(5)

    assert done.is_set()


@pytest.mark.parametrize("value", ["soon", object(), True])
def test_a_wrong_lock_timeout_is_refused(tmp_path: Path, value: object) -> None:
    """Seconds or a timedelta."""
    with pytest.raises(ValueError, match="Lock timeout must be numeric seconds or a timedelta instance"):
        make_file_session(tmp_path, lock_timeout=value)


def test_file_sessions_insist_on_the_lock(tmp_path: Path) -> None:
    """Priorities of tools in the wrong order are found at once."""
    session = make_file_session(tmp_path)
    for act in (session.load, lambda: session._save(session.now()), session.delete):
        with pytest.raises(AssertionError, match="without being locked"):
            act()


def test_one_broken_file_never_stops_the_cleaner(tmp_path: Path) -> None:
    """Nor does it take another session with it."""
    broken = tmp_path / f"session-{'0' * 40}"
    broken.write_bytes(b"\x80\x04 not a pickle")
    (tmp_path / f"session-{'1' * 40}").mkdir()
    old, living = save_file_session(tmp_path, timeout=-1), save_file_session(tmp_path)
    make_file_session(tmp_path).clean_up()

    assert not (tmp_path / f"session-{old}").exists()
    assert (tmp_path / f"session-{living}").exists()
    assert broken.exists()


def test_a_broken_file_goes_when_a_session_of_its_age_would(tmp_path: Path) -> None:
    """By the time of its last change."""
    broken = tmp_path / f"session-{'0' * 40}"
    broken.write_bytes(b"")
    os.utime(broken, (0, 0))
    make_file_session(tmp_path).clean_up()

    assert not broken.exists()


@pytest.mark.parametrize("stored", ["not a pair", "ab", ([1], datetime.datetime.now()), ({}, 5)])
def test_a_broken_session_is_empty(tmp_path: Path, stored: object) -> None:
    """The client gets a new start, not a 500."""
    name = save_file_session(tmp_path)
    (tmp_path / f"session-{name}").write_bytes(pickle.dumps(stored))
    session = make_file_session(tmp_path, name)
    session.acquire_lock()

    assert list(session) == []
    session.release_lock()


def test_lock_files_go_with_their_sessions(tmp_path: Path) -> None:
    """They filled disks."""
    save_file_session(tmp_path, timeout=-1)
    (tmp_path / f"session-{'2' * 40}.lock").write_text("")
    session = make_file_session(tmp_path)
    session.acquire_lock()
    session.release_lock()
    session.clean_up()

    assert os.listdir(tmp_path) == []


def test_the_cleaner_does_not_wait_for_sessions_in_use(tmp_path: Path) -> None:
    """Expired or not."""
    name = save_file_session(tmp_path, timeout=-1)
    busy = make_file_session(tmp_path, name)
    busy.acquire_lock()
    busy.clean_up()

    assert (tmp_path / f"session-{name}").exists()
    assert len(busy) == 1
    busy.release_lock()


def test_session_files_are_private(tmp_path: Path) -> None:
    """SECURITY: other users of the machine cannot read them."""
    name = save_file_session(tmp_path)

    assert (tmp_path / f"session-{name}").stat().st_mode & 0o077 == 0


def test_a_store_with_locks_of_its_own(tmp_path: Path) -> None:
    """What a subclass's ``acquire_lock`` puts into ``lock`` is closed at the end."""
    closed: list[bool] = []

    class Lock:
        def close(self) -> None:
            closed.append(True)

    class Store(sessions.FileSession):
        def acquire_lock(self, path: str | None = None) -> None:
            self.lock = Lock()
            self.locked = True

    session = Store(storage_path=str(tmp_path), clean_freq=0)
    session.acquire_lock()
    session.release_lock()

    assert closed == [True]
    assert (session.locked, session.lock) == (False, None)


def test_a_path_in_the_id_is_a_bad_request(tmp_path: Path) -> None:
    """SECURITY: path traversal (CVE-2008-0252), and NUL."""
    for name in ("/../../../../etc/passwd", "../x", "a/b", "a\0b"):
        with pytest.raises(HTTPError) as caught:
            make_file_session(tmp_path, name)
        assert caught.value.code == 400


def test_a_lock_that_is_not_free_in_time(tmp_path: Path) -> None:
    """``lock_timeout``, in seconds; without the wait of a tenth of a second between two looks."""
    first = make_file_session(tmp_path)
    first.acquire_lock()
    first["a"] = 1
    first._save(first.now())
    second = make_file_session(tmp_path, first.id, lock_timeout=0.03)
    began = time.monotonic()
    with pytest.raises(LockTimeout, match=str(first.id)):
        second.acquire_lock()
    took = time.monotonic() - began
    first.release_lock()
    second.acquire_lock()

    assert 0.03 <= took < 1
    assert second.locked
    second.release_lock()


def test_a_lock_is_free_when_its_holder_dies(tmp_path: Path) -> None:
    """The kernel gives it back, so no lock file has to be removed by hand."""
    pid = os.fork()
    if pid == 0:
        session = make_file_session(tmp_path)
        session._id = "a" * 40
        session.acquire_lock()
        os._exit(0)
    os.waitpid(pid, 0)
    session = make_file_session(tmp_path, lock_timeout=5)
    session._id = "a" * 40
    session.acquire_lock()

    assert session.locked
    session.release_lock()


def test_no_lock_file_is_left_by_visitors_who_store_nothing(tmp_path: Path) -> None:
    """They filled disks: one for each visit of each crawler."""
    for _ in range(3):
        session = make_file_session(tmp_path)
        session.acquire_lock()
        session.release_lock()

    assert os.listdir(tmp_path) == []


def test_an_unreadable_store_is_not_an_empty_session(tmp_path: Path) -> None:
    """503, since an empty session would be written over the one that is there."""
    name = save_file_session(tmp_path)
    session = make_file_session(tmp_path, name)
    session.acquire_lock()
    path = tmp_path / f"session-{name}"
    path.unlink()
    path.mkdir()
    with pytest.raises(HTTPError) as caught:
        session.load()
    session.release_lock()

    assert caught.value.code == 503


def test_a_store_that_cannot_be_asked_is_not_without_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, since a new cookie would log the user out for good."""
    name = save_file_session(tmp_path)

    def fail(path: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.stat", fail)
    with pytest.raises(HTTPError) as caught:
        make_file_session(tmp_path, name)
    monkeypatch.undo()

    assert caught.value.code == 503


def test_a_full_disk_is_a_503_and_keeps_the_old_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a draft left behind."""
    name = save_file_session(tmp_path)
    session = make_file_session(tmp_path, name)
    session.acquire_lock()
    session["a"] = 2

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_put_in_place", full)
    with pytest.raises(HTTPError) as caught:
        session.save()
    monkeypatch.undo()

    assert caught.value.code == 503
    assert not session.locked
    assert sorted(os.listdir(tmp_path)) == [f"session-{name}", f"session-{name}.lock"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_file_changes_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool) -> None:
    """Whether the system can let two files change places or not."""
    if not can_exchange:
        monkeypatch.setattr(files, "_renameat2", lambda *args: -1)
    name = save_file_session(tmp_path)
    session = make_file_session(tmp_path, name)
    session.acquire_lock()
    session["a"] = 2
    session.save()
    again = make_file_session(tmp_path, name)
    again.acquire_lock()

    assert again["a"] == 2
    assert sorted(os.listdir(tmp_path)) == [f"session-{name}", f"session-{name}.lock"]
    again.release_lock()


def test_a_directory_that_cannot_be_made_is_a_503(tmp_path: Path) -> None:
    """The log says which."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HTTPError) as caught:
        make_file_session(tmp_path / "file" / "below")

    assert caught.value.code == 503


def test_a_directory_that_was_tidied_up_is_made_again(tmp_path: Path) -> None:
    """Temporary directories are swept."""
    place = tmp_path / "sessions"
    save_file_session(place)
    for path in place.iterdir():
        path.unlink()
    place.rmdir()

    assert (place / f"session-{save_file_session(place)}").exists()


def test_drafts_of_dead_writers_go(tmp_path: Path) -> None:
    """Those of living ones stay."""
    old, new = tmp_path / ".draft-old", tmp_path / ".draft-new"
    old.write_text("")
    new.write_text("")
    os.utime(old, (0, 0))
    make_file_session(tmp_path).clean_up()

    assert not old.exists()
    assert new.exists()


def test_files_of_cherrypy_are_read(tmp_path: Path) -> None:
    """A pickle of data and expiration: nobody is logged out by the change to this framework."""
    name = "ab" * 20
    expiration = datetime.datetime.now() + datetime.timedelta(minutes=5)
    (tmp_path / f"session-{name}").write_bytes(pickle.dumps(({"user": "anna"}, expiration), 2))
    session = make_file_session(tmp_path, name)
    session.acquire_lock()

    assert session["user"] == "anna"
    session.release_lock()


def test_all_directories_of_a_class_are_cleaned(tmp_path: Path) -> None:
    """One cleaner serves all applications that use the class."""
    one, two = tmp_path / "one", tmp_path / "two"
    names = [save_file_session(one, timeout=-1), save_file_session(two, timeout=-1)]
    make_file_session(one).clean_up()

    assert [list(place.iterdir()) for place in (one, two)] == [[], []]
    assert len(set(names)) == 2


def test_setup_takes_the_directory_for_the_class(tmp_path: Path) -> None:
    """Sessions outside of a request need not name it."""
    sessions.FileSession.setup(storage_path=str(tmp_path), lock_timeout=5)

    assert sessions.FileSession(clean_freq=0).storage_path == str(tmp_path)
    assert sessions.FileSession.lock_timeout is None


def test_files_are_counted(tmp_path: Path) -> None:
    """Locks are not."""
    session = make_file_session(tmp_path)
    save_file_session(tmp_path)
    session.acquire_lock()

    assert len(session) == 1
    assert session
    session.release_lock()
