"""What every session is."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from cherrypy.lib import sessions


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


def test_every_change_of_the_dict_is_a_reason_to_save() -> None:
    """After ``save()`` only what changes the session again is written again."""
    changes: list[Any] = [
        lambda session: session.__setitem__("b", 1),
        lambda session: session.__delitem__("a"),
        lambda session: session.pop("a"),
        lambda session: session.update({"a": 2}),
        lambda session: session.setdefault("c", 2),
        lambda session: session.clear(),
    ]
    for change in changes:
        session = sessions.RamSession(clean_freq=0)
        session["a"] = 1
        session.save()
        untouched: Any = ({}, None)
        sessions.RamSession.cache[session.id or ""] = untouched
        session.save()
        assert sessions.RamSession.cache[session.id or ""] is untouched
        change(session)
        session.save()
        assert sessions.RamSession.cache[session.id or ""] is not untouched


def test_a_session_that_was_not_touched_is_not_saved() -> None:
    """Visitors who need none cost nothing."""
    session = sessions.RamSession(clean_freq=0)
    session.save()

    assert sessions.RamSession.cache == {}


def test_a_change_inside_a_value_is_saved() -> None:
    """Lists and dicts in the session may be changed in place."""
    session = sessions.RamSession(clean_freq=0)
    session["list"] = []
    session.save()
    again = sessions.RamSession(session.id, clean_freq=0)
    again["list"].append(1)
    again.save()

    assert sessions.RamSession(session.id, clean_freq=0)["list"] == [1]


def test_ids_are_forty_hexadecimal_digits_of_the_system_s_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """160 bits, and tried again when one is taken."""
    numbers = iter([b"\0" * 20, b"\0" * 20, b"\1" * 20])
    monkeypatch.setattr("os.urandom", lambda size: next(numbers))
    first = sessions.RamSession(clean_freq=0)
    first["a"] = 1
    first.save()

    assert first.id == "00" * 20
    assert sessions.RamSession(clean_freq=0).id == "01" * 20


def test_a_session_tells_where_it_came_from() -> None:
    """``originalid``, ``missing``, ``regenerated``."""
    unknown = sessions.RamSession("f" * 40, clean_freq=0)
    regenerated = sessions.RamSession(clean_freq=0)
    regenerated.regenerate()

    assert (unknown.originalid, unknown.missing, unknown.regenerated) == ("f" * 40, True, False)
    assert (regenerated.originalid, regenerated.missing, regenerated.regenerated) == (None, False, True)


def test_observers_are_told_of_a_new_id() -> None:
    """The cookie follows it."""
    seen: list[str | None] = []
    session = sessions.RamSession(clean_freq=0)
    session.id_observers.append(seen.append)
    session.regenerate()

    assert seen == [session.id]


def test_a_new_id_keeps_the_lock() -> None:
    """The page goes on alone with its session."""
    session = sessions.RamSession(clean_freq=0)
    session.acquire_lock()
    session["a"] = 1
    session.regenerate()

    assert session.locked
    session.save()
    assert not session.locked
    assert sessions.RamSession(session.id, clean_freq=0)["a"] == 1


def test_what_is_set_after_deleting_is_a_new_session_s() -> None:
    """Nothing of the old one comes back with it."""
    session = sessions.RamSession(clean_freq=0)
    session.update({"user": "anna", "cart": [1]})
    session.save()
    session.acquire_lock()
    session.delete()
    session["language"] = "de"
    session.save()

    assert dict(sessions.RamSession(session.id, clean_freq=0).items()) == {"language": "de"}


def test_a_session_may_reckon_time_in_its_own_way() -> None:
    """``now`` is overridden for moments with zones."""

    class Zoned(sessions.RamSession):
        def now(self) -> datetime.datetime:
            return datetime.datetime.now(datetime.UTC)

    session = Zoned(clean_freq=0)
    session["a"] = 1
    session.save()

    assert Zoned(session.id, clean_freq=0)["a"] == 1
    session.clean_up()
    assert len(session) == 1


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_change_of_the_way_to_reckon_time_loses_nobody(hours: int) -> None:
    """Moments without a zone are local ones."""

    class Zoned(sessions.RamSession):
        def now(self) -> datetime.datetime:
            return datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=hours)))

    for before, after in ((sessions.RamSession, Zoned), (Zoned, sessions.RamSession)):
        session = before(clean_freq=0)
        session["a"] = 1
        session.save()
        session = after(session.id, clean_freq=0)
        session.clean_up()

        assert session["a"] == 1


def test_what_a_store_has_to_implement() -> None:
    """Five acts and two locks; the base class has none of them."""

    class Nothing(sessions.Session):
        def _exists(self) -> bool:
            return False

    session = Nothing()
    for act in (session.load, session.delete, session.acquire_lock, session.release_lock):
        with pytest.raises(NotImplementedError):
            act()
    with pytest.raises(NotImplementedError):
        session._save(session.now())
    with pytest.raises(NotImplementedError):
        sessions.Session()
    session.clean_up()


def test_each_store_class_has_a_cleaner_of_its_own() -> None:
    """A subclass may keep its sessions elsewhere; it runs every ``clean_freq`` minutes."""

    class Elsewhere(sessions.RamSession):
        cache = {}

    for store, minutes in ((sessions.RamSession, 3), (Elsewhere, 2)):
        store(clean_freq=minutes).load()
        store(clean_freq=7).load()
    first, second = sessions.RamSession.clean_thread, Elsewhere.clean_thread
    second.stop()
    second.unsubscribe()

    assert first is not second
    assert (first.frequency, second.frequency) == (180, 120)


def test_without_clean_freq_there_is_no_cleaner() -> None:
    """0 turns it off."""
    sessions.RamSession(clean_freq=0).load()

    assert sessions.RamSession.clean_thread is None


def test_an_error_in_the_cleaner_does_not_end_it() -> None:
    """Sessions would pile up for ever."""

    class Broken(sessions.RamSession):
        def clean_up(self) -> None:
            raise RuntimeError

    session = Broken(clean_freq=5)
    session.load()
    monitor = Broken.clean_thread
    monitor.callback()
    is_alive = monitor.thread.is_alive()
    monitor.stop()
    monitor.unsubscribe()

    assert is_alive


def test_the_name_of_a_lock_is_no_id() -> None:
    """SECURITY: it lies in the store beside the session."""
    session = sessions.RamSession(clean_freq=0)
    for suffix in (".lock", ":lock"):
        sessions.RamSession.cache[f"{session.id}{suffix}"] = ({}, session.now())
        assert sessions.RamSession(f"{session.id}{suffix}", clean_freq=0).missing


def test_a_store_that_forgets_by_itself_has_no_cleaner() -> None:
    """No thread wakes up to do nothing."""

    class Forgetful(sessions.RamSession):
        clean_up = sessions.Session.clean_up

    Forgetful(clean_freq=5).load()

    assert "clean_thread" not in vars(Forgetful)


def test_a_store_of_others_finds_its_settings_as_they_were_given() -> None:
    """COMPAT: cherrys takes ``lock_timeout`` for the seconds after which its lock lapses."""

    class Elsewhere(sessions.Session):
        def _exists(self) -> bool:
            return False

        def _load(self) -> None:
            return None

    assert Elsewhere(lock_timeout=60).lock_timeout == 60
    assert Elsewhere(lock_timeout="a minute").lock_timeout == "a minute"


def test_ram_sessions_wait_for_seconds_or_a_timedelta_alike() -> None:
    """``lock_timeout`` is kept as it was given; what is neither is refused when the lock is wanted."""
    for timeout in (0.01, datetime.timedelta(seconds=0.01)):
        session = sessions.RamSession(clean_freq=0, lock_timeout=timeout)

        assert session.lock_timeout is timeout
        session.acquire_lock()
        session.release_lock()
    with pytest.raises(ValueError, match="seconds or a timedelta"):
        sessions.RamSession(clean_freq=0, lock_timeout="soon").acquire_lock()
