"""Sessions: the tool and the stores."""

from __future__ import annotations

import datetime
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import sessions
from cherrypy.lib.locking import LockTimeout


@pytest.fixture(autouse=True)
def no_cleaners() -> Iterator[None]:
    """Stop the monitors that sessions start, and forget what is in memory."""
    yield
    for store in (sessions.RamSession, sessions.FileSession):
        thread, store.clean_thread = store.clean_thread, None
        if thread is not None:
            thread.stop()
            thread.unsubscribe()
    sessions.RamSession.cache.clear()
    sessions.RamSession.locks.clear()
    sessions.FileSession._storage_paths.clear()
    for name in ("storage_path", "_is_set_up"):
        if name in vars(sessions.FileSession):
            delattr(sessions.FileSession, name)


class Root:
    """Pages with a session."""

    @cherrypy.expose
    def index(self) -> str:
        """Count visits."""
        cherrypy.session["n"] = cherrypy.session.get("n", 0) + 1
        return str(cherrypy.session["n"])

    @cherrypy.expose
    def regenerate(self) -> str:
        """Change the id."""
        cherrypy.session.regenerate()
        return str(cherrypy.session.id)

    @cherrypy.expose
    def expire(self) -> str:
        """Log out."""
        sessions.expire()
        return "gone"

    @cherrypy.expose
    def fail(self) -> str:
        """Break down with the lock held."""
        cherrypy.session["n"] = 0
        raise RuntimeError

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self) -> Iterator[str]:
        """Use the session while the body is sent."""
        cherrypy.session["n"] = 10
        yield "a"
        cherrypy.session["n"] = 11

    @cherrypy.expose
    def lazily(self) -> Iterator[str]:
        """Use the session in a generator that is collected."""
        cherrypy.session["n"] = 20
        yield "a"


def make_file_session(tmp_path: Path, session_id: str | None = None, **settings: Any) -> sessions.FileSession:
    """A session in files."""
    return sessions.FileSession(session_id, storage_path=str(tmp_path), clean_freq=0, **settings)


@pytest.fixture(params=["ram", "file"])
def browser(request: Any, serve: Callable[..., Any], tmp_path: Path) -> Any:
    """A site with sessions in each store."""
    if request.param == "ram":
        return serve(Root(), sessions__on=True)
    return serve(
        Root(), sessions__on=True, sessions__storage_class=sessions.FileSession,
        sessions__storage_path=str(tmp_path / "made" / "for it"),
    )  # fmt: skip


def test_data_stay_from_request_to_request(browser: Any) -> None:
    """And another client has data of its own."""
    assert [browser("/").body for _ in range(3)] == [b"1", b"2", b"3"]

    browser.cookies.clear()

    assert browser("/").body == b"1"


def test_the_id_has_160_bits_and_is_new_each_time(browser: Any) -> None:
    """SECURITY: ids cannot be guessed."""
    browser("/")
    first = browser.cookies.pop("session_id")
    browser("/")

    assert len(first) == 40
    assert int(first, 16) != int(browser.cookies["session_id"], 16)


@pytest.mark.parametrize("given", ["0" * 40, "x", "a" * 500, "a b" * 10, "\xfc" * 20])
def test_an_id_that_was_not_given_out_is_not_taken(browser: Any, given: str) -> None:
    """SECURITY: session fixation."""
    answer = browser("/", headers={"Cookie": f'session_id="{given}"'})

    assert answer.status in (200, 400)
    assert browser.cookies.get("session_id", "") != given


def test_a_path_in_the_id_is_a_bad_request(serve: Callable[..., Any], tmp_path: Path) -> None:
    """SECURITY: path traversal (CVE-2008-0252)."""
    browser = serve(
        Root(), sessions__on=True, sessions__storage_class=sessions.FileSession, sessions__storage_path=str(tmp_path)
    )

    assert browser("/", headers={"Cookie": "session_id=/../../../../etc/passwd"}).status == 400


def test_regenerating_keeps_the_data_and_drops_the_old_id(browser: Any) -> None:
    """Also when the page has not read them."""
    browser("/")
    old = browser.cookies["session_id"]
    new = browser("/regenerate").body.decode()

    assert browser.cookies["session_id"] == new != old
    assert browser("/").body == b"2"
    assert browser("/", headers={"Cookie": f"session_id={old}"}).body == b"1"


def test_expire_makes_the_client_forget(browser: Any) -> None:
    """The cookie's end lies in the past."""
    browser("/")
    cookie = browser("/expire").cookies[0]

    assert "expires=" in cookie.lower()
    assert "max-age" not in cookie.lower()


def test_locks_are_free_after_an_error(browser: Any) -> None:
    """The next request of the same client is not held up."""
    browser("/")

    assert browser("/fail").status == 500
    assert browser("/").status == 200


def test_streams_and_generators_save_what_they_did(browser: Any) -> None:
    """A stream at its end, a generator when it is collected."""
    browser("/")
    browser("/stream")
    assert browser("/").body == b"12"

    browser("/lazily")
    assert browser("/").body == b"21"


def test_a_stream_that_the_client_leaves_frees_the_lock(browser: Any) -> None:
    """The lock goes with the request."""
    browser("/")
    browser("/stream", read=False)

    assert browser("/").status == 200


@pytest.mark.parametrize(
    ("settings", "wanted", "unwanted"),
    [
        ({}, ["path=/", "max-age=3600", "expires="], ["httponly", "secure", "samesite"]),
        ({"persistent": False}, ["path=/"], ["max-age", "expires"]),
        ({"httponly": True, "secure": True, "samesite": "strict"}, ["httponly", "secure", "samesite=strict"], []),
        ({"samesite": "None"}, ["samesite=none", "secure"], []),
        ({"path": "/x", "domain": "example.com", "timeout": 2}, ["path=/x", "domain=example.com", "max-age=120"], []),
        ({"path_header": "Host", "name": "sid"}, ["path=localhost", "sid="], []),
    ],
)
def test_the_cookie_is_as_configured(
    serve: Callable[..., Any], settings: dict[str, Any], wanted: list[str], unwanted: list[str]
) -> None:
    """Every attribute has its setting."""
    tools = {f"sessions__{name}": value for name, value in settings.items()}
    cookie = serve(Root(), sessions__on=True, **tools)("/").cookies[0].lower()

    assert all(one in cookie for one in wanted)
    assert not any(one in cookie for one in unwanted)


def test_wrong_settings_are_told(serve: Callable[..., Any]) -> None:
    """A typo in a security setting must not pass for none."""
    assert serve(Root(), sessions__on=True, sessions__samesite="Laxx")("/").status == 500
    assert serve(Root(), sessions__on=True, sessions__storage_type="floppy")("/").status == 500
    assert serve(Root(), sessions__on=True, sessions__storage_class=sessions.FileSession)("/").status == 500


def test_old_names_of_stores_work(serve: Callable[..., Any], tmp_path: Path) -> None:
    """``storage_type``, with a notice."""
    browser = serve(Root(), sessions__on=True, sessions__storage_type="file", sessions__storage_path=str(tmp_path))
    browser("/")

    assert [name for name in os.listdir(tmp_path) if name.startswith("session-")]


@pytest.mark.parametrize("locking", ["implicit", "early", "explicit"])
def test_all_ways_of_locking(serve: Callable[..., Any], locking: str) -> None:
    """They differ in when the lock is taken."""

    class Page:
        @cherrypy.expose
        def index(self) -> str:
            before = cherrypy.session.locked
            if not before:
                cherrypy.session.acquire_lock()
            cherrypy.session["a"] = 1
            return str(before)

    body = serve(Page(), sessions__on=True, sessions__locking=locking)("/").body

    assert body == (b"False" if locking == "explicit" else b"True")


def test_each_store_class_is_set_up_once(serve: Callable[..., Any]) -> None:
    """Also the store of a second application, and with its settings."""
    calls = []

    class Store(sessions.RamSession):
        @classmethod
        def setup(cls, **kwargs: Any) -> None:
            calls.append((cls.__name__, kwargs))

    class Other(Store):
        pass

    for store in (Store, Other):
        browser = serve(Root(), sessions__on=True, sessions__storage_class=store, sessions__extra=1)
        browser("/")
        browser("/")

    assert calls == [("Store", {"extra": 1}), ("Other", {"extra": 1})]


def test_a_session_is_a_dict() -> None:
    """With the methods that the manual lists."""
    session = sessions.RamSession(clean_freq=0)
    session.update({"a": 1})
    session["b"] = 2

    assert session.setdefault("c", 3) == 3
    assert (sorted(session), sorted(session.keys()), sorted(session.values())) == (["a", "b", "c"],) * 2 + ([1, 2, 3],)
    assert session.pop("c") == 3
    assert session.pop("c") is False
    assert session.pop("c", 4) == 4
    assert session.get("x", 5) == 5
    assert "a" in session
    del session["a"]
    assert list(session.items()) == [("b", 2)]
    session.clear()
    assert not list(session)
    with pytest.raises(KeyError):
        _ = session["a"]


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


def test_the_lock_keeps_others_out_and_can_be_waited_for_in_vain(tmp_path: Path) -> None:
    """In both stores, for as long as ``lock_timeout`` says."""
    for first, second in (
        (
            sessions.RamSession(clean_freq=0),
            lambda name: sessions.RamSession(name, clean_freq=0, lock_timeout=datetime.timedelta(seconds=0.05)),
        ),
        (make_file_session(tmp_path), lambda name: make_file_session(tmp_path, name, lock_timeout=0.05)),
    ):
        first.acquire_lock()
        first["a"] = 1
        first._save(first.now() + datetime.timedelta(hours=1))
        other = second(first.id)
        with pytest.raises(LockTimeout):
            other.acquire_lock()
        first.release_lock()
        other.acquire_lock()
        assert other["a"] == 1
        other.release_lock()


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


def save_file_session(tmp_path: Path, timeout: float = 60) -> str:
    """Make one and return its id."""
    session = make_file_session(tmp_path, timeout=timeout)
    session.acquire_lock()
    session["a"] = 1
    session.save()
    return str(session.id)


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


def test_a_broken_session_is_empty(tmp_path: Path) -> None:
    """The client gets a new start, not a 500."""
    name = save_file_session(tmp_path)
    (tmp_path / f"session-{name}").write_bytes(pickle.dumps("not a pair"))
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


def test_two_requests_at_once_count_two(browser: Any) -> None:
    """The lock makes a read and a write of the session one act."""
    browser("/")
    threads = [threading.Thread(target=lambda: [browser("/") for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert browser("/").body == b"42"


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
